//! One attempt of one test, as the coordinator knows it: what it may lease and how far it is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clnrm_runtime::plan::PlannedTest;
use clnrm_runtime::service::{OwnerId, ServiceHandle};
use clnrm_runtime::{CleanroomError, Result};
use tokio::sync::watch;
use tokio::time::Instant;

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
    /// When its body began: from here on its time is limited.
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

    /// Waits until the body has begun, and says when.
    pub(super) async fn body(&self) -> Instant {
        let mut progress = self.progress.subscribe();
        let begun = progress.wait_for(|progress| progress.body.is_some()).await;
        let body = begun.ok().and_then(|progress| progress.body);
        // The sender lives as long as `self`, so there is an answer.
        body.unwrap_or_else(Instant::now)
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
