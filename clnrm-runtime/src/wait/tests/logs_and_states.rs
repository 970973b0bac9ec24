//! Waits that a scripted backend can answer.

use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use tokio::time::{Instant, sleep_until};

use super::*;
use crate::backend::State;
use crate::error::{CleanroomError, ErrorKind};
use crate::protocol::wire::HelloRequest;
use crate::protocol::{Skew, VERSION};
use crate::service::LogStream::{self, Stderr, Stdout};

fn log(pattern: &str, stream: Option<LogStream>, count: u32) -> Wait {
    Wait::Log {
        pattern: pattern.to_owned(),
        stream,
        count,
    }
}

fn exec() -> Wait {
    Wait::Exec {
        command: vec!["true".to_owned()],
    }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A wait that is met at `at` ends no later than the longest pause after it.
#[track_caller]
fn check(readiness: Result<Readiness>, at: u64) {
    let elapsed = readiness.unwrap().elapsed;
    assert!(elapsed >= millis(at), "{elapsed:?}");
    assert!(elapsed <= millis(at + 70), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn running_is_ready_within_two_milliseconds() {
    let readiness = wait_for(&Fake::new(), Wait::Running).await.unwrap();
    assert!(readiness.elapsed <= millis(2), "{readiness:?}");
}

#[tokio::test(start_paused = true)]
async fn running_waits_until_it_runs() {
    let mut fake = Fake::new();
    fake.states = vec![(millis(0), State::Created), (millis(300), State::Running)];
    check(wait_for(&fake, Wait::Running).await, 300);
}

#[tokio::test(start_paused = true)]
async fn a_log_line_that_is_there_already_counts() {
    let fake = Fake::new().says(0, Stdout, "ready to serve");
    let readiness = wait_for(&fake, Wait::log("^ready")).await.unwrap();
    assert!(readiness.elapsed <= millis(2), "{readiness:?}");
}

#[tokio::test(start_paused = true)]
async fn log_lines_count_by_stream() {
    let fake = Fake::new()
        .says(10, Stdout, "ready")
        .says(20, Stderr, "ready")
        .says(30, Stderr, "not yet")
        .says(500, Stderr, "ready");
    check(wait_for(&fake, log("^ready", Some(Stderr), 2)).await, 500);
    let fake = Fake::new()
        .says(10, Stdout, "ready")
        .says(400, Stderr, "ready");
    check(wait_for(&fake, log("ready", None, 2)).await, 400);
}

#[tokio::test(start_paused = true)]
async fn exec_is_ready_when_the_command_succeeds() {
    let mut fake = Fake::new();
    fake.exits = vec![
        (millis(0), Err("no such instance")),
        (millis(100), Ok(1)),
        (millis(700), Ok(0)),
    ];
    check(wait_for(&fake, exec()).await, 700);
}

#[tokio::test(start_paused = true)]
async fn the_health_check_decides() {
    let mut fake = Fake::new();
    fake.health = vec![(millis(0), Some(false)), (millis(900), Some(true))];
    check(wait_for(&fake, Wait::Healthcheck).await, 900);
}

#[tokio::test(start_paused = true)]
async fn an_image_without_a_health_check_fails_at_once() {
    let error = wait_for(&Fake::new(), Wait::Healthcheck).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert!(error.message().contains("the image has none"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_plugin_is_asked_until_it_agrees() {
    let begin = Instant::now();
    let asked = AtomicU32::new(0);
    let asked = &*Box::leak(Box::new(asked));
    let ready = move || {
        async move {
            asked.fetch_add(1, Ordering::Relaxed);
            if begin.elapsed() < millis(600) {
                return Err(CleanroomError::service_error("starting up"));
            }
            Ok(())
        }
        .boxed()
    };
    let fake = Fake::new();
    let readiness = wait_with(&fake, Wait::Plugin, BTreeMap::new(), &ready).await;
    assert!(asked.load(Ordering::Relaxed) > 5);
    check(readiness, 600);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_of_another_version_is_asked_once() {
    let begin = Instant::now();
    let ready = || {
        let hello = HelloRequest {
            version: VERSION + 1,
            install: "cargo install cargo-clnrm@9.9.9".to_owned(),
            ..HelloRequest::default()
        };
        async move { Skew::check_hello(&hello).map_err(CleanroomError::from) }.boxed()
    };
    let fake = Fake::new();
    let error = wait_with(&fake, Wait::Plugin, BTreeMap::new(), &ready).await;
    let error = error.unwrap_err();
    assert!(begin.elapsed() < millis(1_000), "{:?}", begin.elapsed());
    assert_eq!(
        error.hint(),
        Some("install the one that matches: `cargo install cargo-clnrm@9.9.9`")
    );
}

#[tokio::test(start_paused = true)]
async fn time_in_which_the_run_stands_still_does_not_count() {
    let (clock, begin) = (Clock::default(), Instant::now());
    let deadline = clock.deadline(DEADLINE);
    let fake = Fake::new().says(50_000, Stdout, "ready");
    let ready = || async { Ok(()) }.boxed();
    let waiting = wait_until(
        &deadline,
        &fake,
        Wait::log("ready"),
        BTreeMap::new(),
        &ready,
    );
    let standing_still = async {
        sleep_until(begin + millis(10_000)).await;
        clock.freeze();
        sleep_until(begin + millis(45_000)).await;
        clock.thaw();
    };
    let (readiness, ()) = tokio::join!(waiting, standing_still);
    check(readiness, 15_000);
}

#[tokio::test(start_paused = true)]
async fn all_waits_for_the_last_and_any_for_the_first() {
    let fake = || {
        Fake::new()
            .says(200, Stdout, "listening")
            .says(800, Stdout, "loaded")
    };
    let parts = || vec![Wait::log("listening"), Wait::log("loaded")];
    check(wait_for(&fake(), Wait::All(parts())).await, 800);
    check(wait_for(&fake(), Wait::Any(parts())).await, 200);
}

#[tokio::test(start_paused = true)]
async fn any_survives_a_part_that_can_never_be_met() {
    let fake = Fake::new().says(200, Stdout, "listening");
    let parts = vec![Wait::log("("), Wait::log("listening")];
    check(wait_for(&fake, Wait::Any(parts)).await, 200);
    let nothing = wait_for(&Fake::new(), Wait::Any(Vec::new())).await;
    assert_eq!(nothing.unwrap_err().kind(), ErrorKind::Validation);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_exits_fails_at_once() {
    let begin = Instant::now();
    let fake = Fake::new().exits(400, 3);
    let error = wait_for(&fake, Wait::log("ready")).await.unwrap_err();
    assert!(begin.elapsed() < millis(500), "{:?}", begin.elapsed());
    assert_eq!(error.kind(), ErrorKind::Service);
    assert!(error.message().contains("exited with code 3"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_says_ready_with_its_last_breath_is_not_ready() {
    let fake = Fake::new().says(400, Stdout, "ready").exits(400, 0);
    let error = wait_for(&fake, Wait::log("ready")).await.unwrap_err();
    assert!(error.message().contains("exited with code 0"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_somebody_removes_fails_at_once() {
    let mut fake = Fake::new();
    fake.states.push((millis(100), State::Gone));
    let error = wait_for(&fake, Wait::log("ready")).await.unwrap_err();
    assert!(error.message().contains("was removed"), "{error}");
}

proptest! {
    /// Whatever waits for a probe that only ever gives errors, or for a backend
    /// that does not answer, is never ready.
    #[test]
    fn a_probe_error_is_never_ready(
        wait in failing_wait(),
        inspect_fails: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let outcome = runtime.block_on(async {
            let mut fake = Fake::new();
            fake.exits = vec![(Duration::ZERO, Err("exec failed"))];
            fake.inspect_fails = inspect_fails;
            fake.health = vec![(Duration::ZERO, Some(false))];
            let never = || async { Err(CleanroomError::service_error("no")) }.boxed();
            wait_with(&fake, wait, BTreeMap::new(), &never).await
        });
        prop_assert!(outcome.is_err());
    }
}

fn failing_wait() -> impl Strategy<Value = Wait> {
    let leaf = prop_oneof![
        Just(exec()),
        Just(Wait::Healthcheck),
        Just(Wait::Plugin),
        Just(Wait::http("/")),
        Just(Wait::Tcp { port: None }),
        Just(Wait::log("never")),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let parts = proptest::collection::vec(inner, 1..3);
        prop_oneof![parts.clone().prop_map(Wait::All), parts.prop_map(Wait::Any),]
    })
}
