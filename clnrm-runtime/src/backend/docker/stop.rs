//! Ends containers: by signal, grace and kill, or by force.

use std::time::Duration;

use futures_util::StreamExt;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as EngineError;
use testcontainers::bollard::query_parameters::{
    KillContainerOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use tokio::time::timeout;

use super::prepared::INSTANCE;
use super::refuse::{About, is_conflict, is_gone, refuse};
use super::{state, sweep};
use crate::error::{CleanroomError, Result};
use crate::service::{InstanceId, Stop, StopSignal};
use crate::wait::backoff::Backoff;

/// How long a container may take to end after SIGKILL, or to vanish.
const END: Duration = Duration::from_secs(10);

/// Asks it to stop, waits out the grace, kills it.
pub(super) async fn stop(docker: &Docker, id: &InstanceId, stop: Stop) -> Result<()> {
    if stop.signal != StopSignal::Kill {
        if !signal(docker, id, stop.signal).await? {
            return Ok(());
        }
        if timeout(stop.grace, ended(docker, id)).await.is_ok() {
            return Ok(());
        }
    }
    if !signal(docker, id, StopSignal::Kill).await? {
        return Ok(());
    }
    match timeout(END, ended(docker, id)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(still_there(id, "runs")),
    }
}

/// Removes it with its volumes, running or not.
pub(super) async fn remove(docker: &Docker, id: &InstanceId, is_podman: bool) -> Result<()> {
    if is_podman {
        // Its removal by force waits out a stop of ten seconds first.
        signal(docker, id, StopSignal::Kill).await?;
    }
    match remove_container(docker, id.as_str()).await {
        Ok(()) => Ok(()),
        Err(error) if is_gone(&error) => remove_volumes(docker, id).await,
        // Somebody else removes it at this moment.
        Err(error) if is_conflict(&error) => match timeout(END, gone(docker, id)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(refuse("remove", &About::instance(id.as_str()), &error)),
        },
        Err(error) => Err(refuse("remove", &About::instance(id.as_str()), &error)),
    }
}

/// One request to remove a container by force, its anonymous volumes included.
pub(super) async fn remove_container(docker: &Docker, id: &str) -> Result<(), EngineError> {
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    docker.remove_container(id, Some(options)).await
}

/// The volumes of a container that somebody else removed without them.
async fn remove_volumes(docker: &Docker, id: &InstanceId) -> Result<()> {
    let filter = sweep::Filter::label(INSTANCE, id.as_str());
    sweep::remove_volumes(docker, &filter).await
}

/// Whether there was anybody to hear it.
async fn signal(docker: &Docker, id: &InstanceId, signal: StopSignal) -> Result<bool> {
    let name = match signal {
        StopSignal::Term => "SIGTERM",
        StopSignal::Int => "SIGINT",
        StopSignal::Quit => "SIGQUIT",
        StopSignal::Kill => "SIGKILL",
    };
    let options = KillContainerOptionsBuilder::new().signal(name).build();
    match docker.kill_container(id.as_str(), Some(options)).await {
        Ok(()) => Ok(true),
        Err(error) if is_gone(&error) || is_conflict(&error) => Ok(false),
        Err(error) => {
            let action = format!("send {name} to");
            Err(refuse(&action, &About::instance(id.as_str()), &error))
        }
    }
}

/// Resolves when it does not run any more.
async fn ended(docker: &Docker, id: &InstanceId) -> Result<()> {
    let options = WaitContainerOptionsBuilder::new()
        .condition("not-running")
        .build();
    let mut exits = docker.wait_container(id.as_str(), Some(options));
    match exits.next().await {
        // An exit code other than 0 comes as an error.
        None | Some(Ok(_) | Err(EngineError::DockerContainerWaitError { .. })) => Ok(()),
        Some(Err(error)) if is_gone(&error) => Ok(()),
        Some(Err(error)) => Err(refuse("wait for", &About::instance(id.as_str()), &error)),
    }
}

async fn gone(docker: &Docker, id: &InstanceId) -> Result<()> {
    let mut backoff = Backoff::new();
    while state::ask(docker, id).await?.is_some() {
        backoff.pause().await;
    }
    Ok(())
}

fn still_there(id: &InstanceId, how: &str) -> CleanroomError {
    CleanroomError::container_error(format!("the container still {how} {END:?} after SIGKILL"))
        .with_context("instance", id)
        .with_hint("look at the engine's own log, and for processes in uninterruptible sleep")
}
