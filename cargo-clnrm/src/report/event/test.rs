//! The parts of events that tell of tests.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::millis;

/// The name of a test in the whole workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TestId {
    /// Its package.
    pub package: String,
    /// Id of its binary: `shop`, `shop::it`, `shop::bin/server`.
    pub binary_id: String,
    /// Its name in the binary: `orders::list`.
    pub name: String,
}

/// One attempt at a test, after its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The test.
    #[serde(flatten)]
    pub test: TestId,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// How many there may be.
    pub attempts: u32,
    /// How it ended: `status`, and what belongs to that.
    #[serde(flatten)]
    pub status: Status,
    /// How long its parts took: `wait_ms`, `setup_ms`, `body_ms`, `teardown_ms`.
    #[serde(flatten)]
    pub phases: Phases,
    /// What it wrote, `***` in the place of secrets; empty where output is not captured.
    #[serde(default)]
    pub output: Output,
    /// The services it used.
    #[serde(default)]
    pub services: Vec<ServiceUse>,
    /// What is kept of them.
    #[serde(default)]
    pub kept: Vec<Kept>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// Well.
    Pass,
    /// Well, but its output was held open by something it left; that is killed.
    Leak,
    /// The process ended with a code that is not 0.
    Fail {
        /// The exit code.
        code: i32,
    },
    /// A part of it took longer than the test allows.
    Timeout {
        /// The part.
        part: Part,
        /// How long it may take.
        #[serde(rename = "limit_ms", with = "millis")]
        limit: Duration,
        /// Where that is said.
        set_by: SetBy,
    },
    /// The process was ended by a signal.
    Signal {
        /// The signal's number on this platform.
        signal: i32,
    },
    /// The process ended with 0, but the test in it never did.
    Unfinished,
    /// It did not run, since a service it needs could not start.
    NoService {
        /// Name of the service; empty where the plan fails for no one service.
        service: String,
        /// Why it could not.
        error: String,
    },
    /// It did not run, since its process could not be started.
    NoProcess {
        /// Why it could not.
        error: String,
    },
}

/// How long the parts of a test took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// From its turn to the last lease it needs.
    #[serde(rename = "wait_ms", with = "millis")]
    pub wait: Duration,
    /// Starting the process and setting up fixtures.
    #[serde(rename = "setup_ms", with = "millis")]
    pub setup: Duration,
    /// The test itself.
    #[serde(rename = "body_ms", with = "millis")]
    pub body: Duration,
    /// From the body's end to that of the process.
    #[serde(rename = "teardown_ms", with = "millis")]
    pub teardown: Duration,
}

/// What a test wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A service that a test used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceUse {
    /// Name of the service.
    pub service: String,
    /// The instance.
    pub instance: String,
    /// What the instance logged between the test's start and its end; of tests that passed, nothing.
    #[serde(default)]
    pub log: Vec<LogLine>,
    /// Why that could not be read, where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
}

/// A part of a test that is limited. Its wait for services is not: these have limits of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What comes before its body: its process, then its fixtures.
    SetUp,
    /// Its body, and what it gives back.
    Body,
}

/// Who sets the limit of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetBy {
    /// The attribute of the test.
    Attribute,
    /// `clnrm.toml`, or the default of what it says.
    Config,
}

/// A line of a service's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Time since the test's start.
    #[serde(rename = "after_ms", with = "millis")]
    pub after: Duration,
    /// Where it was written.
    pub stream: Stream,
    /// The line, without its end.
    pub text: String,
}

/// Where a service writes a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// An instance or slice of a failed test that is still there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Name of the service.
    pub service: String,
    /// The instance.
    pub instance: String,
    /// The slice, if only a part of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// Commands or URLs that lead to it, `***` in the place of passwords.
    pub connect: Vec<String>,
    /// The file that has them with their passwords, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passwords: Option<PathBuf>,
    /// How long it is kept.
    pub until: Until,
}

/// How long something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Until the end of the run.
    RunEnds,
    /// Until `cargo clnrm clean`.
    Cleaned,
}

impl Attempt {
    /// Whether it passed after one that failed.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        self.attempt > 1 && self.status.is_success()
    }
}

impl Phases {
    /// The time that is the test's own: all but its wait for services.
    #[must_use]
    pub fn active(&self) -> Duration {
        self.setup + self.body + self.teardown
    }

    /// All of the time.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.wait + self.active()
    }
}

impl Status {
    /// Whether the test passed.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self, Self::Pass | Self::Leak)
    }

    /// The word for it in a report, of at most 12 characters: `PASS`, `SIGSEGV`.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Signal { signal } => match signal_name(*signal) {
                Some(name) => format!("SIG{name}"),
                None => format!("SIGNAL {signal}"),
            },
            other => other.plain_word().to_owned(),
        }
    }

    /// A word so short that `TRY 1` goes before it: `PASS`, `SEGV`.
    #[must_use]
    pub fn short_word(&self) -> String {
        match self {
            Self::Timeout { .. } => "TMT".to_owned(),
            Self::Unfinished => "UNFIN".to_owned(),
            Self::NoService { .. } => "NOSVC".to_owned(),
            Self::NoProcess { .. } => "NOEXE".to_owned(),
            Self::Signal { signal } => match signal_name(*signal) {
                Some(name) => name.to_owned(),
                None => format!("SIG{signal}"),
            },
            other => other.plain_word().to_owned(),
        }
    }

    const fn plain_word(&self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Leak => "LEAK",
            Self::Fail { .. } => "FAIL",
            Self::Timeout { .. } => "TIMEOUT",
            Self::Signal { .. } => "SIGNAL",
            Self::Unfinished => "UNFINISHED",
            Self::NoService { .. } => "NO SERVICE",
            Self::NoProcess { .. } => "NO PROCESS",
        }
    }

    /// What happened, as a sentence without its full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Pass => "the test passed".to_owned(),
            Self::Leak => "the test passed and left something that held its output open".to_owned(),
            Self::Fail { code } => format!("the test process ended with code {code}"),
            Self::Timeout {
                part,
                limit,
                set_by,
            } => {
                let (what, look) = match part {
                    Part::SetUp => ("what the test sets up", "its fixtures"),
                    Part::Body => ("the test", "what it waits for"),
                };
                let raise = match set_by {
                    SetBy::Attribute => "raise the `timeout` of its attribute",
                    SetBy::Config => {
                        "give it a `timeout`, or raise `test` in `[timeouts]` of clnrm.toml"
                    }
                };
                format!("{what} timed out after {limit:?} (hint: look at {look}, or {raise})")
            }
            Self::Signal { signal } => match signal_name(*signal) {
                Some(name) => format!("the test process was ended by signal {signal}: SIG{name}"),
                None => format!("the test process was ended by signal {signal}"),
            },
            Self::Unfinished => {
                "the test process ended with code 0 before the test did (hint: something called `exit`)"
                    .to_owned()
            }
            Self::NoService { service, error } if service.is_empty() => {
                format!("the test did not run: {error}")
            }
            Self::NoService { service, error } => {
                format!("the test did not run for want of `{service}`: {error}")
            }
            Self::NoProcess { error } => {
                format!("the test did not run: its process could not be started: {error}")
            }
        }
    }
}

/// The name of a signal, without `SIG`.
fn signal_name(number: i32) -> Option<&'static str> {
    const NAMES: [(Signal, &str); 13] = [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::ILL, "ILL"),
        (Signal::TRAP, "TRAP"),
        (Signal::ABORT, "ABRT"),
        (Signal::BUS, "BUS"),
        (Signal::FPE, "FPE"),
        (Signal::KILL, "KILL"),
        (Signal::SEGV, "SEGV"),
        (Signal::PIPE, "PIPE"),
        (Signal::ALARM, "ALRM"),
        (Signal::TERM, "TERM"),
    ];
    NAMES
        .iter()
        .find(|(signal, _)| signal.as_raw() == number)
        .map(|(_, name)| *name)
}
