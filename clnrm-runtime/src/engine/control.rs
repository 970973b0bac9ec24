//! What a test may do to a service that it holds: restart, stop, pause, look at.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::{FutureExt, TryStreamExt};

use super::explain::{explain, source_of};
use super::span::{plugin_health_check, traced};
use super::table::Instance;
use super::{ByHand, Engine};
use crate::backend::{Backend, BackendKind, ExecOutput, LogLine, Source, State, Stats};
use crate::error::{CleanroomError, Result};
use crate::plan::PlannedInstance;
use crate::service::{HealthStatus, OwnerId, Secrets, ServiceHandle, Spec, Wait};
use crate::wait;

impl Engine {
    /// Stops and starts the instance with its data, and waits until it is ready.
    ///
    /// # Errors
    /// When the instance behind `handle` is the run's, when only a plugin that
    /// started it by hand could tell that it is ready again, and as a start.
    pub async fn restart(&self, handle: &ServiceHandle) -> Result<()> {
        let (instance, backend) = self.own(handle, "restart")?;
        let planned = self.planned(&instance.key)?;
        let spec = planned.description.spec.as_ref();
        if ByHand::made(&instance.service) && spec.is_some_and(|it| it.wait.asks_plugin()) {
            let name = &handle.service_name;
            return Err(CleanroomError::validation_error(format!(
                "cannot restart `{name}`: it was started by hand, and nobody can ask its plugin when it is ready again"
            ))
            .with_hint("declare it with `#[clnrm::service]`, or stop it and start another"));
        }
        let since = SystemTime::now();
        let started = backend.restart(&instance.id, instance.stop).await;
        let started = started.map_err(|error| explain(error, &planned, "restart"))?;
        instance.halted.store(false, Ordering::Relaxed);
        if started.endpoints != *instance.handle.endpoints() {
            let message = format!(
                "`{}` came back on other ports after its restart",
                handle.service_name
            );
            let error = CleanroomError::container_error(message);
            return Err(explain(error, &planned, "restart"));
        }
        self.await_ready(&instance, &planned, backend.as_ref(), since)
            .await
    }

    /// Stops the instance; it is removed when its owner ends.
    ///
    /// # Errors
    /// When the instance behind `handle` is the run's, or it does not stop.
    pub async fn halt(&self, handle: &ServiceHandle) -> Result<()> {
        let (instance, backend) = self.own(handle, "stop")?;
        instance.halted.store(true, Ordering::Relaxed);
        backend.stop(&instance.id, instance.stop).await
    }

    /// Freezes the instance.
    ///
    /// # Errors
    /// When the instance behind `handle` is the run's, or the backend cannot.
    pub async fn pause(&self, handle: &ServiceHandle) -> Result<()> {
        let (instance, backend) = self.own(handle, "pause")?;
        backend.pause(&instance.id).await
    }

    /// Thaws the instance.
    ///
    /// # Errors
    /// When the instance behind `handle` is the run's, or the backend cannot.
    pub async fn unpause(&self, handle: &ServiceHandle) -> Result<()> {
        let (instance, backend) = self.own(handle, "unpause")?;
        backend.unpause(&instance.id).await
    }

    /// The log of the instance behind `handle`, from `since` on.
    ///
    /// # Errors
    /// When the backend does not answer.
    pub async fn logs(
        &self,
        handle: &ServiceHandle,
        since: Option<SystemTime>,
    ) -> Result<Vec<LogLine>> {
        match self.backend_of(handle)? {
            Some(backend) => {
                backend
                    .logs(handle.instance(), since, false)
                    .try_collect()
                    .await
            }
            None => Ok(Vec::new()),
        }
    }

    /// What nobody may read of any service of the run.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        let known = self.0.plan.read().unwrap_or_else(PoisonError::into_inner);
        let specs = known.instances.values();
        let specs = specs.filter_map(|planned| planned.description.spec.as_ref());
        let inside = self.0.table.lock();
        // Those of an external server stand in its URL, those of a slice are its own.
        let handles = inside.instances.iter().map(|it| &it.handle.core.vars);
        let slices = inside.slices.iter().map(|it| &it.made.slice.vars);
        Secrets::of(specs.map(|spec| &spec.vars).chain(handles).chain(slices))
    }

    /// Runs a command inside the instance behind `handle`.
    ///
    /// # Errors
    /// When it cannot be run there.
    pub async fn exec(&self, handle: &ServiceHandle, command: &[String]) -> Result<ExecOutput> {
        let backend = self
            .backend_of(handle)?
            .ok_or_else(|| self.not_ours(handle, "run a command in"))?;
        backend.exec(handle.instance(), command).await
    }

    /// What the instance behind `handle` uses.
    ///
    /// # Errors
    /// When the backend cannot tell.
    pub async fn stats(&self, handle: &ServiceHandle) -> Result<Stats> {
        let backend = self
            .backend_of(handle)?
            .ok_or_else(|| self.not_ours(handle, "measure"))?;
        backend.stats(handle.instance()).await
    }

    /// How the instance behind `handle` is: that it runs, and that its plugin
    /// gets an answer.
    ///
    /// # Errors
    /// When it cannot be told.
    pub async fn health(&self, handle: &ServiceHandle) -> Result<HealthStatus> {
        let span = plugin_health_check(handle);
        let seen = span.clone();
        traced(span, async {
            let health = self.check(handle).await?;
            seen.record("health", health.to_string());
            Ok(health)
        })
        .await
    }

    async fn check(&self, handle: &ServiceHandle) -> Result<HealthStatus> {
        let Some(instance) = self.find(handle) else {
            let reason = self.state(handle, &Spec::default()).await?;
            return Ok(reason.map_or(HealthStatus::Unknown, HealthStatus::Unhealthy));
        };
        let health = match instance.backend {
            BackendKind::Plugin => {
                let checking = self.0.hooks.health_check(&instance.service, handle);
                self.within(
                    HEALTH_DEADLINE,
                    "`health_check`",
                    &handle.service_name,
                    checking,
                )
                .await?
            }
            _ => self.check_from_spec(&instance, handle).await?,
        };
        Ok(match (health, handle.degraded()) {
            (HealthStatus::Healthy, Some(reason)) => HealthStatus::Degraded(reason.to_owned()),
            (health, _) => health,
        })
    }

    async fn check_from_spec(
        &self,
        instance: &Instance,
        handle: &ServiceHandle,
    ) -> Result<HealthStatus> {
        let planned = self.planned(&instance.key)?;
        let spec = planned.description.spec.unwrap_or_default();
        if let Some(reason) = self.state(handle, &spec).await? {
            return Ok(HealthStatus::Unhealthy(reason));
        }
        let asks = spec.wait.asks_plugin();
        if asks && ByHand::made(&instance.service) {
            return Ok(HealthStatus::Unknown);
        }
        let external = instance.backend == BackendKind::External;
        if asks || external {
            let ready = self.0.hooks.ready(&instance.service, handle);
            if let Err(error) = self
                .within(HEALTH_DEADLINE, "`ready`", &handle.service_name, ready)
                .await
            {
                return Ok(HealthStatus::Unhealthy(error.report()));
            }
        }
        // A plugin that waits for something else says nothing with its `ready`.
        if external && !asks {
            return Ok(HealthStatus::Unknown);
        }
        Ok(HealthStatus::Healthy)
    }

    /// Why the instance behind `handle` is unhealthy, as far as that can be
    /// told without its plugin.
    pub(crate) async fn state(
        &self,
        handle: &ServiceHandle,
        spec: &Spec,
    ) -> Result<Option<String>> {
        let Some(backend) = self.backend_of(handle)? else {
            return Ok(None);
        };
        let reason = match backend.inspect(handle.instance()).await?.state {
            State::Running => None,
            State::Created => Some("it was never started".to_owned()),
            State::Paused => Some("it is paused".to_owned()),
            State::Exited { code } => Some(format!("it has exited with code {code}")),
            State::Gone => Some("it is gone".to_owned()),
        };
        if reason.is_some() || !can_be_asked_again(&spec.wait) {
            return Ok(reason);
        }
        let source = Source::Program {
            path: PathBuf::new(),
            version: None,
        };
        let target = wait::Target {
            backend: backend.as_ref(),
            id: handle.instance(),
            service: &handle.service_name,
            source: &source,
            spec,
            secrets: &self.secrets(),
            endpoints: handle.endpoints(),
            since: None,
        };
        let ready = || async { Ok(()) }.boxed();
        let asked =
            wait::until_ready(&target, &ready, &self.0.clock.deadline(HEALTH_DEADLINE)).await;
        Ok(asked.err().map(|error| error.message().to_owned()))
    }

    /// The instance that `handle` means. Two may have the same name: two
    /// services on one external server, or what a start by hand started.
    pub(super) fn find(&self, handle: &ServiceHandle) -> Option<Arc<Instance>> {
        let inside = self.0.table.lock();
        let mut instances = inside.instances.iter();
        let found = instances.find(|it| it.id == *handle.instance() && it.key == *handle.key());
        found.cloned()
    }

    async fn await_ready(
        &self,
        instance: &Instance,
        planned: &PlannedInstance,
        backend: &dyn Backend,
        since: SystemTime,
    ) -> Result<()> {
        let Some(spec) = &planned.description.spec else {
            return Ok(());
        };
        let ask = || {
            let (hooks, service, handle) = (
                Arc::clone(&self.0.hooks),
                instance.service.clone(),
                instance.handle.clone(),
            );
            async move { hooks.ready(&service, &handle).await }.boxed()
        };
        let target = wait::Target {
            backend,
            id: &instance.id,
            service: &planned.name,
            source: source_of(planned)?,
            spec,
            secrets: &self.secrets(),
            endpoints: instance.handle.endpoints(),
            since: Some(since),
        };
        wait::until_ready(&target, &ask, &self.0.clock.deadline(spec.start_timeout))
            .await
            .map(|_| ())
    }

    /// The instance behind `handle`, when whoever has the handle owns all of it.
    fn own(&self, handle: &ServiceHandle, what: &str) -> Result<(Arc<Instance>, Arc<dyn Backend>)> {
        let backend = self.backend_of(handle)?;
        let backend = backend.ok_or_else(|| self.not_ours(handle, what))?;
        let refuse = |why: &str| {
            let name = &handle.service_name;
            CleanroomError::validation_error(format!("cannot {what} `{name}`: {why}"))
        };
        let instance = self.find(handle).filter(|it| !it.ending.has_begun());
        let instance = instance.ok_or_else(|| refuse("it has been removed"))?;
        if instance.owner == OwnerId::Run {
            return Err(refuse("the run shares the instance between its tests")
                .with_hint("write `#[clnrm::test(fresh)]` to get instances of your own"));
        }
        Ok((instance, backend))
    }

    /// The backend that runs `handle`; `None` where nothing of ours does.
    fn backend_of(&self, handle: &ServiceHandle) -> Result<Option<Arc<dyn Backend>>> {
        match handle.backend() {
            BackendKind::External | BackendKind::Plugin => Ok(None),
            kind => self.backend(kind).map(Some),
        }
    }

    #[expect(clippy::unused_self, reason = "reads as what the engine refuses")]
    fn not_ours(&self, handle: &ServiceHandle, what: &str) -> CleanroomError {
        CleanroomError::validation_error(format!(
            "cannot {what} `{}`: clnrm did not start it",
            handle.service_name
        ))
    }
}

/// How long a service may take to answer when its health is asked.
const HEALTH_DEADLINE: Duration = Duration::from_secs(2);

/// Whether a wait can be met twice: a log line is written once.
fn can_be_asked_again(wait: &Wait) -> bool {
    match wait {
        Wait::Http { .. } | Wait::Tcp { .. } | Wait::Exec { .. } | Wait::Healthcheck => true,
        Wait::All(parts) => parts.iter().all(can_be_asked_again),
        _ => false,
    }
}
