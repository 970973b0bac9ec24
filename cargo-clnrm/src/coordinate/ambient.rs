//! The engine as plugin code in a host gets to see it: what a hand-written `start` makes is made here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use clnrm_runtime::clock::Clock;
use clnrm_runtime::engine::{ByHand, Engine, EngineParts, EventSink, Hooks, Keep};
use clnrm_runtime::lifecycle::ResourceTracker;
use clnrm_runtime::machine::Machine;
use clnrm_runtime::plan::{PlanInput, plan};
use clnrm_runtime::run::Run;
use clnrm_runtime::service::{HealthStatus, InstanceId, OwnerId, ServiceHandle, Spec};
use clnrm_runtime::{CleanroomError, Result};

use crate::serve::{Ambient, AmbientStart};

/// Starts instances by hand in the run: each by an engine of its own, whose
/// hooks are the code that asked for it.
#[derive(Debug)]
pub(super) struct AmbientEngine {
    run: Arc<Run>,
    machine: Arc<Machine>,
    clock: Clock,
    started: Mutex<BTreeMap<InstanceId, (Engine, OwnerId)>>,
}

impl AmbientEngine {
    pub(super) fn new(run: Arc<Run>, machine: Arc<Machine>, clock: Clock) -> Self {
        Self {
            run,
            machine,
            clock,
            started: Mutex::default(),
        }
    }

    fn started(&self) -> MutexGuard<'_, BTreeMap<InstanceId, (Engine, OwnerId)>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
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

#[async_trait]
impl Ambient for AmbientEngine {
    async fn start(&self, start: AmbientStart, hooks: Arc<dyn Hooks>) -> Result<ServiceHandle> {
        let engine = self.engine(hooks);
        let ByHand {
            id,
            request,
            catalog,
        } = ByHand::new(&start.name, &start.service_type, &start.spec)?;
        let tests = [request];
        let services = catalog.needed_by(&tests);
        let probe = self
            .machine
            .probe(&services, Some(&engine), &|_| ())
            .await?;
        let preference = self.machine.config().backend;
        let plan = plan(&PlanInput {
            tests: &tests,
            catalog: &catalog,
            probe: &probe,
            preference,
        });
        engine.extend(plan.clone());
        let lost = || CleanroomError::internal_error("a plan without its only test");
        let planned = plan.tests.first().ok_or_else(lost)?;
        let owner = OwnerId::Test {
            test: planned.test.clone(),
            attempt: 1,
        };
        let leases = match engine.acquire(planned, 1).await {
            Ok(leases) => leases,
            Err(error) => {
                engine.release(&owner, Keep::Nothing).await;
                return Err(error);
            }
        };
        let handle = leases.get(id.as_str())?.ok_or_else(lost)?.handle;
        self.started()
            .insert(handle.instance().clone(), (engine, owner));
        Ok(handle)
    }

    async fn stop(&self, handle: &ServiceHandle) -> Result<()> {
        // What is not there any more has been stopped.
        let Some((engine, owner)) = self.started().remove(handle.instance()) else {
            return Ok(());
        };
        match engine
            .release(&owner, Keep::Nothing)
            .await
            .into_iter()
            .next()
        {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn health_check(
        &self,
        handle: &ServiceHandle,
        _spec: &Spec,
        _hooks: Arc<dyn Hooks>,
    ) -> Result<HealthStatus> {
        let started = self
            .started()
            .get(handle.instance())
            .map(|(engine, _)| engine.clone());
        match started {
            // The engine has the hooks of the code that started it, which is the code that asks.
            Some(engine) => engine.health(handle).await,
            None => Ok(HealthStatus::Unhealthy("it is gone".to_owned())),
        }
    }
}
