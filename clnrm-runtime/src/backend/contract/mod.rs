//! The contract that every backend keeps, as a suite to run against one.
//!
//! It knows no backend: a [`Fixture`] says how the few instances that it needs
//! are made there. A broken promise panics with what was expected, so it is for
//! tests alone.
#![expect(clippy::panic, reason = "a broken promise fails the test that asked")]

mod life;
mod talk;
mod tidy;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use super::{Backend, CreateRequest, Source, State};
use crate::error::Result;
use crate::label::{Label, Owner};
use crate::service::{InstanceId, InstanceKey, RunId, Spec, Stop, StopSignal};

pub use life::*;
pub use talk::*;
pub use tidy::*;

/// How the instances of the suite are made on one backend.
#[derive(Debug)]
pub struct Fixture {
    /// The run of this test, of which nothing exists when the suite begins.
    pub run: RunId,
    /// A second run, which the backend must be able to tell from the first;
    /// `None` where a backend only ever sees one.
    pub other_run: Option<RunId>,
    /// The owner that goes into labels.
    pub owner: Owner,
    /// Runs until it is stopped: writes `to stdout` and `to stderr` as lines,
    /// then accepts TCP connections on its only port, `main`.
    pub server: Recipe,
    /// Writes `last words` to standard error and ends with code 3.
    pub ends: Recipe,
    /// Writes `to stdout` once it ignores SIGTERM and then runs on.
    pub stubborn: Recipe,
    /// Cannot be created or started: its image or program does not exist.
    pub broken: Recipe,
    /// A command, and what it writes to standard output; it ends with 0.
    pub says: (Vec<String>, String),
    /// A command that writes nothing and ends with this code.
    pub fails: (Vec<String>, i32),
    /// A directory inside an instance where files may be written.
    pub dir: String,
    /// Whether the endpoints can be connected to; not so for a double.
    pub answers: bool,
}

/// One way to make an instance.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// How to run it.
    pub spec: Spec,
    /// What to run.
    pub source: Source,
    /// A network to join, where the backend needs one.
    pub network: Option<super::NetworkId>,
}

impl Recipe {
    /// Without a network.
    #[must_use]
    pub fn new(spec: Spec, source: Source) -> Self {
        Self {
            spec,
            source,
            network: None,
        }
    }
}

impl Fixture {
    /// A request of its own for `recipe`, labelled for the run.
    #[must_use]
    pub fn request(&self, recipe: &Recipe) -> CreateRequest {
        self.request_of(&self.run, recipe)
    }

    fn request_of(&self, run: &RunId, recipe: &Recipe) -> CreateRequest {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let attempt = format!("contract-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let key = InstanceKey::of([attempt.as_str()]);
        CreateRequest {
            service: "contract".to_owned(),
            key: key.clone(),
            label: Label {
                run: run.clone(),
                owner: self.owner.clone(),
                service: "contract".to_owned(),
                key,
                attempt,
            },
            spec: recipe.spec.clone(),
            source: recipe.source.clone(),
            needs: BTreeMap::new(),
            network: recipe.network.clone(),
            joins: Vec::new(),
        }
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.dir.trim_end_matches('/'))
    }
}

/// A promise, as a function of a backend and its fixture.
pub type Promise = for<'a> fn(&'a dyn Backend, &'a Fixture) -> LocalBoxFuture<'a, ()>;

macro_rules! promises {
    ($($name:ident),* $(,)?) => {
        /// Every promise, by name. Each leaves nothing behind when it is kept.
        pub const PROMISES: &[(&str, Promise)] = &[
            $((stringify!($name), |backend, fixture| Box::pin($name(backend, fixture)))),*
        ];
    };
}

promises![
    create_does_not_start,
    start_says_where_it_answers,
    an_unknown_instance_is_gone,
    stop_ends_it_and_may_be_repeated,
    stop_kills_what_ignores_the_signal,
    a_removal_overtakes_a_stop,
    restart_keeps_the_data,
    an_exit_is_told_with_its_code,
    instances_do_not_share_ports,
    capabilities_work_or_are_refused,
    exec_gives_output_and_code,
    exec_needs_a_running_instance,
    logs_have_both_streams,
    logs_can_start_late,
    logs_follow_until_the_end,
    last_words_are_in_the_logs,
    copies_go_in_and_out,
    remove_takes_a_running_one,
    a_failed_create_leaves_nothing,
    a_cancelled_create_leaves_nothing,
    a_cancelled_start_leaves_nothing,
    sweep_takes_one_run_only,
];

/// Runs every promise, and sweeps what a broken one left.
///
/// # Panics
/// When a promise is broken; the message names it.
pub async fn check(backend: &dyn Backend, fixture: &Fixture) {
    for (name, promise) in PROMISES {
        tracing::info!(promise = name, "contract");
        promise(backend, fixture).await;
        let left = must(name, backend.list(&fixture.run).await);
        assert!(left.is_empty(), "{name} left {left:?}");
    }
}

/// The longest that anything in the suite may take, an image's start included.
const DEADLINE: Duration = Duration::from_secs(60);

/// Asked politely, with half a second to comply.
const STOP: Stop = Stop {
    signal: StopSignal::Term,
    grace: Duration::from_millis(500),
};

#[track_caller]
fn must<T>(what: &str, result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:?}"),
    }
}

#[track_caller]
fn refused<T: Debug>(what: &str, result: Result<T>) -> crate::CleanroomError {
    match result {
        Ok(value) => panic!("{what} gave {value:?}"),
        Err(error) => error,
    }
}

/// Asks until the answer is there. The pause between two questions is virtual
/// where the clock is.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    while begun.elapsed() < DEADLINE {
        pause.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
    }
    panic!("{what}: not within {DEADLINE:?}")
}

async fn running(backend: &dyn Backend, fixture: &Fixture) -> InstanceId {
    let id = must(
        "create",
        backend.create(&fixture.request(&fixture.server)).await,
    );
    must("start", backend.start(&id).await);
    said(backend, &id, "to stdout").await;
    id
}

/// Waits until a log line is there.
async fn said(backend: &dyn Backend, id: &InstanceId, text: &str) {
    until(&format!("the log line `{text}`"), async || {
        let lines = talk::lines(backend, id).await;
        lines.iter().any(|line| line.text == text).then_some(())
    })
    .await;
}

async fn state(backend: &dyn Backend, id: &InstanceId) -> State {
    must("inspect", backend.inspect(id).await).state
}
