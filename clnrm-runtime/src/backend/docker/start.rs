//! From a request to a running container, with nothing left where that fails or is cancelled.

use testcontainers::bollard::Docker;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::connect::Maker;
use super::prepared::{INSTANCE, Prepared};
use super::refuse::{About, is_gone, refuse};
use super::sweep::{self, Filter};
use super::{DockerBackend, make, state};
use crate::backend::{CreateRequest, Source, Started};
use crate::error::{CleanroomError, Result};
use crate::service::InstanceId;

/// Checks the image and renders everything. Nothing is made yet.
pub(super) async fn create(backend: &DockerBackend, request: &CreateRequest) -> Result<InstanceId> {
    let Source::Image(image) = &request.source else {
        return Prepared::new(request, &[]).map(|prepared| prepared.id);
    };
    let about = About {
        service: Some(request.service.clone()),
        image: Some(image.to_string()),
        instance: None,
    };
    let docker = &backend.connection.docker;
    let answer = docker.inspect_image(&image.to_string()).await;
    let answer = answer.map_err(|error| refuse("create", &about, &error))?;
    let config = answer.config.unwrap_or_default();
    let mut prepared = Prepared::new(request, &config.volumes.unwrap_or_default())?;
    let container = request.spec.container.as_ref();
    if container.is_some_and(|container| container.exposed) {
        prepared.publish(&config.exposed_ports.unwrap_or_default());
    }
    if backend.description.is_local {
        // Podman would make the path, as root, on the host.
        prepared.mounted_paths_exist()?;
    }
    let id = prepared.id.clone();
    backend.pending().insert(id.clone(), prepared);
    Ok(id)
}

/// Makes and starts what was created, or starts anew what has run before.
pub(super) async fn start(backend: &DockerBackend, id: &InstanceId) -> Result<Started> {
    let docker = &backend.connection.docker;
    let prepared = backend.pending().remove(id);
    let Some(prepared) = prepared else {
        return start_again(docker, id).await;
    };
    let attempt = Attempt::begin(backend, &prepared);
    let outcome = async {
        match backend.connection.maker {
            Maker::Testcontainers if prepared.fits_testcontainers() => {
                make::by_testcontainers(&prepared).await?;
            }
            _ => make::by_bollard(docker, &prepared).await?,
        }
        running(docker, id).await
    };
    let outcome = outcome.await.map_err(|error| {
        let chosen_by_us = !prepared.ports.values().any(|port| port.host.is_some());
        match error.context("port") {
            // Another attempt gets another port, where the port is the engine's choice.
            Some(_) if chosen_by_us => error.transient(),
            _ => error,
        }
    });
    match outcome {
        Ok(started) => {
            attempt.succeeded();
            Ok(started)
        }
        Err(error) => Err(attempt.failed(error).await),
    }
}

async fn start_again(docker: &Docker, id: &InstanceId) -> Result<Started> {
    let about = About::instance(id.as_str());
    match docker.start_container(id.as_str(), None).await {
        Ok(()) => running(docker, id).await,
        Err(error) if is_gone(&error) => Err(no_such_instance(id)),
        Err(error) => Err(refuse("start again", &about, &error)),
    }
}

async fn running(docker: &Docker, id: &InstanceId) -> Result<Started> {
    match state::ask(docker, id).await? {
        Some(answer) => state::started(id, &answer),
        None => Err(no_such_instance(id)),
    }
}

fn no_such_instance(id: &InstanceId) -> CleanroomError {
    CleanroomError::container_error("there is no such instance any more")
        .with_context("instance", id)
}

/// A start on its way. Dropped before its success, it removes what it has made.
#[derive(Debug)]
struct Attempt<'a> {
    docker: &'a Docker,
    cleaning: &'a TaskTracker,
    filter: Filter,
    armed: bool,
}

impl<'a> Attempt<'a> {
    fn begin(backend: &'a DockerBackend, prepared: &Prepared) -> Self {
        Self {
            docker: &backend.connection.docker,
            cleaning: &backend.cleaning,
            // The id has the attempt in it. The attempt's own label may also be
            // on the network that others of the same owner use.
            filter: Filter::label(INSTANCE, prepared.id.as_str()),
            armed: true,
        }
    }

    fn succeeded(mut self) {
        self.armed = false;
    }

    /// Removes what was made before the caller hears of the error. It stays
    /// armed: a request that was not answered in time may still be served.
    async fn failed(self, error: CleanroomError) -> CleanroomError {
        error.with_removal(sweep::once(self.docker, &self.filter).await)
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        // Outside a runtime nothing can be asked; the run's sweep finds it.
        let (true, Ok(runtime)) = (self.armed, Handle::try_current()) else {
            return;
        };
        let (docker, filter) = (self.docker.clone(), self.filter.clone());
        let clean = async move {
            if let Err(error) = sweep::until_empty(&docker, &filter, sweep::PATIENCE).await {
                tracing::warn!(%error, "a start that failed has left something behind");
            }
        };
        self.cleaning.spawn_on(clean, &runtime);
    }
}
