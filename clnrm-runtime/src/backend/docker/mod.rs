//! Containers of a Docker or Podman engine.
//!
//! testcontainers makes and starts them; everything after that, removal
//! included, is the engine's own request by the container's name. Nothing is
//! pulled here but by [`images`], and nothing waits for a service to be ready.

mod archive;
mod connect;
mod exec;
mod find;
pub mod images;
mod log;
mod make;
mod network;
mod prepared;
mod refusal;
mod refuse;
mod start;
mod state;
mod stats;
mod stop;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio_util::task::TaskTracker;

use super::{
    Backend, BackendKind, Capabilities, Capability, CreateRequest, ExecOutput, Inspection, LogLine,
    NetworkId, Started, State, Stats,
};
use crate::error::Result;
use crate::label::Label;
use crate::plan::EngineProbe;
use crate::run::EngineMark;
use crate::service::{InstanceId, RunId, Stop};

use connect::{Connection, Description, Maker};
use find::Environment;
use prepared::{Contents, Prepared};
use refuse::{About, refuse};
pub use sweep::{Created, Labelled};

/// Runs instances as containers.
///
/// An instance's id is its container's name, `clnrm-<run>-<service>-<attempt>`:
/// every engine command takes it, and it is known before the container is. That
/// comes to be with the first start, as testcontainers makes and starts in one go.
#[derive(Debug)]
pub struct DockerBackend {
    connection: Connection,
    description: Description,
    /// Created and not yet started.
    pending: Mutex<BTreeMap<InstanceId, Prepared>>,
    /// Removals that a cancelled start has left to do.
    cleaning: TaskTracker,
    images: images::Memory,
}

impl DockerBackend {
    /// Connects to the engine that the environment, Docker's contexts or the
    /// usual sockets of Docker and Podman name.
    ///
    /// # Errors
    /// When no engine answers; the error says what was tried, and what each said.
    pub async fn connect() -> Result<Self> {
        Self::of(connect::connect(&Environment::of_this_process()).await?).await
    }

    async fn of(mut connection: Connection) -> Result<Self> {
        let description = connect::describe(&connection).await.map_err(|error| {
            refuse(
                "ask the container engine what it is",
                &About::default(),
                &error,
            )
        })?;
        if description.is_podman {
            // The host's name is no alias there, and testcontainers fails on a
            // container that has just ended: Podman has a state for that which
            // its client does not know.
            connection.maker = Maker::Bollard;
        }
        Ok(Self {
            connection,
            description,
            pending: Mutex::default(),
            cleaning: TaskTracker::new(),
            images: images::Memory::default(),
        })
    }

    /// What the plan needs to know of this engine.
    #[must_use]
    pub fn probe(&self) -> EngineProbe {
        EngineProbe::Answers {
            version: self.description.version.clone(),
            local: self.description.is_local,
        }
    }

    /// What a run notes of this engine, to find it again.
    #[must_use]
    pub fn mark(&self) -> EngineMark {
        EngineMark {
            identity: self.description.identity.clone(),
            address: self.connection.address.clone(),
        }
    }

    /// Its address, for people.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.connection.address
    }

    fn pending(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Prepared>> {
        // The map is whole after every statement, so a poisoned lock is as good.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects, and says it as the plan wants to hear it: what does not answer is no error.
pub async fn probe() -> (EngineProbe, Option<DockerBackend>) {
    match DockerBackend::connect().await {
        Ok(backend) => (backend.probe(), Some(backend)),
        Err(error) => {
            let mut reason = error.message().to_owned();
            if let Some(tried) = error.context("tried").or_else(|| error.context("engine")) {
                reason = format!("{reason}: {}", tried.replace('\n', "; "));
            }
            (EngineProbe::Silent { reason }, None)
        }
    }
}

impl DockerBackend {
    /// As [`Backend::sweep`], where somebody waits for another thing: it gives
    /// up soon.
    ///
    /// # Errors
    /// As that.
    pub(crate) async fn sweep_hastily(&self, run: &RunId) -> Result<Vec<String>> {
        self.sweep_within(run, sweep::HASTE).await
    }

    async fn sweep_within(&self, run: &RunId, patience: Duration) -> Result<Vec<String>> {
        self.pending()
            .retain(|_, prepared| prepared.label.run != *run);
        let filter = sweep::Filter::run(run);
        let found = sweep::until_empty(&self.connection.docker, &filter, patience).await;
        // What cancelled starts have left to do, the sweep has done by now.
        self.cleaning.close();
        self.cleaning.wait().await;
        self.cleaning.reopen();
        found
    }

    /// What carries the label of any run: of this user and of others, of this
    /// machine and of others that share the engine.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn labelled(&self) -> Result<Vec<Labelled>> {
        sweep::labelled(&self.connection.docker).await
    }
}

#[async_trait]
impl Backend for DockerBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::Docker
    }

    fn capabilities(&self) -> Capabilities {
        use Capability as Can;
        [
            Can::Networks,
            Can::Stats,
            Can::Pause,
            Can::Limits,
            Can::Images,
            Can::Healthchecks,
        ]
        .into_iter()
        .collect()
    }

    async fn create(&self, request: &CreateRequest) -> Result<InstanceId> {
        start::create(self, request).await
    }

    async fn start(&self, id: &InstanceId) -> Result<Started> {
        start::start(self, id).await
    }

    async fn stop(&self, id: &InstanceId, stop: Stop) -> Result<()> {
        if self.pending().contains_key(id) {
            return Ok(());
        }
        stop::stop(&self.connection.docker, id, stop).await
    }

    async fn remove(&self, id: &InstanceId) -> Result<()> {
        if self.pending().remove(id).is_some() {
            return Ok(());
        }
        let is_podman = self.description.is_podman;
        stop::remove(&self.connection.docker, id, is_podman).await
    }

    async fn inspect(&self, id: &InstanceId) -> Result<Inspection> {
        if self.pending().contains_key(id) {
            return Ok(state::without_container(State::Created));
        }
        let answer = state::ask(&self.connection.docker, id).await?;
        Ok(answer.map_or_else(
            || state::without_container(State::Gone),
            |answer| state::inspection(&answer),
        ))
    }

    async fn exec(&self, id: &InstanceId, command: &[String]) -> Result<ExecOutput> {
        if self.pending().contains_key(id) {
            return Err(exec::not_started(id));
        }
        exec::run(&self.connection.docker, id, command).await
    }

    fn logs(
        &self,
        id: &InstanceId,
        since: Option<SystemTime>,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine>> {
        if self.pending().contains_key(id) {
            return stream::empty().boxed();
        }
        log::read(&self.connection.docker, id, since, follow)
    }

    async fn copy_in(&self, id: &InstanceId, path: &str, contents: Bytes, mode: u32) -> Result<()> {
        if let Some(prepared) = self.pending().get_mut(id) {
            prepared.files.push(Contents {
                path: path.to_owned(),
                bytes: contents,
                mode,
            });
            return Ok(());
        }
        archive::copy_in(&self.connection.docker, id, path, &contents, mode).await
    }

    async fn copy_out(&self, id: &InstanceId, path: &str) -> Result<Bytes> {
        if self.pending().contains_key(id) {
            return Err(exec::not_started(id));
        }
        archive::copy_out(&self.connection.docker, id, path).await
    }

    async fn sweep(&self, run: &RunId) -> Result<Vec<String>> {
        self.sweep_within(run, sweep::PATIENCE).await
    }

    async fn list(&self, run: &RunId) -> Result<Vec<String>> {
        sweep::list(&self.connection.docker, &sweep::Filter::run(run)).await
    }

    async fn create_network(&self, name: &str, label: &Label) -> Result<NetworkId> {
        network::create(&self.connection.docker, name, label).await
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<()> {
        network::remove(&self.connection.docker, id).await
    }

    async fn pause(&self, id: &InstanceId) -> Result<()> {
        let outcome = self.connection.docker.pause_container(id.as_str()).await;
        outcome.map_err(|error| refuse("pause", &About::instance(id.as_str()), &error))
    }

    async fn unpause(&self, id: &InstanceId) -> Result<()> {
        let outcome = self.connection.docker.unpause_container(id.as_str()).await;
        outcome.map_err(|error| refuse("unpause", &About::instance(id.as_str()), &error))
    }

    async fn stats(&self, id: &InstanceId) -> Result<Stats> {
        stats::read(&self.connection.docker, id).await
    }
}
