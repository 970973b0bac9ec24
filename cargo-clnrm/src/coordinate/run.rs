//! From the command line to the exit code: discover, plan, start, test, report, stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clnrm_runtime::backend::{BackendKind, Source};
use clnrm_runtime::engine::{EventSink, Keep};
use clnrm_runtime::machine::MachineEvent;
use clnrm_runtime::plan::{LeaseMode, Plan};
use clnrm_runtime::provision::Progress;
use clnrm_runtime::{CleanroomError, Result};
use futures_util::FutureExt;

use super::discovery::{Discovery, discover, filters};
use super::freezer::Freezer;
use super::listing::plain_tests;
use super::nothing::Nothing;
use super::schedule::{Job, Rules, Stage};
use super::settings::{Ended, Settings};
use super::signal::{Interrupts, listen};
use super::teller::Teller;
use super::world::World;
use crate::cli::{NoTests, RunArgs};
use crate::console;
use crate::discover::{Build, Plain, graph, select_plain};
use crate::exit::{self, Seen};
use crate::filter::Selection;
use crate::report::event::{Again, Level, NotRun, Planned, RunEvent, Scope};
use crate::report::{Options, Reporter, ShowProgress};

/// `cargo clnrm test`. Returns the exit code, everything having been told.
///
/// # Errors
/// Why there is no run at all.
pub async fn run(args: &RunArgs, color: anstream::ColorChoice) -> Result<i32, Ended> {
    let begun = Instant::now();
    let filter = filters(&args.plan.tests)?;
    let build = Build::new(&args.plan.tests, &filter, console::stderr_is_colored(color))
        .map_err(Ended::without_metadata)?;
    let settings = Settings::of_run(args, build.metadata())?;
    let progress = if args.no_capture {
        ShowProgress::Never
    } else {
        ShowProgress::Auto
    };
    let options = Options {
        color,
        progress,
        targets: settings.reports.clone(),
        ..Options::default()
    };
    let reporter = Reporter::new(&options).map_err(CleanroomError::from)?;
    let teller = Arc::new(Teller::new(begun, reporter)?);
    let interrupts = Interrupts::default();
    let freezer = Arc::new(Freezer::default());
    let _listener = listen(
        interrupts.clone(),
        Arc::clone(&freezer),
        Arc::clone(&teller),
    )?;
    let sink = {
        let teller = Arc::clone(&teller);
        EventSink::new(move |event| teller.engine(event))
    };
    // First of all, before anything exists that could be left.
    let world = World::begin(
        &settings,
        sink,
        freezer.clock().clone(),
        interrupts.kill.clone(),
    )
    .await?;
    teller.begin(world.run.id());
    let whole = Whole {
        args,
        settings,
        filter,
        build,
        teller: Arc::clone(&teller),
        interrupts: interrupts.clone(),
        freezer,
        pulls: Mutex::default(),
        skewed: Arc::default(),
    };
    let ran = tokio::select! {
        ran = whole.tests(&world) => ran,
        () = interrupts.exit.cancelled() => return Ok(exit::INTERRUPTED),
        error = world.keeper.died() => Err(keeper_died(error).into()),
    };
    // Tests end with their keeper, and may be the first that is noticed.
    let ran = match (ran, world.keeper.died().now_or_never()) {
        (Ok(_), Some(error)) => Err(keeper_died(error).into()),
        (ran, _) => ran,
    };
    let hosts = world.hosts.clone();
    let ending = world.end();
    let errors = tokio::select! {
        errors = ending => errors,
        () = interrupts.exit.cancelled() => return Ok(exit::INTERRUPTED),
    };
    if hosts.skewed() {
        whole.skewed.store(true, Ordering::Relaxed);
    }
    tokio::select! {
        code = whole.finish(ran, errors) => Ok(code),
        () = interrupts.exit.cancelled() => Ok(exit::INTERRUPTED),
    }
}

struct Whole<'a> {
    args: &'a RunArgs,
    settings: Settings,
    filter: Selection,
    build: Build,
    teller: Arc<Teller>,
    interrupts: Interrupts,
    freezer: Arc<Freezer>,
    /// How long each image took to pull.
    pulls: Mutex<BTreeMap<String, Duration>>,
    /// Whether a test or a host dialled in with another version.
    skewed: Arc<AtomicBool>,
}

impl Whole<'_> {
    /// Discovers, plans and runs. Returns what could not be cleaned up on the way.
    async fn tests(&self, world: &World) -> Result<Vec<CleanroomError>, Ended> {
        let discovering = discover(&self.args.plan.tests, &self.filter, &self.build, |event| {
            self.teller.tell(event)
        });
        let discovery = tokio::select! {
            discovery = discovering => discovery?,
            () = self.interrupts.interrupt.cancelled() => return Ok(Vec::new()),
        };
        discovery
            .warnings()
            .for_each(|event| self.teller.tell(event));
        let planning = async {
            if discovery.selected.tests.is_empty() {
                return Ok(Plan::default());
            }
            let catalog = world.describe(&discovery, self.build.target_dir()).await?;
            let hear = |event| self.machine(event);
            world.plan(&discovery, &catalog, &self.settings, hear).await
        };
        let preparing = async { tokio::join!(planning, self.plain(world, &discovery)) };
        let (plan, plain) = tokio::select! {
            prepared = preparing => (prepared.0?, prepared.1?),
            () = self.interrupts.interrupt.cancelled() => return Ok(Vec::new()),
        };
        let mut jobs: Vec<Job> = plan.tests.iter().cloned().map(Job::of_plan).collect();
        if self.args.all {
            jobs.extend(plain.tests.iter().cloned().map(Job::plain));
        }
        if jobs.is_empty() {
            return self.no_tests(&discovery, &plain);
        }
        self.tell_plan(&discovery, &plan, &plain, &jobs);
        let stage = Arc::new(self.stage(world, &discovery));
        Ok(stage.run(jobs).await)
    }

    /// The plain tests that the filters select. One that cannot be listed is
    /// an error only where they are to run.
    async fn plain(&self, world: &World, discovery: &Discovery) -> Result<Plain, Ended> {
        let target_dir = self.build.target_dir();
        let listing = plain_tests(&world.keeper, discovery, target_dir).await;
        let mut listed = Vec::new();
        for (binary, tests) in listing {
            match tests {
                Ok(tests) => listed.push((binary, tests)),
                Err(error) if self.args.all => {
                    return Err(Ended {
                        code: exit::LIST_FAILED,
                        error: Some(error),
                    });
                }
                Err(error) => self.teller.notice(Level::Warning, error.report()),
            }
        }
        let graph = graph(self.build.metadata());
        Ok(select_plain(
            &listed,
            &self.filter,
            self.args.plan.tests.run_ignored,
            &graph,
        ))
    }

    fn no_tests(&self, discovery: &Discovery, plain: &Plain) -> Result<Vec<CleanroomError>, Ended> {
        let nothing = Nothing {
            clnrm: discovery.known(),
            plain: plain.tests.len(),
            skipped: plain.skipped,
            all: self.args.all,
            not_run: self.not_run(discovery, plain),
        };
        let error = nothing.error();
        match self.args.no_tests {
            NoTests::Fail => Err(Ended {
                code: exit::NO_TESTS,
                error: Some(error),
            }),
            NoTests::Warn => {
                self.teller.notice(Level::Warning, error.to_string());
                Ok(Vec::new())
            }
            NoTests::Pass => Ok(Vec::new()),
        }
    }

    fn pulls(&self) -> MutexGuard<'_, BTreeMap<String, Duration>> {
        self.pulls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_plan(&self, discovery: &Discovery, plan: &Plan, plain: &Plain, jobs: &[Job]) {
        for instance in plan.instances.values() {
            if let Some(Source::Image(image)) = &instance.source
                && let Some(took) = self.pulls().get(&image.to_string())
            {
                self.teller.pulled(&instance.key, *took);
            }
            let leases = plan.tests.iter().flat_map(|test| &test.leases);
            let own = leases
                .filter(|lease| lease.key == instance.key)
                .all(|lease| lease.mode == LeaseMode::Own);
            self.teller.tell(RunEvent::ServicePlanned(Planned {
                service: instance.name.clone(),
                key: instance.key.to_string(),
                plugin_type: instance.description.service_type.clone(),
                backend: instance.place(),
                reason: instance.reason.clone(),
                scope: if own && instance.backend != BackendKind::External {
                    Scope::Test
                } else {
                    Scope::Run
                },
                tests: instance.users,
            }));
        }
        self.teller.tell(RunEvent::RunStarted {
            started_at: jiff::Timestamp::now().to_string(),
            profile: self.settings.profile.clone(),
            tests: jobs.len(),
            binaries: jobs.iter().map(Job::binary).collect::<BTreeSet<_>>().len(),
            skipped: discovery.selected.skipped + if self.args.all { plain.skipped } else { 0 },
            not_run: self.not_run(discovery, plain),
            again: Again {
                flags: self.args.again(),
                args: self.args.plan.tests.test_args.clone(),
            },
        });
    }

    /// What `cargo test` would run with the same words, and this run does not.
    fn not_run(&self, discovery: &Discovery, plain: &Plain) -> NotRun {
        let all = || discovery.all();
        let doctests = self.args.plan.tests.selection.runs_doctests();
        NotRun {
            plain_tests: if self.args.all { 0 } else { plain.tests.len() },
            harnessless: all().filter(|binary| !binary.harness).count(),
            doctests: all().filter(|binary| binary.doctests && doctests).count(),
        }
    }

    fn stage(&self, world: &World, discovery: &Discovery) -> Stage {
        let (limit, slow, grace) = self.settings.times();
        let rules = Rules {
            threads: self.settings.threads,
            attempts: self.settings.attempts,
            fail_fast: self.settings.fail_fast,
            capture: !self.args.no_capture,
            limit,
            slow,
            grace,
            keep: if self.args.keep_failed {
                Keep::AfterTheRun
            } else {
                Keep::WhileTheRunLasts
            },
            args: self.args.plan.tests.test_args.clone(),
        };
        let binaries = discovery.all();
        let binaries = binaries.map(|binary| (binary.id.clone(), binary.clone()));
        let limits = discovery
            .selected
            .tests
            .iter()
            .filter(|request| request.descriptor.timeout_ms > 0);
        let limits = limits.map(|request| {
            (
                request.test.clone(),
                Duration::from_millis(request.descriptor.timeout_ms),
            )
        });
        Stage {
            rules,
            engine: world.engine.clone(),
            keeper: world.keeper.clone(),
            reception: world.reception.clone(),
            slots: Arc::clone(&world.slots),
            teller: Arc::clone(&self.teller),
            interrupts: self.interrupts.clone(),
            freezer: Arc::clone(&self.freezer),
            binaries: binaries.collect::<BTreeMap<_, _>>(),
            limits: limits.collect(),
            failed: AtomicBool::new(false),
            skewed: Arc::clone(&self.skewed),
        }
    }

    fn machine(&self, event: MachineEvent) {
        match event {
            MachineEvent::Pull(pull) => {
                let total = (pull.total > 0).then_some(pull.total);
                if pull.finished {
                    self.pulls().insert(pull.image.clone(), pull.took);
                    self.teller.tell(RunEvent::PullFinished {
                        image: pull.image,
                        elapsed: pull.took,
                        error: pull.error,
                    });
                    return;
                }
                self.teller.tell(RunEvent::PullProgress {
                    image: pull.image,
                    bytes: pull.done,
                    total,
                });
            }
            MachineEvent::Fetch(Progress::Downloading { what }) => {
                self.teller
                    .notice(Level::Note, format!("downloading {what}"));
            }
            _ => {}
        }
    }

    /// Says how it ended, and returns the code.
    async fn finish(
        &self,
        ran: Result<Vec<CleanroomError>, Ended>,
        ending: Vec<CleanroomError>,
    ) -> i32 {
        let (stopped, mut errors) = match ran {
            Ok(errors) => (None, errors),
            Err(ended) => (Some(ended), Vec::new()),
        };
        errors.extend(ending);
        for error in &errors {
            self.teller.notice(Level::Error, error.report());
        }
        let counts = self.teller.counts();
        let seen = Seen {
            interrupted: self.interrupts.requested(),
            skewed: self.skewed.load(Ordering::Relaxed),
            no_service: counts.no_service > 0,
            leaked: !errors.is_empty(),
            failed: counts.unsuccessful() > 0 || counts.finished() < counts.tests,
        };
        let code = match &stopped {
            Some(ended) if !seen.interrupted => ended.code,
            _ => seen.code(),
        };
        if let Some(error) = stopped.and_then(|ended| ended.error) {
            self.teller.notice(Level::Error, error.report());
        }
        let elapsed = self.teller.elapsed();
        self.teller.tell(RunEvent::RunFinished {
            counts,
            exit_code: code,
            elapsed,
        });
        let unwritten = self.teller.finish().await;
        let code = match code {
            exit::OK if !unwritten.is_empty() => exit::BAD_SETUP,
            code => code,
        };
        for error in unwritten {
            console::complain(&error.into());
        }
        code
    }
}

fn keeper_died(error: CleanroomError) -> CleanroomError {
    CleanroomError::internal_error("the run's keeper was killed, so the run cannot go on")
        .with_source(error)
        .with_hint("run again; what was started is being removed")
}
