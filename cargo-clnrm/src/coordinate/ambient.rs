//! The engine as plugin code in a host gets to see it: what a hand-written `start` makes is made here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use clnrm_runtime::clock::Clock;
use clnrm_runtime::engine::{ByHand, Engine, EngineParts, EventSink, Hooks, Keep};
use clnrm_runtime::lifecycle::ResourceTracker;
use clnrm_runtime::machine::Machine;
use clnrm_runtime::plan::{PlanInput, PlannedTest, plan};
use clnrm_runtime::run::Run;
use clnrm_runtime::service::{HealthStatus, InstanceId, OwnerId, ServiceHandle, Spec};
use clnrm_runtime::{CleanroomError, Result};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::serve::{Ambient, AmbientStart};

/// Starts instances by hand in the run: each by an engine of its own, whose
/// hooks are the code that asked for it.
#[derive(Debug)]
pub(super) struct AmbientEngine {
    run: Arc<Run>,
    machine: Arc<Machine>,
    clock: Clock,
    started: Started,
    /// Cancelled when nobody has patience any more: what ends, ends by force.
    kill: CancellationToken,
    /// Cancelled when the run ends: nothing starts any more.
    closing: CancellationToken,
    /// What is being started, or being given up.
    starting: TaskTracker,
}

type Started = Arc<Mutex<BTreeMap<InstanceId, (Engine, OwnerId)>>>;

/// A start by hand that nobody has the instance of yet.
struct Starting {
    machine: Arc<Machine>,
    engine: Engine,
    by_hand: ByHand,
    started: Started,
    kill: CancellationToken,
}

impl AmbientEngine {
    pub(super) fn new(
        run: Arc<Run>,
        machine: Arc<Machine>,
        clock: Clock,
        kill: CancellationToken,
    ) -> Self {
        Self {
            run,
            machine,
            clock,
            started: Started::default(),
            kill,
            closing: CancellationToken::new(),
            starting: TaskTracker::new(),
        }
    }

    /// Gives up what is being started, at once. What it returns waits until
    /// nothing is left of that.
    pub(super) fn close(&self) -> impl Future<Output = ()> + '_ {
        self.closing.cancel();
        self.starting.close();
        self.starting.wait()
    }

    fn engine(&self, hooks: Arc<dyn Hooks>) -> Engine {
        Engine::new(EngineParts {
            run: Arc::clone(&self.run),
            backends: Vec::new(),
            hooks,
            events: EventSink::default(),
            tracker: ResourceTracker::default(),
            clock: self.clock.clone(),
        })
    }
}

impl Starting {
    /// Starts it, unless `given_up` comes first: then nothing of it stays.
    async fn run(self, given_up: impl Future<Output = ()>) -> Result<ServiceHandle> {
        let planned = self.plan();
        tokio::pin!(given_up);
        let planned = tokio::select! {
            planned = planned => planned?,
            () = &mut given_up => return Err(nobody_waits()),
        };
        let owner = OwnerId::Test {
            test: planned.test.clone(),
            attempt: 1,
        };
        let handle = tokio::select! {
            handle = self.acquire(&planned) => handle,
            () = given_up => Err(nobody_waits()),
        };
        match handle {
            Ok(handle) => {
                lock(&self.started).insert(handle.instance().clone(), (self.engine, owner));
                Ok(handle)
            }
            Err(error) => {
                end(&self.engine, &owner, &self.kill).await;
                Err(error)
            }
        }
    }

    async fn plan(&self) -> Result<PlannedTest> {
        let tests = [self.by_hand.request.clone()];
        let catalog = &self.by_hand.catalog;
        let services = catalog.needed_by(&tests);
        let engine = Some(&self.engine);
        let probe = self.machine.probe(&services, engine, &|_| ()).await?;
        let plan = plan(&PlanInput {
            tests: &tests,
            catalog,
            probe: &probe,
            preference: self.machine.config().backend,
        });
        self.engine.extend(plan.clone());
        plan.tests.into_iter().next().ok_or_else(lost)
    }

    async fn acquire(&self, planned: &PlannedTest) -> Result<ServiceHandle> {
        let leases = self.engine.acquire(planned, 1).await?;
        let lease = leases.get(self.by_hand.id.as_str())?;
        Ok(lease.ok_or_else(lost)?.handle)
    }
}

/// Ends what one of the engines has started, by force as soon as that is wished
/// for. Returns what went wrong.
async fn end(engine: &Engine, owner: &OwnerId, kill: &CancellationToken) -> Vec<CleanroomError> {
    tokio::select! {
        errors = engine.release(owner, Keep::Nothing) => errors,
        () = kill.cancelled() => engine.shutdown(true).await,
    }
}

fn lock(started: &Started) -> MutexGuard<'_, BTreeMap<InstanceId, (Engine, OwnerId)>> {
    started.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lost() -> CleanroomError {
    CleanroomError::internal_error("a plan without its only test")
}

fn nobody_waits() -> CleanroomError {
    CleanroomError::service_error("the start was given up: nobody waits for it")
}

#[async_trait]
impl Ambient for AmbientEngine {
    async fn start(&self, start: AmbientStart, hooks: Arc<dyn Hooks>) -> Result<ServiceHandle> {
        if self.closing.is_cancelled() {
            return Err(CleanroomError::service_error(
                "the run ends: nothing starts any more",
            ));
        }
        let starting = Starting {
            machine: Arc::clone(&self.machine),
            engine: self.engine(hooks),
            by_hand: ByHand::new(&start.name, &start.service_type, &start.spec)?,
            started: Arc::clone(&self.started),
            kill: self.kill.clone(),
        };
        let (mut send, receive) = oneshot::channel();
        let closing = self.closing.clone();
        // Who asks may go at any await; what was begun for it must not stay.
        self.starting.spawn(async move {
            let given_up = async {
                tokio::select! {
                    () = send.closed() => {}
                    () = closing.cancelled() => {}
                }
            };
            let (started, kill) = (Arc::clone(&starting.started), starting.kill.clone());
            let handle = starting.run(given_up).await;
            if let Err(Ok(handle)) = send.send(handle) {
                let held = lock(&started).remove(handle.instance());
                if let Some((engine, owner)) = held {
                    end(&engine, &owner, &kill).await;
                }
            }
        });
        receive.await.unwrap_or_else(|_| Err(nobody_waits()))
    }

    async fn stop(&self, handle: &ServiceHandle) -> Result<()> {
        // What is not there any more has been stopped.
        let Some((engine, owner)) = lock(&self.started).remove(handle.instance()) else {
            return Ok(());
        };
        let errors = end(&engine, &owner, &self.kill).await;
        errors.into_iter().next().map_or(Ok(()), Err)
    }

    async fn health_check(
        &self,
        handle: &ServiceHandle,
        _spec: &Spec,
        _hooks: Arc<dyn Hooks>,
    ) -> Result<HealthStatus> {
        let started = lock(&self.started)
            .get(handle.instance())
            .map(|(engine, _)| engine.clone());
        match started {
            // The engine has the hooks of the code that started it, which is the code that asks.
            Some(engine) => engine.health(handle).await,
            None => Ok(HealthStatus::Unhealthy("it is gone".to_owned())),
        }
    }
}
