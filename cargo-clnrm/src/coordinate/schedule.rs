//! Runs the planned tests, so many at a time, each until it passes or has no attempt left.

use std::collections::BTreeMap;
use std::ffi::OsString;
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
use super::evidence;
use super::freezer::Freezer;
use super::hosts::environment;
use super::outcome::{Limit, Seen, status};
use super::signal::Interrupts;
use super::slot::{Slot, Slots};
use super::teller::{Teller, test_id};
use crate::discover::TestBinary;
use crate::report::event::{Attempt, Output, Phases, RunEvent, SetBy, Status};
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
        let places = Arc::new(Semaphore::new(
            self.rules.threads.min(Semaphore::MAX_PERMITS),
        ));
        let mut running = JoinSet::new();
        for job in jobs {
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                () = self.interrupts.interrupt.cancelled() => break,
            };
            if self.interrupts.requested() {
                break;
            }
            if self.rules.fail_fast && self.failed.load(Ordering::Relaxed) {
                let running = self.rules.threads - places.available_permits() - 1;
                let reason = "test failure".to_owned();
                self.teller.tell(RunEvent::Cancelled { reason, running });
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
            limit: self.limit(&planned.test),
            leaked: ended.leaked,
            no_service: progress.no_service,
        });
        let passed = attempt.status.is_success();
        if !passed {
            let (clock, kill) = (self.freezer.clock(), &self.interrupts.kill);
            attempt.services = evidence::logs(&self.engine, &slot, since, clock, kill).await;
        }
        let keep = if passed || number < self.rules.attempts {
            // What the next attempt needs may be just what this one holds.
            Keep::Nothing
        } else if self.interrupts.requested() {
            // It failed because somebody wants to leave.
            Keep::WhileTheRunLasts
        } else {
            self.rules.keep
        };
        if keep != Keep::Nothing {
            attempt.kept = evidence::kept(&self.engine, &slot, keep);
        }
        // Before its leases end, and what is secret of them is forgotten.
        attempt.output = evidence::output(&ended.output, &self.engine.secrets());
        let owner = slot.owner();
        let errors = tokio::select! {
            errors = self.engine.release(&owner, keep) => errors,
            // The end of the run goes on with it, by force.
            () = self.interrupts.kill.cancelled() => Vec::new(),
        };
        attempt.phases = phases(&slot, &ended, Instant::now(), self.freezer.clock());
        (attempt, errors)
    }

    fn limit(&self, test: &TestId) -> Limit {
        let own = self.limits.get(test).map(|time| Limit {
            time: *time,
            set_by: SetBy::Attribute,
        });
        own.unwrap_or(Limit {
            time: self.rules.limit,
            set_by: SetBy::Config,
        })
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
            limit: self.limit(&planned.test).time,
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
}
