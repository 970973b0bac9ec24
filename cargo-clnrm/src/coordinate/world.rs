//! Everything that a run stands on, in the order in which it comes to be and goes.

use std::path::Path;
use std::sync::Arc;

use clnrm_runtime::clock::Clock;
use clnrm_runtime::engine::{Engine, EngineParts, EventSink};
use clnrm_runtime::keeper::Keeper;
use clnrm_runtime::lifecycle::ResourceTracker;
use clnrm_runtime::machine::{Machine, MachineEvent};
use clnrm_runtime::plan::{Catalog, Plan, PlanInput, plan};
use clnrm_runtime::program::Programs;
use clnrm_runtime::protocol::Skew;
use clnrm_runtime::run::{Run, sweep_stale};
use clnrm_runtime::{CleanroomError, Result};

use super::ambient::AmbientEngine;
use super::discovery::Discovery;
use super::hosts::{KeptHosts, host_binary};
use super::leases::Leases;
use super::settings::Settings;
use super::slot::Slots;
use crate::describe::DescribeCache;
use crate::serve::{HostPool, Limits, Reception, Server};

/// What a run stands on. The keeper comes first and goes last.
#[derive(Debug)]
pub(super) struct World {
    pub(super) run: Arc<Run>,
    pub(super) keeper: Keeper,
    pub(super) reception: Reception,
    pub(super) hosts: HostPool,
    pub(super) machine: Arc<Machine>,
    pub(super) engine: Engine,
    pub(super) slots: Arc<Slots>,
    server: Server,
}

impl World {
    /// Makes one. Nothing of the user's runs yet.
    pub(super) async fn begin(
        settings: &Settings,
        events: EventSink,
        clock: Clock,
    ) -> Result<Self> {
        sweep_stale();
        let run = Arc::new(Run::begin()?);
        let keeper = Keeper::start(&run).await?;
        let reception = Reception::new(run.dir().join("socket"), run.id().clone());
        let hosts = HostPool::new(
            reception.clone(),
            Arc::new(KeptHosts(keeper.clone())),
            Limits::default(),
            clock.clone(),
        );
        let machine = Machine::new(
            settings.config.clone(),
            &run,
            keeper.clone(),
            Programs::default(),
        )?;
        let machine = Arc::new(machine);
        let engine = Engine::new(EngineParts {
            run: Arc::clone(&run),
            backends: Vec::new(),
            hooks: Arc::new(hosts.clone()),
            events,
            tracker: ResourceTracker::default(),
            clock: clock.clone(),
        });
        hosts.with_ambient(Arc::new(AmbientEngine::new(
            Arc::clone(&run),
            Arc::clone(&machine),
            clock,
        )));
        let slots = Arc::new(Slots::default());
        let leases = Leases {
            engine: engine.clone(),
            slots: Arc::clone(&slots),
        };
        let server = Server::start(reception.clone(), Arc::new(leases))?;
        Ok(Self {
            run,
            keeper,
            reception,
            hosts,
            machine,
            engine,
            slots,
            server,
        })
    }

    /// What the services of the selected tests' binaries are: remembered, or
    /// asked of a host.
    ///
    /// # Errors
    /// When a host is of another version: then nothing of the run can go well.
    /// Any other error is the tests' of that binary.
    pub(super) async fn describe(
        &self,
        discovery: &Discovery,
        target_dir: &Path,
    ) -> Result<Catalog> {
        let cache = DescribeCache::new(target_dir);
        let mut catalog = Catalog::default();
        let wanted = discovery.binaries.iter().filter(|found| {
            discovery
                .selected
                .tests
                .iter()
                .any(|request| request.test.binary == found.binary.id)
        });
        let describing = wanted.map(|found| {
            let cache = &cache;
            async move {
                let (id, path) = (&found.binary.id, &found.binary.path);
                let test = found
                    .tests
                    .first()
                    .map(|test| test.test_name())
                    .unwrap_or_default();
                let host = host_binary(&found.binary, test);
                if let Some(services) = cache.get(path) {
                    self.hosts
                        .assign(&host, services.iter().map(|service| service.id.clone()));
                    return (id, Ok(services));
                }
                let described = self.hosts.describe(&host).await;
                if let Ok(services) = &described {
                    cache.put(path, services);
                }
                (id, described)
            }
        });
        for (id, described) in futures_util::future::join_all(describing).await {
            match described {
                Ok(services) => catalog.add(id, services),
                Err(error) if Skew::of(&error).is_some() => return Err(error),
                Err(error) => catalog.add_error(id, error),
            }
        }
        Ok(catalog)
    }

    /// Plans the selected tests, and lets the engine know.
    pub(super) async fn plan(
        &self,
        discovery: &Discovery,
        catalog: &Catalog,
        settings: &Settings,
        hear: impl Fn(MachineEvent) + Send + Sync,
    ) -> Result<Plan> {
        let tests = &discovery.selected.tests;
        let services = catalog.needed_by(tests);
        let probe = self
            .machine
            .probe(&services, Some(&self.engine), &hear)
            .await?;
        let plan = plan(&PlanInput {
            tests,
            catalog,
            probe: &probe,
            preference: settings.preference(),
        });
        self.engine.extend(plan.clone());
        Ok(plan)
    }

    /// Stops everything, hosts and keeper included, but for what is kept after
    /// the run. Returns what went wrong, leaks first of all.
    pub(super) async fn end(self, hard: bool) -> Vec<CleanroomError> {
        let mut errors = self.engine.shutdown(hard).await;
        if self.engine.keeps() {
            self.hosts.dismiss().await;
            errors.extend(self.server.stop().await.err());
            // A keeper that cannot be kept removes everything, as ever.
            let kept = match self.run.keep(self.keeper.pid()) {
                Ok(()) => self.keeper.keep().await,
                Err(error) => Err(error),
            };
            errors.extend(kept.err());
        } else {
            errors.extend(self.leave().await);
        }
        errors
    }

    /// Ends the rest, where nothing was started or all of it has stopped.
    /// Returns what went wrong.
    pub(super) async fn leave(self) -> Vec<CleanroomError> {
        self.hosts.dismiss().await;
        let errors = [
            self.server.stop().await.err(),
            self.keeper.dismiss().await.err(),
            self.run.end().err(),
        ];
        errors.into_iter().flatten().collect()
    }
}
