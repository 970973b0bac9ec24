//! Ends a process whose blocking test runs longer than it may.
//!
//! A thread cannot be killed, so a test that overruns under plain `cargo test`
//! takes its process with it, after it has said so. Under the coordinator the
//! test has a process of its own, and this is not needed.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long the process may take to come to its end after the limit.
const GRACE: Duration = Duration::from_secs(1);

/// Watches until it is dropped.
#[derive(Debug)]
pub(super) struct Watchdog {
    /// Its end is the sign that the test has ended.
    _test: Option<Sender<()>>,
}

impl Watchdog {
    /// Ends the process when `test` has not dropped this after `limit`.
    pub(super) fn new(test: &'static str, limit: Option<Duration>) -> Self {
        let Some(limit) = limit else {
            return Self { _test: None };
        };
        let (done, ended) = channel::<()>();
        std::thread::spawn(move || {
            if ended.recv_timeout(limit) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            // Past the harness's capture: the process will not live to print that.
            let text = format!(
                "test `{test}` runs longer than its {limit:?}; a thread cannot be killed, so the process ends \
                 (hint: `cargo clnrm test` gives each test a process of its own)\n"
            );
            let _ = std::io::stderr().write_all(text.as_bytes());
            if ended.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
                std::process::abort();
            }
        });
        Self { _test: Some(done) }
    }
}
