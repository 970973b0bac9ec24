//! Ctrl-Z and `fg`: the tests stand still while the coordinator does, and so does the time of the run. Services go on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clnrm_runtime::clock::Clock;
use clnrm_runtime::keeper::{Child, Signal, Target};
use futures_util::future::join_all;
use tokio::time::timeout;

/// How long the keeper may take to pass a signal on.
const PATIENCE: Duration = Duration::from_secs(5);

/// What stands still together.
#[derive(Debug, Default)]
pub(super) struct Freezer {
    clock: Clock,
    /// Held while tests are stopped or let go on: one that joins meanwhile
    /// would miss it.
    turn: tokio::sync::Mutex<()>,
    /// The tests that run, by pid: it is theirs as long as they are held.
    tests: Mutex<BTreeMap<u32, Child>>,
}

impl Freezer {
    /// The time of the run.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Lets a test stand still whenever the run does, until this is dropped.
    pub(super) async fn join(&self, test: &Child) -> Joined<'_> {
        let _turn = self.turn.lock().await;
        self.tests().insert(test.pid(), test.clone());
        let joined = Joined {
            freezer: self,
            pid: test.pid(),
        };
        // It came to be while the others were frozen.
        if self.clock.is_frozen() {
            self.signal(Signal::Stop, vec![test.clone()]).await;
        }
        joined
    }

    /// Stops the tests and their time.
    pub(super) async fn freeze(&self) {
        let _turn = self.turn.lock().await;
        self.clock.freeze();
        self.signal(Signal::Stop, self.all()).await;
    }

    /// Lets the tests go on, and their time.
    pub(super) async fn thaw(&self) {
        let _turn = self.turn.lock().await;
        self.signal(Signal::Cont, self.all()).await;
        self.clock.thaw();
    }

    /// How many tests run.
    pub(super) fn running(&self) -> usize {
        self.tests().len()
    }

    async fn signal(&self, signal: Signal, tests: Vec<Child>) {
        let sent = tests.iter().map(|test| test.signal(signal, Target::Group));
        // A keeper that cannot is one that is gone, which ends the run.
        let _ = timeout(PATIENCE, join_all(sent)).await;
    }

    fn all(&self) -> Vec<Child> {
        self.tests().values().cloned().collect()
    }

    fn tests(&self) -> MutexGuard<'_, BTreeMap<u32, Child>> {
        self.tests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A test that stands still with the run.
#[derive(Debug)]
pub(super) struct Joined<'a> {
    freezer: &'a Freezer,
    pid: u32,
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        self.freezer.tests().remove(&self.pid);
    }
}
