//! What Ctrl-C means the first, second and third time, and what the other signals mean.

use std::sync::Arc;

use clnrm_runtime::{CleanroomError, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::teller::Teller;
use crate::report::event::RunEvent;

/// The wishes to end, one more urgent than the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupts {
    /// Start nothing more, ask the tests to end, tear down.
    pub(super) interrupt: CancellationToken,
    /// Kill the tests, remove by force.
    pub(super) kill: CancellationToken,
    /// Exit now; the keeper finishes.
    pub(super) exit: CancellationToken,
}

impl Interrupts {
    /// Whether anybody wants the run to end.
    pub(super) fn requested(&self) -> bool {
        self.interrupt.is_cancelled()
    }
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens for the signals that ask a run to end.
pub(super) fn listen(interrupts: Interrupts, teller: Arc<Teller>) -> Result<Listener> {
    let cannot =
        |error| CleanroomError::internal_error("cannot listen for signals").with_source(error);
    let on = |kind| signal(kind).map_err(cannot);
    let (mut int, mut term) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let (mut hup, mut quit) = (on(SignalKind::hangup())?, on(SignalKind::quit())?);
    let task = tokio::spawn(async move {
        for times in 1_u32.. {
            let name = tokio::select! {
                _ = int.recv() => "SIGINT",
                _ = term.recv() => "SIGTERM",
                _ = hup.recv() => "SIGHUP",
                _ = quit.recv() => "SIGQUIT",
            };
            let counts = teller.counts();
            let running = counts.tests.saturating_sub(counts.finished());
            teller.tell(RunEvent::Interrupted {
                signal: name.to_owned(),
                times,
                running,
            });
            interrupts.interrupt.cancel();
            if times >= 2 {
                interrupts.kill.cancel();
            }
            if times >= 3 {
                interrupts.exit.cancel();
            }
        }
    });
    Ok(Listener(task))
}
