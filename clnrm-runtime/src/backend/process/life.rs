//! What changes in an instance: its ports, and what runs.

use std::os::fd::OwnedFd;
use std::time::SystemTime;

use tokio::task::JoinHandle;

use super::ports::Ports;
use crate::backend::{Inspection, State};
use crate::keeper::Child;

/// What changes.
#[derive(Debug, Default)]
pub(super) struct Life {
    pub(super) ports: Ports,
    /// The last start.
    pub(super) running: Option<Running>,
}

/// A start.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) since: SystemTime,
    pub(super) paused: bool,
    /// Takes what it writes.
    pub(super) log: JoinHandle<()>,
    /// What the log is read from.
    pub(super) ends: [OwnedFd; 2],
}

impl Drop for Running {
    fn drop(&mut self) {
        self.log.abort();
    }
}

impl Life {
    pub(super) fn child(&self) -> Option<Child> {
        self.running.as_ref().map(|running| running.child.clone())
    }

    pub(super) fn inspect(&self) -> Inspection {
        let state = match &self.running {
            None => State::Created,
            Some(running) => match running.child.exit() {
                Some(exit) => State::Exited { code: exit.code() },
                None if running.paused => State::Paused,
                None => State::Running,
            },
        };
        let runs = matches!(state, State::Running | State::Paused);
        let child = self.running.as_ref().map(|running| &running.child);
        Inspection {
            pid: child.filter(|_| runs).map(Child::pid),
            healthy: None,
            check: None,
            endpoints: self.ports.endpoints(),
            state,
        }
    }
}
