//! The calls to plugin code and their replies, as types.

use std::fmt;
use std::time::Duration;

use super::document::{error_from_json, error_to_json, from_json, to_json};
use super::wire::{self, call::Hook, call_result};
use crate::error::{CleanroomError, Result};
use crate::plan::ServiceDescription;
use crate::plugin::External;
use crate::service::{HealthStatus, RunId, ServiceHandle, ServiceId, Slice, SliceId};

/// A call to the plugin of `service`.
#[derive(Debug, Clone)]
pub struct Call {
    /// Unique in the stream.
    pub id: u64,
    /// How long the answer is of use.
    pub left: Duration,
    /// The service; absent when the whole binary is meant.
    pub service: Option<ServiceId>,
    /// What is asked.
    pub request: HookRequest,
}

/// What a coordinator asks of plugin code: the methods of
/// [`Hooks`](crate::engine::Hooks), and what there is to call.
#[derive(Clone)]
pub enum HookRequest {
    /// What are the services of this binary?
    Describe,
    /// [`ready`](crate::ServicePlugin::ready).
    Ready(ServiceHandle),
    /// [`health_check`](crate::ServicePlugin::health_check).
    HealthCheck(ServiceHandle),
    /// [`migrate`](crate::ServicePlugin::migrate).
    Migrate(ServiceHandle),
    /// [`slice`](crate::ServicePlugin::slice).
    Slice(ServiceHandle, SliceId),
    /// [`drop_slice`](crate::ServicePlugin::drop_slice).
    DropSlice(ServiceHandle, Slice),
    /// [`sweep`](crate::ServicePlugin::sweep), with the runs that live.
    Sweep(ServiceHandle, Vec<RunId>),
    /// [`external`](crate::ServicePlugin::external).
    External(String),
    /// [`start`](crate::ServicePlugin::start).
    Start,
    /// [`stop`](crate::ServicePlugin::stop).
    Stop(ServiceHandle),
}

impl HookRequest {
    /// The name of the method.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::Describe => "describe",
            Self::Ready(_) => "ready",
            Self::HealthCheck(_) => "health_check",
            Self::Migrate(_) => "migrate",
            Self::Slice(..) => "slice",
            Self::DropSlice(..) => "drop_slice",
            Self::Sweep(..) => "sweep",
            Self::External(_) => "external",
            Self::Start => "start",
            Self::Stop(_) => "stop",
        }
    }
}

/// `Debug` is the method alone: handles and URLs hold secrets.
impl fmt::Debug for HookRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method())
    }
}

/// What plugin code answers.
#[derive(Debug, Clone)]
pub enum HookReply {
    /// It is done: `ready`, `migrate`, `drop_slice`, `stop`.
    Done,
    /// The services of the binary.
    Descriptions(Vec<ServiceDescription>),
    /// How the service is.
    Health(HealthStatus),
    /// The slice that was made.
    Slice(Slice),
    /// The names of the slices that were swept.
    Names(Vec<String>),
    /// What a URL says.
    External(External),
    /// What was started.
    Handle(Box<ServiceHandle>),
}

impl Call {
    /// As a message.
    ///
    /// # Errors
    /// When a document cannot be written, which is a bug.
    pub fn to_wire(&self) -> Result<wire::Call> {
        Ok(wire::Call {
            id: self.id,
            left_millis: u64::try_from(self.left.as_millis()).unwrap_or(u64::MAX),
            service: self
                .service
                .as_ref()
                .map(ServiceId::to_string)
                .unwrap_or_default(),
            hook: Some(self.request.to_wire()?),
        })
    }

    /// From a message.
    ///
    /// # Errors
    /// When it names no method that this version knows, or a document in it
    /// cannot be read.
    pub fn from_wire(call: wire::Call) -> Result<Self> {
        let hook = call.hook.ok_or_else(|| unknown("call"))?;
        Ok(Self {
            id: call.id,
            left: Duration::from_millis(call.left_millis),
            service: (!call.service.is_empty()).then(|| ServiceId::new(call.service)),
            request: HookRequest::from_wire(hook)?,
        })
    }
}

impl HookRequest {
    fn to_wire(&self) -> Result<Hook> {
        Ok(match self {
            Self::Describe => Hook::Describe(wire::Nothing {}),
            Self::Ready(handle) => Hook::Ready(handle_document(handle)?),
            Self::HealthCheck(handle) => Hook::HealthCheck(handle_document(handle)?),
            Self::Migrate(handle) => Hook::Migrate(handle_document(handle)?),
            Self::Slice(handle, id) => Hook::Slice(wire::SliceCall {
                handle_json: to_json(handle)?,
                slice_id_json: to_json(id)?,
            }),
            Self::DropSlice(handle, slice) => Hook::DropSlice(wire::DropSliceCall {
                handle_json: to_json(handle)?,
                slice_json: to_json(slice)?,
            }),
            Self::Sweep(handle, live_runs) => Hook::Sweep(wire::SweepCall {
                handle_json: to_json(handle)?,
                live_runs: live_runs.iter().map(RunId::to_string).collect(),
            }),
            Self::External(url) => Hook::External(wire::ExternalCall { url: url.clone() }),
            Self::Start => Hook::Start(wire::Nothing {}),
            Self::Stop(handle) => Hook::Stop(handle_document(handle)?),
        })
    }

    fn from_wire(hook: Hook) -> Result<Self> {
        Ok(match hook {
            Hook::Describe(_) => Self::Describe,
            Hook::Ready(call) => Self::Ready(handle(&call.handle_json)?),
            Hook::HealthCheck(call) => Self::HealthCheck(handle(&call.handle_json)?),
            Hook::Migrate(call) => Self::Migrate(handle(&call.handle_json)?),
            Hook::Slice(call) => Self::Slice(
                handle(&call.handle_json)?,
                from_json("slice id", &call.slice_id_json)?,
            ),
            Hook::DropSlice(call) => Self::DropSlice(
                handle(&call.handle_json)?,
                from_json("slice", &call.slice_json)?,
            ),
            Hook::Sweep(call) => Self::Sweep(
                handle(&call.handle_json)?,
                call.live_runs.into_iter().map(RunId::new).collect(),
            ),
            Hook::External(call) => Self::External(call.url),
            Hook::Start(_) => Self::Start,
            Hook::Stop(call) => Self::Stop(handle(&call.handle_json)?),
        })
    }
}

impl HookReply {
    /// The result of the call `id`, as a message.
    #[must_use]
    pub fn to_wire(id: u64, result: &Result<Self>) -> wire::CallResult {
        let written = result
            .as_ref()
            .map_err(CleanroomError::clone)
            .and_then(Self::document);
        let result =
            written.unwrap_or_else(|error| call_result::Result::ErrorJson(error_to_json(&error)));
        wire::CallResult {
            id,
            result: Some(result),
        }
    }

    /// From a message.
    ///
    /// # Errors
    /// The error of the call, or that the message cannot be read.
    pub fn from_wire(result: wire::CallResult) -> Result<Self> {
        use call_result::Result as Wire;
        Ok(match result.result.ok_or_else(|| unknown("result"))? {
            Wire::ErrorJson(text) => return Err(error_from_json(&text)),
            Wire::Done(_) => Self::Done,
            Wire::Descriptions(all) => Self::Descriptions(
                all.description_json
                    .iter()
                    .map(|text| from_json("description", text))
                    .collect::<Result<_>>()?,
            ),
            Wire::HealthJson(text) => Self::Health(from_json("health status", &text)?),
            Wire::SliceJson(text) => Self::Slice(from_json("slice", &text)?),
            Wire::Names(names) => Self::Names(names.names),
            Wire::ExternalJson(text) => Self::External(from_json("external service", &text)?),
            Wire::HandleJson(text) => Self::Handle(Box::new(handle(&text)?)),
        })
    }

    fn document(&self) -> Result<call_result::Result> {
        use call_result::Result as Wire;
        Ok(match self {
            Self::Done => Wire::Done(wire::Nothing {}),
            Self::Descriptions(all) => Wire::Descriptions(wire::Descriptions {
                description_json: all.iter().map(to_json).collect::<Result<_>>()?,
            }),
            Self::Health(status) => Wire::HealthJson(to_json(status)?),
            Self::Slice(slice) => Wire::SliceJson(to_json(slice)?),
            Self::Names(names) => Wire::Names(wire::Names {
                names: names.clone(),
            }),
            Self::External(external) => Wire::ExternalJson(to_json(external)?),
            Self::Handle(handle) => Wire::HandleJson(to_json(handle)?),
        })
    }
}

fn handle_document(handle: &ServiceHandle) -> Result<wire::HandleDocument> {
    Ok(wire::HandleDocument {
        handle_json: to_json(handle)?,
    })
}

pub(super) fn handle(text: &str) -> Result<ServiceHandle> {
    from_json("handle", text)
}

/// The error of a message without a part that this version knows.
pub(super) fn unknown(what: &str) -> CleanroomError {
    CleanroomError::protocol_error(format!(
        "a {what} of a kind that this version does not know"
    ))
}
