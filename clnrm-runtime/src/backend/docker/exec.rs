//! Runs commands inside containers.

use futures_util::StreamExt;
use testcontainers::bollard::Docker;
use testcontainers::bollard::container::LogOutput;
use testcontainers::bollard::errors::Error as EngineError;
use testcontainers::bollard::exec::{CreateExecOptions, StartExecResults};

use super::refuse::{About, refuse};
use crate::backend::ExecOutput;
use crate::error::{CleanroomError, Result};
use crate::service::InstanceId;
use crate::wait::backoff::Backoff;

/// How Docker and Podman say, on the command's own output, that there is no such command.
const NOT_RUN: [&str; 2] = [
    "OCI runtime exec failed",
    "exec failed: unable to start container process",
];

/// Runs it to its end.
pub(super) async fn run(
    docker: &Docker,
    id: &InstanceId,
    command: &[String],
) -> Result<ExecOutput> {
    let about = About::instance(id.as_str());
    let action = format!("run `{}` in", command.join(" "));
    let refused = |error| refuse(&action, &about, &error);
    let options = CreateExecOptions {
        cmd: Some(command.to_vec()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let exec = docker
        .create_exec(id.as_str(), options)
        .await
        .map_err(refused)?;
    let started = docker.start_exec(&exec.id, None).await.map_err(refused)?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    if let StartExecResults::Attached { mut output, .. } = started {
        while let Some(chunk) = output.next().await {
            match chunk.map_err(refused)? {
                LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => {
                    stdout.extend_from_slice(&message);
                }
                LogOutput::StdIn { .. } => {}
            }
        }
    }
    let code = exit_code(docker, &exec.id).await.map_err(refused)?;
    let said = String::from_utf8_lossy(if stdout.is_empty() { &stderr } else { &stdout });
    if matches!(code, 126 | 127) && NOT_RUN.iter().any(|words| said.contains(words)) {
        return Err(refused(EngineError::DockerResponseServerError {
            status_code: 400,
            message: said.trim().to_owned(),
        }));
    }
    Ok(ExecOutput {
        code,
        stdout,
        stderr,
    })
}

/// The output ends a moment before the engine knows the exit code.
async fn exit_code(docker: &Docker, exec: &str) -> Result<i32, EngineError> {
    let mut backoff = Backoff::new();
    loop {
        let state = docker.inspect_exec(exec).await?;
        match state.exit_code {
            Some(code) if state.running != Some(true) => {
                return Ok(i32::try_from(code).unwrap_or(i32::MAX));
            }
            _ => backoff.pause().await,
        }
    }
}

/// The error of a command in a container that has not been started.
pub(super) fn not_started(id: &InstanceId) -> CleanroomError {
    CleanroomError::container_error("the instance has not been started")
        .with_context("instance", id)
}
