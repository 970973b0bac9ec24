//! What Ctrl-C means the first, second and third time, what Ctrl-Z and the other signals mean.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clnrm_runtime::{CleanroomError, Result};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::freezer::Freezer;
use super::teller::Teller;
use crate::report::event::RunEvent;

/// Within what time a second SIGTERM is the first one.
const ECHO: Duration = Duration::from_millis(250);

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

    /// Somebody wants so, for so many `times` now.
    fn request(&self, times: u32) {
        self.interrupt.cancel();
        if times >= 2 {
            self.kill.cancel();
        }
        if times >= 3 {
            self.exit.cancel();
        }
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

/// Listens for the signals that ask a run to end, and for those of job control.
pub(super) fn listen(
    interrupts: Interrupts,
    freezer: Arc<Freezer>,
    teller: Arc<Teller>,
) -> Result<Listener> {
    let mut inbox = Inbox::new()?;
    let task = tokio::spawn(async move {
        let mut times = 0_u32;
        let mut terminated = None;
        loop {
            let running = || freezer.running();
            match inbox.next().await {
                Wish::End(signal) => {
                    if is_echo(&mut terminated, signal) {
                        continue;
                    }
                    times = times.saturating_add(1);
                    teller.tell(RunEvent::Interrupted {
                        signal: signal.to_owned(),
                        times,
                        running: running(),
                    });
                    interrupts.request(times);
                }
                Wish::Freeze => {
                    freezer.freeze().await;
                    teller.tell(RunEvent::Frozen { running: running() });
                    teller.settle().await;
                    inbox.stand_still().await;
                    freezer.thaw().await;
                    teller.tell(RunEvent::Thawed { running: running() });
                }
            }
        }
    });
    Ok(Listener(task))
}

/// Whether it is the same wish once more: `timeout` sends SIGTERM to its
/// command, and at once to the command's group.
fn is_echo(terminated: &mut Option<Instant>, signal: &str) -> bool {
    if signal != "SIGTERM" {
        return false;
    }
    let is_echo = terminated.is_some_and(|first| first.elapsed() < ECHO);
    if !is_echo {
        *terminated = Some(Instant::now());
    }
    is_echo
}

/// What a signal asks for.
enum Wish {
    /// The run to end; the signal's name.
    End(&'static str),
    /// The run to stand still.
    Freeze,
}

/// The signals that are listened for.
struct Inbox {
    int: Signals,
    term: Signals,
    hup: Signals,
    quit: Signals,
    stop: Signals,
    go_on: Signals,
}

impl Inbox {
    fn new() -> Result<Self> {
        let on = |signal: Signal| {
            self::signal(SignalKind::from_raw(signal.as_raw())).map_err(|error| {
                CleanroomError::internal_error("cannot listen for signals").with_source(error)
            })
        };
        Ok(Self {
            int: on(Signal::INT)?,
            term: on(Signal::TERM)?,
            hup: on(Signal::HUP)?,
            quit: on(Signal::QUIT)?,
            stop: on(Signal::TSTP)?,
            go_on: on(Signal::CONT)?,
        })
    }

    async fn next(&mut self) -> Wish {
        loop {
            return tokio::select! {
                _ = self.int.recv() => Wish::End("SIGINT"),
                _ = self.term.recv() => Wish::End("SIGTERM"),
                _ = self.hup.recv() => Wish::End("SIGHUP"),
                _ = self.quit.recv() => Wish::End("SIGQUIT"),
                _ = self.stop.recv() => Wish::Freeze,
                // It was frozen by a signal that nobody hears of, or not at all.
                _ = self.go_on.recv() => continue,
            };
        }
    }

    /// Stops this process, as Ctrl-Z would if nobody listened for it, until it
    /// is continued. The stop may come a moment after it is asked for, so the
    /// end of it is told by its own signal.
    async fn stand_still(&mut self) {
        if kill_process(getpid(), Signal::STOP).is_ok() {
            self.go_on.recv().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sigterm_that_follows_at_once_is_the_same_wish() {
        let mut terminated = None;
        assert!(!is_echo(&mut terminated, "SIGTERM"));
        assert!(is_echo(&mut terminated, "SIGTERM"));
        assert!(!is_echo(&mut terminated, "SIGINT"));
        assert!(!is_echo(&mut terminated, "SIGINT"));
        terminated = Instant::now().checked_sub(ECHO);
        assert!(!is_echo(&mut terminated, "SIGTERM"));
    }

    #[test]
    fn an_echo_makes_none_of_what_comes_after_it() {
        // So far ahead that it holds however slow the machine is.
        let first = Instant::now().checked_add(Duration::from_secs(3600));
        let mut terminated = first;
        assert!(is_echo(&mut terminated, "SIGTERM"));
        assert_eq!(terminated, first);
    }
}
