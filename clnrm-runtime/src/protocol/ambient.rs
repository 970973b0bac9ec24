//! What plugin code asks of the engine while it is being called, as types.

use super::call::{handle, unknown};
use super::document::{error_from_json, error_to_json, from_json, to_json};
use super::wire::{self, ambient_request::Request, ambient_result};
use crate::error::{CleanroomError, Result};
use crate::service::{HealthStatus, ServiceHandle, Spec};

/// What a hand-written `start`, `stop` or `health_check` asks of the engine.
#[derive(Debug, Clone)]
pub enum AmbientQuestion {
    /// Start an instance of `spec`, and wait until it is ready.
    Start {
        /// The name that the instance's service has.
        name: String,
        /// The type of the plugin.
        service_type: String,
        /// How to run it.
        spec: Box<Spec>,
    },
    /// Stop an instance and remove everything of it.
    Stop(ServiceHandle),
    /// Does it run, and is it ready?
    HealthCheck {
        /// The instance.
        handle: ServiceHandle,
        /// What makes it ready.
        spec: Box<Spec>,
    },
}

impl AmbientQuestion {
    /// As a message: the question `id` within the call `call`.
    ///
    /// # Errors
    /// When a document cannot be written, which is a bug.
    pub fn to_wire(&self, id: u64, call: u64) -> Result<wire::AmbientRequest> {
        let request = match self {
            Self::Start {
                name,
                service_type,
                spec,
            } => Request::Start(wire::AmbientStart {
                name: name.clone(),
                service_type: service_type.clone(),
                spec_json: to_json(spec)?,
            }),
            Self::Stop(handle) => Request::Stop(wire::HandleDocument {
                handle_json: to_json(handle)?,
            }),
            Self::HealthCheck { handle, spec } => Request::HealthCheck(wire::AmbientHealthCheck {
                handle_json: to_json(handle)?,
                spec_json: to_json(spec)?,
            }),
        };
        Ok(wire::AmbientRequest {
            id,
            call,
            request: Some(request),
        })
    }

    /// From a message.
    ///
    /// # Errors
    /// When it is of no kind that this version knows, or a document in it
    /// cannot be read.
    pub fn from_wire(request: wire::AmbientRequest) -> Result<Self> {
        Ok(match request.request.ok_or_else(|| unknown("request"))? {
            Request::Start(start) => Self::Start {
                name: start.name,
                service_type: start.service_type,
                spec: from_json("spec", &start.spec_json)?,
            },
            Request::Stop(stop) => Self::Stop(handle(&stop.handle_json)?),
            Request::HealthCheck(check) => Self::HealthCheck {
                handle: handle(&check.handle_json)?,
                spec: from_json("spec", &check.spec_json)?,
            },
        })
    }
}

/// What the engine answers.
#[derive(Debug, Clone)]
pub enum AmbientAnswer {
    /// It is stopped.
    Done,
    /// It runs and is ready.
    Handle(Box<ServiceHandle>),
    /// How it is.
    Health(HealthStatus),
}

impl AmbientAnswer {
    /// The answer to the question `id`, as a message.
    #[must_use]
    pub fn to_wire(id: u64, answer: &Result<Self>) -> wire::AmbientResult {
        use ambient_result::Result as Wire;
        let written = answer
            .as_ref()
            .map_err(CleanroomError::clone)
            .and_then(|answer| {
                Ok(match answer {
                    Self::Done => Wire::Done(wire::Nothing {}),
                    Self::Handle(handle) => Wire::HandleJson(to_json(handle)?),
                    Self::Health(status) => Wire::HealthJson(to_json(status)?),
                })
            });
        let result = written.unwrap_or_else(|error| Wire::ErrorJson(error_to_json(&error)));
        wire::AmbientResult {
            id,
            result: Some(result),
        }
    }

    /// From a message.
    ///
    /// # Errors
    /// The engine's error, or that the message cannot be read.
    pub fn from_wire(result: wire::AmbientResult) -> Result<Self> {
        use ambient_result::Result as Wire;
        match result.result.ok_or_else(|| unknown("result"))? {
            Wire::ErrorJson(text) => Err(error_from_json(&text)),
            Wire::Done(_) => Ok(Self::Done),
            Wire::HandleJson(text) => Ok(Self::Handle(Box::new(handle(&text)?))),
            Wire::HealthJson(text) => Ok(Self::Health(from_json("health status", &text)?)),
        }
    }
}
