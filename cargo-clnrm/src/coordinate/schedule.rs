//! Runs the planned tests, so many at a time, each until it passes or has no attempt left.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use clnrm_runtime::engine::{Engine, Keep};
use clnrm_runtime::keeper::Keeper;
use clnrm_runtime::plan::{Plan, PlannedTest};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::attempt::{Ended, Launch, phases};
use super::hosts::environment;
use super::outcome::{Seen, status};
use super::signal::Interrupts;
use super::slot::{Slot, Slots};
use super::teller::{Teller, test_id};
use crate::discover::TestBinary;
use crate::report::event::{
    Attempt, Kept, LogLine, Output, Phases, RunEvent, ServiceUse, Status, Stream,
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
    pub(super) binaries: BTreeMap<String, TestBinary>,
    /// What each body may take, where its attribute says so.
    pub(super) limits: BTreeMap<clnrm_runtime::service::TestId, Duration>,
    pub(super) failed: AtomicBool,
}

impl Stage {
    /// Runs every test of the plan. Returns what could not be cleaned up after them.
    pub(super) async fn run(self: &Arc<Self>, plan: &Plan) -> Vec<clnrm_runtime::CleanroomError> {
        let places = Arc::new(Semaphore::new(self.rules.threads));
        let mut running = JoinSet::new();
        for planned in plan.tests.clone() {
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                () = self.interrupts.interrupt.cancelled() => break,
            };
            if self.stops_early() {
                break;
            }
            let stage = Arc::clone(self);
            running.spawn(async move {
                let errors = stage.test(&planned).await;
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
    async fn test(&self, planned: &PlannedTest) -> Vec<clnrm_runtime::CleanroomError> {
        let mut errors = Vec::new();
        for number in 1..=self.rules.attempts {
            let (attempt, more) = self.attempt(planned, number).await;
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
        planned: &PlannedTest,
        number: u32,
    ) -> (Attempt, Vec<clnrm_runtime::CleanroomError>) {
        let test = test_id(&planned.test);
        self.teller.tell(RunEvent::TestStarted {
            test: test.clone(),
            attempt: number,
        });
        let slot = Arc::new(Slot::new(planned.clone(), number));
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
            self.teller.notice(crate::report::event::Level::Error, skew);
        }
        attempt.status = status(Seen {
            exit: ended.exit,
            speaks: true,
            finished: progress.finished.is_some(),
            timed_out: ended.timed_out,
            leaked: ended.leaked,
            no_service: progress.no_service,
        });
        let keep = if attempt.status.is_success() {
            Keep::Nothing
        } else {
            Keep::WhileTheRunLasts
        };
        if keep == Keep::WhileTheRunLasts {
            attempt.services = self.logs(&slot, since).await;
            attempt.kept = kept(&slot);
        }
        let errors = self.engine.release(&slot.owner(), keep).await;
        attempt.phases = phases(&slot, &ended, Instant::now());
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
        let ticket = self.reception.expect_test(slot.attempt())?;
        let mut env: BTreeMap<OsString, OsString> = environment(binary);
        env.extend(ticket.env());
        let launch = Launch {
            keeper: &self.keeper,
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
}

/// What a failed test leaves while the run lasts, and how to look at it.
fn kept(slot: &Slot) -> Vec<Kept> {
    let each = slot.progress().handles.into_iter().map(|handle| Kept {
        service: handle.name().to_owned(),
        instance: handle.instance().to_string(),
        slice: handle.slice().map(|slice| slice.id.name.clone()),
        connect: handle.url().into_iter().collect(),
    });
    each.collect()
}
