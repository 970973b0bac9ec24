//! The engine in the test's own process: plain `cargo test`, nextest, and plugins started by hand.
//!
//! It is shared by all threads of the process, started when it is first
//! needed, and stopped when the process exits. The keeper covers the ends that
//! no exit function sees.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::{Leases, TestCase};
use crate::clock::Clock;
use crate::config::Config;
use crate::declare::{Line, TestDescriptor, parse_descriptors};
use crate::engine::{Engine, EngineParts, EventSink, Keep, LocalHooks};
use crate::error::{CleanroomError, Result};
use crate::keeper::Keeper;
use crate::lifecycle::ResourceTracker;
use crate::machine::Machine;
use crate::plan::{Catalog, Plan, PlanInput, TestRequest, plan};
use crate::program::Programs;
use crate::registry::{self, PluginSet};
use crate::run::Run;
use crate::service::{OwnerId, TestId};

/// The binary's id where no coordinator gives it one.
const BINARY: &str = "this binary";

/// How long the end of the process waits for its services to stop.
const EXIT_DEADLINE: Duration = Duration::from_secs(5);

static LOCAL: OnceCell<Result<Arc<Local>>> = OnceCell::const_new();

/// Everything that runs services in this process.
#[derive(Debug)]
pub(crate) struct Local {
    engine: Engine,
    keeper: Mutex<Option<Keeper>>,
    machine: Machine,
    plugins: Arc<PluginSet>,
    /// The tests of this binary, planned when the first of them asks.
    tests: OnceCell<Plan>,
}

impl Local {
    /// The one of this process. Call it on the engine's threads.
    pub(crate) async fn current() -> Result<Arc<Self>> {
        LOCAL
            .get_or_init(|| async { Self::start().await.map(Arc::new) })
            .await
            .clone()
    }

    async fn start() -> Result<Self> {
        let dir = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let dir = dir
            .or_else(|| std::env::current_dir().ok())
            .unwrap_or_default();
        let config = Config::find(&dir, |name| std::env::var(name).ok())?;
        crate::run::sweep_stale();
        let run = Arc::new(Run::begin()?);
        let keeper = Keeper::start(&run).await?;
        let machine = Machine::new(config, &run, keeper.clone(), Programs::default())?;
        let plugins = Arc::new(PluginSet::linked()?);
        let engine = Engine::new(EngineParts {
            run,
            backends: Vec::new(),
            hooks: Arc::new(LocalHooks::new(Arc::clone(&plugins))),
            events: EventSink::default(),
            tracker: ResourceTracker::default(),
            clock: Clock::default(),
        });
        crate::sys::at_exit(stop_at_exit).map_err(|error| {
            CleanroomError::internal_error("cannot register the end of the process")
                .with_source(error)
        })?;
        Ok(Self {
            engine,
            keeper: Mutex::new(Some(keeper)),
            machine,
            plugins,
            tests: OnceCell::new(),
        })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn plugins(&self) -> &PluginSet {
        &self.plugins
    }

    /// Leases what a test of this binary names.
    pub(crate) async fn acquire(&self, case: &TestCase) -> Result<(OwnerId, Leases)> {
        let descriptor = case.descriptor()?;
        let test = TestId {
            binary: BINARY.to_owned(),
            name: descriptor.test_name().to_owned(),
        };
        let plan = self.tests.get_or_try_init(|| self.plan_tests()).await?;
        let planned = plan.test(&test);
        let planned = planned.ok_or_else(|| {
            CleanroomError::internal_error(format!("test `{test}` is not registered"))
        })?;
        let leases = self.engine.acquire(planned, 1).await?;
        Ok((OwnerId::Test { test, attempt: 1 }, leases))
    }

    async fn plan_tests(&self) -> Result<Plan> {
        let mut catalog = Catalog::default();
        match registry::describe_all() {
            Ok(services) => catalog.add(BINARY, services),
            Err(error) => catalog.add_error(BINARY, error),
        }
        self.plan(&requests()?, &catalog).await
    }

    /// Plans tests, and lets the engine know.
    pub(crate) async fn plan(&self, tests: &[TestRequest], catalog: &Catalog) -> Result<Plan> {
        let services = catalog.needed_by(tests);
        let probe = self
            .machine
            .probe(&services, Some(&self.engine), &|_| ())
            .await?;
        let preference = self.machine.config().backend;
        let plan = plan(&PlanInput {
            tests,
            catalog,
            probe: &probe,
            preference,
        });
        self.engine.extend(plan.clone());
        Ok(plan)
    }

    /// Ends the leases of a test.
    pub(crate) async fn release(&self, owner: &OwnerId, keep: Keep) {
        for error in self.engine.release(owner, keep).await {
            tracing::error!(owner = %owner, error = %error.report(), "cannot clean up after a test");
        }
    }

    async fn stop(&self) {
        for error in self.engine.shutdown(false).await {
            tracing::error!(error = %error.report(), "cannot clean up after the run");
        }
        let keeper = self
            .keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(keeper) = keeper {
            keeper.dismiss().await.ok();
        }
        if let Err(error) = self.engine.run().end() {
            tracing::error!(error = %error.report(), "cannot remove the run's directory");
        }
    }
}

/// Runs in `exit`, after the tests; what it does not finish the keeper does.
fn stop_at_exit() {
    let Some(Ok(local)) = LOCAL.get() else { return };
    let local = Arc::clone(local);
    let stopping = async move { tokio::time::timeout(EXIT_DEADLINE, local.stop()).await };
    // Nobody is left to tell.
    let _ = crate::engine::block_on(stopping);
}

/// The clnrm tests of this binary.
fn requests() -> Result<Vec<TestRequest>> {
    let lines = inventory::iter::<Line>
        .into_iter()
        .flat_map(|line| line.0.iter().copied())
        .collect::<Vec<_>>();
    let tests = parse_descriptors(&lines).map_err(|error| {
        CleanroomError::internal_error("a test cannot read itself").with_source(error)
    })?;
    Ok(tests.into_iter().map(request).collect())
}

fn request(descriptor: TestDescriptor) -> TestRequest {
    let test = TestId {
        binary: BINARY.to_owned(),
        name: descriptor.test_name().to_owned(),
    };
    TestRequest { test, descriptor }
}
