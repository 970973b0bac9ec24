//! One attempt of one test, as the coordinator knows it: what it may lease and how far it is.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clnrm_runtime::clock::Clock;
use clnrm_runtime::plan::PlannedTest;
use clnrm_runtime::service::{OwnerId, ServiceHandle};
use clnrm_runtime::{CleanroomError, Result};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::report::event::Part;
use crate::serve::Attempt;

/// An attempt that is running.
#[derive(Debug)]
pub(super) struct Slot {
    /// What it may lease.
    pub(super) planned: PlannedTest,
    /// Which attempt, from 1.
    pub(super) attempt: u32,
    /// Whether it is a clnrm test, which dials in.
    pub(super) speaks: bool,
    progress: watch::Sender<Progress>,
}

/// How far an attempt is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    /// When it asked for its services.
    pub(super) asked: Option<Instant>,
    /// When it had them.
    pub(super) leased: Option<Instant>,
    /// When its body began.
    pub(super) body: Option<Instant>,
    /// When it said that it has finished.
    pub(super) finished: Option<Instant>,
    /// The service that did not start, and why.
    pub(super) no_service: Option<(String, String)>,
    /// Another version of clnrm is in its binary: what to do about it.
    pub(super) skew: Option<String>,
    /// What it leased.
    pub(super) handles: Vec<ServiceHandle>,
}

impl Progress {
    /// The part that the attempt is in, and since when. Waiting for services is none.
    fn part(&self, begun: Instant) -> Option<(Part, Instant)> {
        match (self.asked, self.leased, self.body) {
            (_, _, Some(body)) => Some((Part::Body, body)),
            (_, Some(leased), None) => Some((Part::SetUp, leased)),
            (Some(_), None, None) => None,
            (None, None, None) => Some((Part::SetUp, begun)),
        }
    }
}

impl Slot {
    pub(super) fn new(planned: PlannedTest, attempt: u32, speaks: bool) -> Self {
        let progress = Progress {
            // All of a plain test is its body.
            body: (!speaks).then(Instant::now),
            ..Progress::default()
        };
        Self {
            planned,
            attempt,
            speaks,
            progress: watch::Sender::new(progress),
        }
    }

    pub(super) fn owner(&self) -> OwnerId {
        OwnerId::Test {
            test: self.planned.test.clone(),
            attempt: self.attempt,
        }
    }

    pub(super) fn attempt(&self) -> Attempt {
        Attempt {
            test: self.planned.test.clone(),
            number: self.attempt,
        }
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits until a part of the attempt, whose process `begun` then, has taken
    /// `limit`, and says since when it has been in that part.
    pub(super) async fn overruns(
        &self,
        begun: Instant,
        limit: Duration,
        clock: &Clock,
    ) -> (Part, Instant) {
        let mut progress = self.progress.subscribe();
        loop {
            let part = progress.borrow_and_update().part(begun);
            let over = async {
                match part {
                    Some((_, since)) => clock.passed(since, limit).await,
                    None => pending().await,
                }
            };
            // The sender lives as long as `self`, so that a change is all that can come.
            let is_over = tokio::select! {
                () = over => true,
                _ = progress.changed() => false,
            };
            if let Some(part) = part.filter(|_| is_over) {
                return part;
            }
        }
    }
}

/// The attempts that are running.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<BTreeMap<Attempt, Arc<Slot>>>);

impl Slots {
    pub(super) fn insert(&self, slot: &Arc<Slot>) {
        self.lock().insert(slot.attempt(), Arc::clone(slot));
    }

    pub(super) fn remove(&self, slot: &Slot) {
        self.lock().remove(&slot.attempt());
    }

    pub(super) fn get(&self, attempt: &Attempt) -> Result<Arc<Slot>> {
        let slot = self.lock().get(attempt).cloned();
        slot.ok_or_else(|| {
            CleanroomError::protocol_error(format!("test `{}` is not running", attempt.test))
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Attempt, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use clnrm_runtime::service::TestId;
    use tokio::time::advance;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    fn slot() -> Slot {
        let test = TestId {
            binary: "shop::it".to_owned(),
            name: "orders".to_owned(),
        };
        let planned = PlannedTest {
            test,
            leases: Vec::new(),
            error: None,
        };
        Slot::new(planned, 1, true)
    }

    /// After which time it overruns, and in which part.
    async fn overruns(slot: &Slot, begun: Instant) -> (Part, Duration) {
        let (part, since) = slot.overruns(begun, LIMIT, &Clock::default()).await;
        assert_eq!(since.elapsed(), LIMIT);
        (part, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_never_asks_overruns() {
        let slot = slot();
        assert_eq!(overruns(&slot, Instant::now()).await, (Part::SetUp, LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_services_has_no_limit_and_fixtures_have() {
        let (slot, begun) = (slot(), Instant::now());
        slot.note(|progress| progress.asked = Some(begun));
        let leased = async {
            advance(10 * LIMIT).await;
            slot.note(|progress| progress.leased = Some(Instant::now()));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            over = overruns(&slot, begun) => assert_eq!(over, (Part::SetUp, 11 * LIMIT)),
            () = leased => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_body_has_the_limit_anew() {
        let (slot, begun) = (slot(), Instant::now());
        let body = async {
            advance(LIMIT / 2).await;
            slot.note(|progress| progress.body = Some(Instant::now()));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            over = overruns(&slot, begun) => assert_eq!(over, (Part::Body, LIMIT + LIMIT / 2)),
            () = body => {}
        }
    }
}
