//! Runs the planned tests, so many at a time, each until it passes or has no attempt left.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use clnrm_runtime::engine::{Engine, Keep};
use clnrm_runtime::keeper::Keeper;
use clnrm_runtime::plan::PlannedTest;
use clnrm_runtime::service::TestId;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::attempt::{Ended, Launch, phases};
use super::freezer::Freezer;
use super::hosts::environment;
use super::outcome::{Seen, status};
use super::signal::Interrupts;
use super::slot::{Slot, Slots};
use super::teller::{Teller, test_id};
use crate::discover::TestBinary;
use crate::report::event::{
    Attempt, Kept, LogLine, Output, Phases, RunEvent, ServiceUse, Status, Stream, Until,
};
use crate::serve::Reception;

/// How tests are run.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// Tests at once.
    pub(super) threads: usize,
    /// Attempts of each.
    pub(super) attempts: u32,
    /// Whether the first failure ends the run.
    pub(super) fail_fast: bool,
    /// Whether output is kept from the terminal.
    pub(super) capture: bool,
    /// How long a body may take that says nothing itself.
    pub(super) limit: Duration,
    /// After how long a test is slow.
    pub(super) slow: Duration,
    /// How long a test may take to end when it is asked to.
    pub(super) grace: Duration,
    /// What happens to what a failed test held.
    pub(super) keep: Keep,
    /// Arguments for the test binaries.
    pub(super) args: Vec<String>,
}

/// What the tests run in.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) rules: Rules,
    pub(super) engine: Engine,
    pub(super) keeper: Keeper,
    pub(super) reception: Reception,
    pub(super) slots: Arc<Slots>,
    pub(super) teller: Arc<Teller>,
    pub(super) interrupts: Interrupts,
    pub(super) freezer: Arc<Freezer>,
    pub(super) binaries: BTreeMap<String, TestBinary>,
    /// What each body may take, where its attribute says so.
    pub(super) limits: BTreeMap<TestId, Duration>,
    pub(super) failed: AtomicBool,
    /// Whether a test dialled in with another version.
    pub(super) skewed: Arc<AtomicBool>,
}

/// A test to run.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// What it may lease: nothing, if it is a plain one.
    pub(super) planned: PlannedTest,
    /// Whether it is a clnrm test, which dials in.
    pub(super) speaks: bool,
}

impl Job {
    /// A clnrm test.
    pub(super) fn of_plan(planned: PlannedTest) -> Self {
        Self {
            planned,
            speaks: true,
        }
    }

    /// A test without the attribute.
    pub(super) fn plain(test: TestId) -> Self {
        let planned = PlannedTest {
            test,
            leases: Vec::new(),
            error: None,
        };
        Self {
            planned,
            speaks: false,
        }
    }

    /// The id of its binary.
    pub(super) fn binary(&self) -> &str {
        &self.planned.test.binary
    }
}

impl Stage {
    /// Runs the tests. Returns what could not be cleaned up after them.
    pub(super) async fn run(
        self: &Arc<Self>,
        jobs: Vec<Job>,
    ) -> Vec<clnrm_runtime::CleanroomError> {
        let places = Arc::new(Semaphore::new(self.rules.threads));
        let mut running = JoinSet::new();
        for job in jobs {
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                () = self.interrupts.interrupt.cancelled() => break,
            };
            if self.stops_early() {
                break;
            }
            let stage = Arc::clone(self);
            running.spawn(async move {
                let errors = stage.test(&job).await;
                drop(place);
                errors
            });
        }
        let mut errors = Vec::new();
        while let Some(ended) = running.join_next().await {
            match ended {
                Ok(more) => errors.extend(more),
                Err(error) => errors.push(
                    clnrm_runtime::CleanroomError::internal_error("a test's task panicked")
                        .with_source(error),
                ),
            }
        }
        errors
    }

    fn stops_early(&self) -> bool {
        self.interrupts.requested() || (self.rules.fail_fast && self.failed.load(Ordering::Relaxed))
    }

    /// One test, attempt by attempt.
    async fn test(&self, job: &Job) -> Vec<clnrm_runtime::CleanroomError> {
        let mut errors = Vec::new();
        for number in 1..=self.rules.attempts {
            let (attempt, more) = self.attempt(job, number).await;
            errors.extend(more);
            let passed = attempt.status.is_success();
            if passed || number == self.rules.attempts || self.interrupts.requested() {
                if !passed {
                    self.failed.store(true, Ordering::Relaxed);
                }
                self.teller.tell(RunEvent::TestFinished(attempt));
                break;
            }
            self.teller.tell(RunEvent::TestAttempt(attempt));
        }
        errors
    }

    async fn attempt(
        &self,
        Job { planned, speaks }: &Job,
        number: u32,
    ) -> (Attempt, Vec<clnrm_runtime::CleanroomError>) {
        let test = test_id(&planned.test);
        self.teller.tell(RunEvent::TestStarted {
            test: test.clone(),
            attempt: number,
        });
        let slot = Arc::new(Slot::new(planned.clone(), number, *speaks));
        let since = SystemTime::now();
        let mut attempt = Attempt {
            test,
            attempt: number,
            attempts: self.rules.attempts,
            status: Status::Pass,
            phases: Phases::default(),
            output: Output::default(),
            services: Vec::new(),
            kept: Vec::new(),
        };
        self.slots.insert(&slot);
        let launched = self.launch(&slot).await;
        self.slots.remove(&slot);
        let ended = match launched {
            Ok(ended) => ended,
            Err(error) => {
                attempt.status = Status::NoProcess {
                    error: error.report(),
                };
                return (
                    attempt,
                    self.engine.release(&slot.owner(), Keep::Nothing).await,
                );
            }
        };
        let progress = slot.progress();
        if let Some(skew) = progress.skew {
            self.skewed.store(true, Ordering::Relaxed);
            self.teller.notice(crate::report::event::Level::Error, skew);
        }
        attempt.status = status(Seen {
            exit: ended.exit,
            speaks: slot.speaks,
            finished: progress.finished.is_some(),
            overran: ended.overran,
            leaked: ended.leaked,
            no_service: progress.no_service,
        });
        let keep = if attempt.status.is_success() {
            Keep::Nothing
        } else if self.interrupts.requested() || number < self.rules.attempts {
            // It is tried again, or it failed because somebody wants to leave.
            Keep::WhileTheRunLasts
        } else {
            self.rules.keep
        };
        if keep != Keep::Nothing {
            attempt.services = self.logs(&slot, since).await;
            attempt.kept = self.kept(&slot, keep);
        }
        let errors = self.engine.release(&slot.owner(), keep).await;
        attempt.phases = phases(&slot, &ended, Instant::now(), self.freezer.clock());
        attempt.output = ended.output;
        (attempt, errors)
    }

    async fn launch(&self, slot: &Arc<Slot>) -> clnrm_runtime::Result<Ended> {
        let planned = &slot.planned;
        let binary = self.binaries.get(&planned.test.binary).ok_or_else(|| {
            clnrm_runtime::CleanroomError::internal_error(format!(
                "binary `{}` is not there",
                planned.test.binary
            ))
        })?;
        let mut env: BTreeMap<OsString, OsString> = environment(binary);
        let ticket = if slot.speaks {
            Some(self.reception.expect_test(slot.attempt())?)
        } else {
            None
        };
        env.extend(ticket.iter().flat_map(|ticket| ticket.env()));
        let launch = Launch {
            keeper: &self.keeper,
            freezer: &self.freezer,
            binary,
            name: &planned.test.name,
            args: &self.rules.args,
            env,
            capture: self.rules.capture,
            limit: self
                .limits
                .get(&planned.test)
                .copied()
                .unwrap_or(self.rules.limit),
            slow: self.rules.slow,
            grace: self.rules.grace,
            interrupt: self.interrupts.interrupt.clone(),
            kill: self.interrupts.kill.clone(),
        };
        let (test, attempt) = (test_id(&planned.test), slot.attempt);
        launch
            .run(slot, |elapsed, terminating| {
                self.teller.tell(RunEvent::TestSlow {
                    test: test.clone(),
                    attempt,
                    elapsed,
                    terminating,
                });
            })
            .await
    }

    /// The lines that each service the test used wrote since `since`.
    async fn logs(&self, slot: &Slot, since: SystemTime) -> Vec<ServiceUse> {
        let mut uses = Vec::new();
        for handle in slot.progress().handles {
            let lines = self
                .engine
                .logs(&handle, Some(since))
                .await
                .unwrap_or_default();
            let log = lines.into_iter().map(|line| LogLine {
                after: line.at.duration_since(since).unwrap_or_default(),
                stream: match line.stream {
                    clnrm_runtime::service::LogStream::Stdout => Stream::Stdout,
                    clnrm_runtime::service::LogStream::Stderr => Stream::Stderr,
                },
                text: line.text,
            });
            let log = log.collect();
            uses.push(ServiceUse {
                service: handle.name().to_owned(),
                instance: handle.instance().to_string(),
                log,
            });
        }
        uses
    }

    /// What a failed test leaves, and how to look at it. The addresses with
    /// their passwords go to a file that is the user's alone: reports are read
    /// by others.
    fn kept(&self, slot: &Slot, keep: Keep) -> Vec<Kept> {
        let until = match keep {
            Keep::AfterTheRun => Until::Cleaned,
            _ => Until::RunEnds,
        };
        let book = self.engine.run().dir().join(CONNECT);
        let kept = slot.progress().handles.into_iter().map(|handle| {
            let url = handle.url().ok();
            if let Some(url) = &url
                && let Err(error) = note(&book, &slot.planned.test.to_string(), handle.name(), url)
            {
                tracing::warn!(%error, "cannot write down how to connect");
            }
            Kept {
                service: handle.name().to_owned(),
                instance: handle.instance().to_string(),
                slice: handle.slice().map(|slice| slice.id.name.clone()),
                connect: url.iter().map(|url| without_password(url)).collect(),
                passwords: url
                    .filter(|url| without_password(url) != *url)
                    .map(|_| book.clone()),
                until,
            }
        });
        kept.collect()
    }
}

/// The file in the directory of a run that has whole addresses.
const CONNECT: &str = "connect";

/// Appends a line to the file of addresses: test, service, address.
fn note(book: &Path, test: &str, service: &str, url: &str) -> std::io::Result<()> {
    let mut file = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(book)?;
    file.write_all(format!("{test}\t{service}\t{url}\n").as_bytes())
}

/// A URL that can be shown: `***` stands for its password.
fn without_password(url: &str) -> String {
    let shown = || {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (userinfo, _) = authority.rsplit_once('@')?;
        let (user, _) = userinfo.split_once(':')?;
        let after = rest.get(userinfo.len()..)?;
        Some(format!("{scheme}://{user}:***{after}"))
    };
    shown().unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_password() {
        let check = |url, expected| assert_eq!(without_password(url), expected);
        check("postgres://u:p@h:1/d?a=b@c", "postgres://u:***@h:1/d?a=b@c");
        check("redis://:p%40@h:1/3", "redis://:***@h:1/3");
        check("postgres://u:a@b:c@h/d", "postgres://u:***@h/d");
        check("http://h:1/a:b@c", "http://h:1/a:b@c");
        check("http://u@h", "http://u@h");
        check("unix:/tmp/s", "unix:/tmp/s");
    }

    #[test]
    fn whole_addresses_are_the_user_s_alone() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let book = dir.path().join(CONNECT);
        note(&book, "shop::it a", "db", "postgres://u:p@h/1").unwrap();
        note(&book, "shop::it b", "db", "postgres://u:p@h/2").unwrap();
        let text = std::fs::read_to_string(&book).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.starts_with("shop::it a\tdb\tpostgres://u:p@h/1\n"),
            "{text}"
        );
        let mode = std::fs::metadata(&book).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
