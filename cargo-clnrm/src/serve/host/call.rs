//! The calls that a host is running.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clnrm_runtime::Result;
use clnrm_runtime::clock::Deadline;
use clnrm_runtime::protocol::HookReply;
use clnrm_runtime::service::{ServiceHandle, ServiceId};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// The calls of one host, by id.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<Table>);

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) running: BTreeMap<u64, Running>,
    last: u64,
    /// Set when the host is lost: nothing is added any more.
    closed: bool,
}

/// A call that its host has not answered.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) service: Option<ServiceId>,
    pub(super) deadline: Deadline,
    method: &'static str,
    /// Whoever waits; gone when nobody does any more.
    waiting: Option<oneshot::Sender<Answered>>,
    /// What it started through the ambient engine.
    pub(super) created: Vec<ServiceHandle>,
    /// What it is asking the ambient engine.
    pub(super) questions: BTreeMap<u64, AbortHandle>,
    /// Cancelled when the host has answered, or is lost.
    ended: CancellationToken,
}

/// What a host answered, and what the call started on the way: the answer's
/// if it succeeded, nobody's if it failed.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) service: Option<ServiceId>,
    pub(super) result: Result<HookReply>,
    pub(super) created: Vec<ServiceHandle>,
}

/// A call that was given up, and that its host has yet to answer.
#[derive(Debug)]
pub(super) struct GivenUp {
    pub(super) method: &'static str,
    pub(super) created: Vec<ServiceHandle>,
    pub(super) ended: CancellationToken,
}

impl Running {
    pub(super) fn is_given_up(&self) -> bool {
        self.waiting.is_none()
    }

    /// Ends what it asks, and returns what it started.
    fn strip(&mut self) -> Vec<ServiceHandle> {
        for question in std::mem::take(&mut self.questions).into_values() {
            question.abort();
        }
        std::mem::take(&mut self.created)
    }
}

impl Calls {
    pub(super) fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins; none when the host is lost.
    pub(super) fn begin(
        &self,
        service: Option<&ServiceId>,
        method: &'static str,
        deadline: Deadline,
    ) -> Option<(u64, oneshot::Receiver<Answered>)> {
        let mut table = self.lock();
        if table.closed {
            return None;
        }
        table.last += 1;
        let id = table.last;
        let (send, receive) = oneshot::channel();
        let running = Running {
            service: service.cloned(),
            deadline,
            method,
            waiting: Some(send),
            created: Vec::new(),
            questions: BTreeMap::new(),
            ended: CancellationToken::new(),
        };
        table.running.insert(id, running);
        Some((id, receive))
    }

    /// Nobody waits for the call any more; none when it is over already.
    pub(super) fn give_up(&self, id: u64) -> Option<GivenUp> {
        let mut table = self.lock();
        let running = table.running.get_mut(&id)?;
        running.waiting = None;
        Some(GivenUp {
            method: running.method,
            created: running.strip(),
            ended: running.ended.clone(),
        })
    }

    /// The host has answered. Returns the answer when nobody waits for it.
    pub(super) fn end(&self, id: u64, result: Result<HookReply>) -> Option<Answered> {
        let mut running = self.lock().running.remove(&id)?;
        running.ended.cancel();
        let answered = Answered {
            created: running.strip(),
            service: running.service,
            result,
        };
        match running.waiting {
            // The caller may go away at this very moment: the channel knows.
            Some(waiting) => waiting.send(answered).err(),
            None => Some(answered),
        }
    }

    /// The host is lost: every call ends without an answer. Returns what they started.
    pub(super) fn close(&self) -> Vec<ServiceHandle> {
        let mut table = self.lock();
        table.closed = true;
        let lost = std::mem::take(&mut table.running);
        drop(table);
        let strip = |mut running: Running| {
            running.ended.cancel();
            running.strip()
        };
        lost.into_values().flat_map(strip).collect()
    }
}
