//! What happens in a run, as data: the only thing that a reporter learns of it, and the lines of `--report json=PATH`.
//!
//! # The format
//! One JSON object a line (NDJSON), in the order in which things happened, each flushed when it is written:
//!
//! ```json
//! {"version":1,"run":"01J…","at_ms":1532,"event":"test_started","package":"shop","binary_id":"shop::it","name":"orders::list","attempt":1}
//! ```
//!
//! | field | meaning |
//! | --- | --- |
//! | `version` | of this format: [`VERSION`]. New events and new fields do not raise it, so readers pass over what they do not know |
//! | `run` | the run's id, as on the labels of everything it starts |
//! | `at_ms` | whole milliseconds since the command started |
//! | `event` | which event; the other fields are its own, listed with each variant of [`RunEvent`] |
//!
//! All durations are whole milliseconds in fields that end in `_ms`. A field that has no value is left out. A test is
//! always named by the three fields of [`TestId`].
//!
//! # The order
//! `build_*` and `binary_discovered` come first, `run_started` when it is known which tests will run, `run_finished`
//! last of all and just once. Pulls and the starts of services overlap with all of these. A test has one `test_started`
//! and one `test_attempt` for each attempt that failed and is repeated, and a single `test_finished` at its end, also
//! when it could not run for want of a service. `timing` sums up, right before `run_finished`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

mod counts;
pub(crate) mod millis;
mod service;
mod test;
#[cfg(test)]
mod tests;

pub use counts::{Counts, NotRun, Tally};
pub use service::{
    InstanceDurations, InstanceState, Leaked, Lease, Planned, ResourceKind, Scope, ServiceChange,
};
pub use test::{
    Attempt, Kept, LogLine, Output, Part, Phases, ServiceUse, SetBy, Status, Stream, TestId, Until,
};

use super::timing::Timing;

/// Version of the format. It is raised when a field or an event is renamed, removed, or changes its meaning.
pub const VERSION: u32 = 1;

/// An event, with the run it belongs to and its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Version of the format: [`VERSION`].
    pub version: u32,
    /// Id of the run.
    pub run: String,
    /// Time since the command started.
    #[serde(rename = "at_ms", with = "millis")]
    pub at: Duration,
    /// What happened.
    #[serde(flatten)]
    pub event: RunEvent,
}

impl Envelope {
    /// An event of the present version.
    #[must_use]
    pub fn new(run: &str, at: Duration, event: RunEvent) -> Self {
        Self {
            version: VERSION,
            run: run.to_owned(),
            at,
            event,
        }
    }
}

/// Everything that can happen in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum RunEvent {
    /// Cargo begins to build the test binaries.
    BuildStarted {
        /// The command line.
        command: String,
    },
    /// Cargo has built, or found built, one crate more.
    BuildProgress {
        /// Crates so far.
        crates: usize,
        /// The last of them.
        current: String,
    },
    /// A diagnostic of cargo or the compiler.
    BuildMessage {
        /// How bad it is.
        level: Level,
        /// The diagnostic as cargo draws it, colours included.
        text: String,
    },
    /// All test binaries are built, or one could not be.
    BuildFinished {
        /// Whether all are.
        success: bool,
        /// How long it took.
        #[serde(rename = "elapsed_ms", with = "millis")]
        elapsed: Duration,
    },
    /// A test binary exists and its tests are known.
    BinaryDiscovered {
        /// Package of the binary.
        package: String,
        /// Id of the binary.
        binary_id: String,
        /// Cargo's kind of the target.
        kind: String,
        /// How many clnrm tests it has, selected or not.
        tests: usize,
    },
    /// It is known what will run.
    RunStarted {
        /// Wall-clock time, RFC 3339 with an offset.
        started_at: String,
        /// Name of clnrm's profile.
        profile: String,
        /// Tests that will run.
        tests: usize,
        /// Binaries that have any of them.
        binaries: usize,
        /// Tests that are ignored or not selected.
        skipped: usize,
        /// What `cargo test` would run and this run does not.
        not_run: NotRun,
        /// How a test of it is run again.
        #[serde(default)]
        again: Again,
    },
    /// An image is being pulled; once a second or so.
    PullProgress {
        /// The image.
        image: String,
        /// Bytes that are here.
        bytes: u64,
        /// Bytes in all, once that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
    },
    /// A pull ended.
    PullFinished {
        /// The image.
        image: String,
        /// How long it took.
        #[serde(rename = "elapsed_ms", with = "millis")]
        elapsed: Duration,
        /// Why it failed, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The plan for one service.
    ServicePlanned(Planned),
    /// An instance is in another state than before.
    ServiceState(ServiceChange),
    /// A test, or the run, may use an instance or a slice of it.
    LeaseGranted {
        /// The lease.
        #[serde(flatten)]
        lease: Lease,
        /// How long the owner waited for it.
        #[serde(rename = "waited_ms", with = "millis")]
        waited: Duration,
    },
    /// A lease ended.
    LeaseEnded {
        /// The lease.
        #[serde(flatten)]
        lease: Lease,
        /// Whether what was leased is kept for a look at it.
        kept: bool,
    },
    /// The process of a test is running.
    TestStarted {
        /// The test.
        #[serde(flatten)]
        test: TestId,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// A test takes longer than its profile finds usual.
    TestSlow {
        /// The test.
        #[serde(flatten)]
        test: TestId,
        /// Which attempt, from 1.
        attempt: u32,
        /// How long it has run.
        #[serde(rename = "elapsed_ms", with = "millis")]
        elapsed: Duration,
        /// Whether it is now told to end.
        terminating: bool,
    },
    /// An attempt failed, and the test is tried again.
    TestAttempt(Attempt),
    /// A test ended for good.
    TestFinished(Attempt),
    /// The audit at the end found something that should be gone.
    Leak(Leaked),
    /// No further test is started.
    Cancelled {
        /// Why, as in "due to …": `test failure`.
        reason: String,
        /// Tests that still run.
        running: usize,
    },
    /// A signal asked the run to end.
    Interrupted {
        /// The signal: `SIGINT`.
        signal: String,
        /// How many there were: the first ends tests, the second kills them, the third leaves all to the keeper.
        times: u32,
        /// Tests that still run.
        running: usize,
    },
    /// Ctrl-Z stopped the tests and their time, and is about to stop the command.
    Frozen {
        /// Tests that have not ended.
        running: usize,
    },
    /// The tests go on, and their time.
    Thawed {
        /// Tests that have not ended.
        running: usize,
    },
    /// Something the user should know that is none of the above.
    Notice {
        /// How bad it is.
        level: Level,
        /// The text; of several lines, the first says it and the others explain.
        text: String,
    },
    /// Where the time went. The reporter adds it by itself.
    Timing(Timing),
    /// The run is over.
    RunFinished {
        /// How the tests ended.
        #[serde(flatten)]
        counts: Counts,
        /// Exit code of the command.
        exit_code: i32,
        /// Time since the command started.
        #[serde(rename = "elapsed_ms", with = "millis")]
        elapsed: Duration,
    },
}

/// What `cargo clnrm test` takes to run a test of the run once more, besides
/// the test's own filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// What is selected and how it is built: `-p`, `--release`, `--all`, …
    pub flags: Vec<String>,
    /// What follows `--`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

/// How bad a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Note,
    /// Better changed.
    Warning,
    /// Wrong.
    Error,
}
