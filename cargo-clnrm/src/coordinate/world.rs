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
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;

use super::ambient::AmbientEngine;
use super::discovery::Discovery;
use super::hosts::{KeptHosts, host_binary};
use super::leases::Leases;
use super::settings::Settings;
use super::slot::Slots;
use crate::describe::{DescribeCache, start_digest};
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
    ambient: Arc<AmbientEngine>,
    pub(super) slots: Arc<Slots>,
    server: Server,
    kill: CancellationToken,
}

impl World {
    /// Makes one. Nothing of the user's runs yet. `kill` is when nobody has
    /// patience any more.
    pub(super) async fn begin(
        settings: &Settings,
        events: EventSink,
        clock: Clock,
        kill: CancellationToken,
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
        let ambient =
            AmbientEngine::new(Arc::clone(&run), Arc::clone(&machine), clock, kill.clone());
        let ambient = Arc::new(ambient);
        hosts.with_ambient(Arc::clone(&ambient) as _);
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
            ambient,
            slots,
            server,
            kill,
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
                let by = [&[host.path.clone().into_os_string()], &host.args[..]].concat();
                let started = start_digest(&host.env, &by);
                if let Some(services) = cache.get(path, &started) {
                    self.hosts
                        .assign(&host, services.iter().map(|service| service.id.clone()));
                    return (id, Ok(services));
                }
                let described = self.hosts.describe(&host).await;
                if let Ok(services) = &described {
                    cache.put(path, &started, services);
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
    pub(super) async fn end(self) -> Vec<CleanroomError> {
        // What plugin code starts by hand is in no table of the run's engine.
        let politely = async {
            self.ambient.close().await;
            self.engine.shutdown(false).await
        };
        let by_force = async {
            self.kill.cancelled().await;
            tokio::join!(self.engine.shutdown(true), self.ambient.close()).0
        };
        let mut errors = tokio::select! {
            biased;
            // It overtakes the other, wherever that is.
            errors = by_force => errors,
            errors = politely => errors,
        };
        if self.engine.keeps() {
            self.hosts.dismiss().await;
            errors.extend(self.server.stop().await.err());
            // The mark comes second: who finds it asks the keeper to end, and
            // one that does not stay yet would not hear it. A keeper that
            // cannot be kept removes everything, as ever.
            let pid = self.keeper.pid();
            let kept = match self.keeper.keep().await {
                Ok(()) => self.run.keep(pid).inspect_err(|_| ask_to_end(pid)),
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
        let stopped = self.server.stop().await;
        let dismissed = self.keeper.dismiss().await;
        let killed = match dismissed {
            Ok(()) => Ok(()),
            // What had detached itself is nobody's child now.
            Err(_) => kill_all(Arc::clone(&self.run)).await,
        };
        let ended = self.run.end();
        let results = [stopped, dismissed, killed, ended];
        results.into_iter().filter_map(Result::err).collect()
    }
}

/// Kills what a run's keeper would have.
async fn kill_all(run: Arc<Run>) -> Result<()> {
    let killing = tokio::task::spawn_blocking(move || run.kill_all());
    killing.await.unwrap_or_else(|error| {
        Err(CleanroomError::internal_error("the removal of processes ended").with_source(error))
    })
}

/// Has a keeper that stays remove everything: without its mark nobody would
/// find it. It answered a moment ago, so that the pid is still its own.
fn ask_to_end(keeper: u32) {
    let pid = i32::try_from(keeper).ok().and_then(Pid::from_raw);
    if let Some(Err(error)) = pid.map(|pid| kill_process(pid, Signal::TERM)) {
        tracing::warn!(keeper, %error, "a keeper without a mark cannot be ended");
    }
}
