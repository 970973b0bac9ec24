//! How many tests ended how.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{RunEvent, Status, TestId};

/// How the tests of a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tests that were to run.
    pub tests: usize,
    /// Tests that passed.
    pub passed: usize,
    /// Of those, the ones that had failed before.
    pub flaky: usize,
    /// Of those, the ones that left something which held their output open.
    pub leaky: usize,
    /// Tests that passed, and had been slow.
    pub slow: usize,
    /// Tests that failed in a way that is none of the next two.
    pub failed: usize,
    /// Tests that ran longer than they may.
    pub timed_out: usize,
    /// Tests that did not run for want of a service.
    pub no_service: usize,
    /// Tests that are ignored or not selected.
    pub skipped: usize,
    /// Things that were still there after everything had been stopped.
    #[serde(default)]
    pub leaks: usize,
    /// What `cargo test` would run and this run does not.
    pub not_run: NotRun,
}

/// What `cargo test` would run and `cargo clnrm test` does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRun {
    /// Tests without clnrm's attribute.
    pub plain_tests: usize,
    /// Test targets with `harness = false`.
    pub harnessless: usize,
    /// Libraries that have documentation tests.
    pub doctests: usize,
}

impl Counts {
    /// Tests that ended, in whatever way.
    #[must_use]
    pub const fn finished(&self) -> usize {
        self.passed + self.unsuccessful()
    }

    /// Tests that ended and did not pass.
    #[must_use]
    pub const fn unsuccessful(&self) -> usize {
        self.failed + self.timed_out + self.no_service
    }
}

/// Counts from the events of a run. The runner needs the result for its own last event.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    counts: Counts,
    slow: BTreeSet<TestId>,
}

impl Tally {
    /// Takes note of an event.
    pub fn observe(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunStarted {
                tests,
                skipped,
                not_run,
                ..
            } => {
                self.counts.tests = *tests;
                self.counts.skipped = *skipped;
                self.counts.not_run = *not_run;
            }
            RunEvent::Leak(_) => self.counts.leaks += 1,
            RunEvent::TestSlow { test, .. } => {
                self.slow.insert(test.clone());
            }
            RunEvent::TestFinished(attempt) => {
                self.counts.flaky += usize::from(attempt.is_flaky());
                let passed = self.counts.passed;
                self.finished(&attempt.status);
                let has_passed = self.counts.passed > passed;
                self.counts.slow += usize::from(has_passed && self.slow.contains(&attempt.test));
            }
            _ => {}
        }
    }

    fn finished(&mut self, status: &Status) {
        let counts = &mut self.counts;
        match status {
            Status::Pass => counts.passed += 1,
            Status::Leak => {
                counts.passed += 1;
                counts.leaky += 1;
            }
            Status::Timeout { .. } => counts.timed_out += 1,
            Status::NoService { .. } => counts.no_service += 1,
            Status::Fail { .. }
            | Status::Signal { .. }
            | Status::Unfinished
            | Status::NoProcess { .. } => counts.failed += 1,
        }
    }

    /// The counts so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }
}
