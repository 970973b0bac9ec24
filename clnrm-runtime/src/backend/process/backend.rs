//! The backend `process`, as the engine knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::directory::{self, Directory};
use super::instance::Instance;
use super::{port, seed, user};
use crate::backend::{
    Backend, BackendKind, Capabilities, Capability, CreateRequest, ExecOutput, Inspection, LogLine,
    Source, Started, State, Stats,
};
use crate::cache::Cache;
use crate::error::{CleanroomError, Result};
use crate::keeper::Keeper;
use crate::run::{Run, stale_runs};
use crate::service::{InstanceId, ProcessSpec, RunId, Stop};

/// What the user said of processes.
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    /// Where seeds are kept.
    pub cache: Cache,
    /// As whom a program runs that refuses to run as root: a name or number
    /// of `/etc/passwd`; `postgres` or `nobody` when absent.
    pub user: Option<String>,
}

/// Runs instances as processes of this machine.
#[derive(Debug)]
pub struct ProcessBackend {
    run: RunId,
    dir: PathBuf,
    keeper: Keeper,
    config: ProcessConfig,
    next: AtomicU64,
    instances: Mutex<BTreeMap<InstanceId, Arc<Instance>>>,
    /// Programs that could not bind a reserved port, as they set no `SO_REUSEADDR`.
    shy: Mutex<BTreeSet<PathBuf>>,
}

impl ProcessBackend {
    /// A backend for the instances of one run, which are children of its keeper.
    #[must_use]
    pub fn new(run: &Run, keeper: Keeper, config: ProcessConfig) -> Self {
        Self {
            run: run.id().clone(),
            dir: run.dir().to_owned(),
            keeper,
            config,
            next: AtomicU64::new(1),
            instances: Mutex::default(),
            shy: Mutex::default(),
        }
    }

    /// Makes the data directory, the files and the rest that a start needs.
    async fn fill(
        &self,
        instance: &Instance,
        request: &CreateRequest,
        process: &ProcessSpec,
        source: (&PathBuf, Option<&str>),
    ) -> Result<()> {
        // A copy goes on after this is cancelled; who removes waits for its end.
        let _work = instance.hold().await;
        let directory = &instance.directory;
        if let Some(account) = directory.account() {
            user::can_reach(account, source.0)?;
            user::can_reach(account, directory.root())?;
        }
        for port in request.spec.ports.values() {
            if let Some(asked) = port.host {
                port::demand(asked, port.protocol)?;
            }
        }
        if let Some(seed) = &process.seed {
            let recipe = seed::Recipe {
                seed,
                request,
                program: source.0,
                version: source.1,
                account: directory.account(),
            };
            seed::fill(&recipe, directory, &self.config.cache, &self.keeper).await?;
        }
        for file in &process.files {
            directory.write(&file.path, file.contents.as_bytes(), file.mode, true)?;
        }
        Ok(())
    }

    fn find(&self, id: &InstanceId) -> Option<Arc<Instance>> {
        let instances = self.instances.lock();
        let instances = instances.unwrap_or_else(PoisonError::into_inner);
        instances.get(id).map(Arc::clone)
    }

    fn get(&self, id: &InstanceId) -> Result<Arc<Instance>> {
        self.find(id)
            .ok_or_else(|| CleanroomError::container_error(format!("there is no instance `{id}`")))
    }

    fn all(&self) -> Vec<Arc<Instance>> {
        let instances = self.instances.lock();
        let instances = instances.unwrap_or_else(PoisonError::into_inner);
        instances.values().cloned().collect()
    }

    fn shy(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.shy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Backend for ProcessBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::Process
    }

    fn capabilities(&self) -> Capabilities {
        [Capability::Stats, Capability::Pause].into_iter().collect()
    }

    async fn create(&self, request: &CreateRequest) -> Result<InstanceId> {
        let Some(process) = &request.spec.process else {
            return Err(CleanroomError::validation_error(format!(
                "service `{}` cannot run as a process",
                request.service
            ))
            .with_hint("give it a `program`, or run it with `--backend docker`"));
        };
        let Source::Program { path, version } = &request.source else {
            return Err(CleanroomError::internal_error(format!(
                "service `{}` was planned from an image, for the backend `process`",
                request.service
            )));
        };
        let account = if process.refuses_root {
            user::unprivileged(self.config.user.as_deref())?
        } else {
            None
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = InstanceId::new(directory::name(&request.service, number));
        let directory = Directory::new(&self.dir, id.as_str(), account);
        let instance = Arc::new(Instance::new(
            id.clone(),
            directory,
            request.clone(),
            process.clone(),
            path.clone(),
            self.keeper.clone(),
        )?);
        // Nothing is awaited before a sweep can find it.
        let instances = self.instances.lock();
        instances
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), Arc::clone(&instance));
        let filled = self.fill(&instance, request, process, (path, version.as_deref()));
        match filled.await {
            Ok(()) => Ok(id),
            Err(error) => Err(error.with_removal(self.remove(&id).await)),
        }
    }

    async fn start(&self, id: &InstanceId) -> Result<Started> {
        let instance = self.get(id)?;
        let shy = self.shy().contains(instance.program());
        instance.start(shy).await
    }

    async fn stop(&self, id: &InstanceId, stop: Stop) -> Result<()> {
        match self.find(id) {
            Some(instance) => instance.stop(stop).await,
            None => Ok(()),
        }
    }

    async fn remove(&self, id: &InstanceId) -> Result<()> {
        let Some(instance) = self.find(id) else {
            return Ok(());
        };
        instance.remove().await?;
        let instances = self.instances.lock();
        instances.unwrap_or_else(PoisonError::into_inner).remove(id);
        Ok(())
    }

    async fn inspect(&self, id: &InstanceId) -> Result<Inspection> {
        Ok(match self.find(id) {
            Some(instance) => instance.inspect(),
            None => Inspection {
                state: State::Gone,
                pid: None,
                healthy: None,
                check: None,
                endpoints: BTreeMap::new(),
            },
        })
    }

    async fn exec(&self, id: &InstanceId, command: &[String]) -> Result<ExecOutput> {
        self.get(id)?.exec(command).await
    }

    fn logs(
        &self,
        id: &InstanceId,
        since: Option<SystemTime>,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine>> {
        let instance = match self.get(id) {
            Ok(instance) => instance,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let lines = async move {
            instance.settle().await;
            instance.log.lines(since, follow)
        };
        stream::once(lines).flatten().boxed()
    }

    async fn copy_in(&self, id: &InstanceId, path: &str, contents: Bytes, mode: u32) -> Result<()> {
        self.get(id)?.directory.write(path, &contents, mode, false)
    }

    async fn copy_out(&self, id: &InstanceId, path: &str) -> Result<Bytes> {
        Ok(self.get(id)?.directory.read(path)?.into())
    }

    async fn sweep(&self, run: &RunId) -> Result<Vec<String>> {
        let found = self.list(run).await?;
        if *run == self.run {
            for instance in self.all() {
                self.remove(&instance.id).await?;
            }
        } else if let Some(stale) = stale_runs()?.into_iter().find(|stale| stale.id() == run) {
            stale.remove()?;
        }
        Ok(found)
    }

    async fn leave(&self) -> Result<()> {
        for instance in self.all() {
            instance.leave().await?;
        }
        Ok(())
    }

    async fn list(&self, run: &RunId) -> Result<Vec<String>> {
        if *run == self.run {
            return Ok(self.all().iter().map(|it| it.describe()).collect());
        }
        let stale = stale_runs()?.into_iter().filter(|stale| stale.id() == run);
        Ok(stale
            .map(|stale| {
                format!(
                    "processes and files of a dead run in `{}`",
                    stale.dir().display()
                )
            })
            .collect())
    }

    async fn pause(&self, id: &InstanceId) -> Result<()> {
        self.get(id)?.pause(true).await
    }

    async fn unpause(&self, id: &InstanceId) -> Result<()> {
        self.get(id)?.pause(false).await
    }

    async fn stats(&self, id: &InstanceId) -> Result<Stats> {
        self.get(id)?.stats()
    }

    async fn owns_port(&self, id: &InstanceId, port: u16) -> Result<bool> {
        Ok(self.get(id)?.owns_port(port))
    }

    async fn explain_exit(&self, id: &InstanceId) -> Option<CleanroomError> {
        let instance = self.find(id)?;
        let taken = instance.explain_exit().await?;
        if taken.reserved {
            self.shy().insert(instance.program().to_owned());
        }
        Some(taken.error)
    }
}
