//! How a test ended and what it does to a leased service, as types.

use std::time::Duration;

use super::call::{handle, unknown};
use super::document::{error_from_json, error_to_json, from_json, to_json};
use super::wire::{self, control_reply, control_request};
use crate::backend::ExecOutput;
use crate::error::{CleanroomError, Result};
use crate::service::{HealthStatus, ServiceHandle};

/// How far a test got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The body returned, and said success.
    Passed,
    /// The body returned an error.
    Failed,
    /// The body panicked, as it should or not: the exit status knows.
    Panicked,
    /// The body was not reached.
    NotSetUp,
}

/// What a test says when it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How far it got.
    pub outcome: Outcome,
    /// Of a failure.
    pub message: Option<String>,
    /// From the start of the wrapper to that of the body.
    pub setup: Duration,
    /// How long the body took.
    pub body: Duration,
}

impl Finished {
    /// As a message.
    #[must_use]
    pub fn to_wire(&self) -> wire::FinishedRequest {
        let outcome = match self.outcome {
            Outcome::Passed => wire::Outcome::Passed,
            Outcome::Failed => wire::Outcome::Failed,
            Outcome::Panicked => wire::Outcome::Panicked,
            Outcome::NotSetUp => wire::Outcome::NotSetUp,
        };
        wire::FinishedRequest {
            outcome: outcome.into(),
            setup_micros: micros(self.setup),
            body_micros: micros(self.body),
            message: self.message.clone(),
        }
    }

    /// From a message.
    ///
    /// # Errors
    /// When the outcome is of no kind that this version knows.
    pub fn from_wire(finished: wire::FinishedRequest) -> Result<Self> {
        let outcome = match finished.outcome() {
            wire::Outcome::Passed => Outcome::Passed,
            wire::Outcome::Failed => Outcome::Failed,
            wire::Outcome::Panicked => Outcome::Panicked,
            wire::Outcome::NotSetUp => Outcome::NotSetUp,
            wire::Outcome::Unspecified => return Err(unknown("outcome")),
        };
        Ok(Self {
            outcome,
            message: finished.message,
            setup: Duration::from_micros(finished.setup_micros),
            body: Duration::from_micros(finished.body_micros),
        })
    }
}

/// What a test does to a service that it leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Stop and start it with its data.
    Restart,
    /// Stop it.
    Stop,
    /// Freeze it.
    Pause,
    /// Thaw it.
    Unpause,
    /// Ask how it is.
    HealthCheck,
    /// Run program and arguments inside it.
    Exec(Vec<String>),
}

impl Operation {
    /// As a message about the service of `handle`.
    ///
    /// # Errors
    /// When the handle cannot be written, which is a bug.
    pub fn to_wire(&self, handle: &ServiceHandle) -> Result<wire::ControlRequest> {
        use control_request::Operation as Wire;
        let nothing = wire::Nothing {};
        let operation = match self {
            Self::Restart => Wire::Restart(nothing),
            Self::Stop => Wire::Stop(nothing),
            Self::Pause => Wire::Pause(nothing),
            Self::Unpause => Wire::Unpause(nothing),
            Self::HealthCheck => Wire::HealthCheck(nothing),
            Self::Exec(words) => Wire::Exec(wire::Command {
                words: words.clone(),
            }),
        };
        Ok(wire::ControlRequest {
            handle_json: to_json(handle)?,
            operation: Some(operation),
        })
    }

    /// From a message: the service, and what to do to it.
    ///
    /// # Errors
    /// When it is of no kind that this version knows, or the handle cannot be read.
    pub fn from_wire(request: wire::ControlRequest) -> Result<(ServiceHandle, Self)> {
        use control_request::Operation as Wire;
        let operation = match request.operation.ok_or_else(|| unknown("operation"))? {
            Wire::Restart(_) => Self::Restart,
            Wire::Stop(_) => Self::Stop,
            Wire::Pause(_) => Self::Pause,
            Wire::Unpause(_) => Self::Unpause,
            Wire::HealthCheck(_) => Self::HealthCheck,
            Wire::Exec(command) => Self::Exec(command.words),
        };
        Ok((handle(&request.handle_json)?, operation))
    }
}

/// What an operation gives.
#[derive(Debug, Clone)]
pub enum OperationReply {
    /// It is done.
    Done,
    /// The service as it is now: it may answer elsewhere.
    Handle(Box<ServiceHandle>),
    /// How it is.
    Health(HealthStatus),
    /// What the command gave.
    Output(ExecOutput),
}

impl OperationReply {
    /// As a message.
    #[must_use]
    pub fn to_wire(reply: Result<Self>) -> wire::ControlReply {
        use control_reply::Reply as Wire;
        let written = reply.and_then(|reply| {
            Ok(match reply {
                Self::Done => Wire::Done(wire::Nothing {}),
                Self::Handle(handle) => Wire::HandleJson(to_json(&handle)?),
                Self::Health(status) => Wire::HealthJson(to_json(&status)?),
                Self::Output(output) => Wire::Output(wire::CommandOutput {
                    code: output.code,
                    stdout: output.stdout,
                    stderr: output.stderr,
                }),
            })
        });
        let reply =
            written.unwrap_or_else(|error: CleanroomError| Wire::ErrorJson(error_to_json(&error)));
        wire::ControlReply { reply: Some(reply) }
    }

    /// From a message.
    ///
    /// # Errors
    /// The error of the operation, or that the message cannot be read.
    pub fn from_wire(reply: wire::ControlReply) -> Result<Self> {
        use control_reply::Reply as Wire;
        match reply.reply.ok_or_else(|| unknown("reply"))? {
            Wire::ErrorJson(text) => Err(error_from_json(&text)),
            Wire::Done(_) => Ok(Self::Done),
            Wire::HandleJson(text) => Ok(Self::Handle(Box::new(handle(&text)?))),
            Wire::HealthJson(text) => Ok(Self::Health(from_json("health status", &text)?)),
            Wire::Output(output) => Ok(Self::Output(ExecOutput {
                code: output.code,
                stdout: output.stdout,
                stderr: output.stderr,
            })),
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
