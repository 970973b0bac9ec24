//! What the engine tells whoever listens: the only way out of it besides results.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use super::table::Instance;
use crate::backend::BackendKind;
use crate::error::CleanroomError;
use crate::lifecycle::LifecycleState;
use crate::plan::{LeaseMode, PlannedInstance};
use crate::service::{InstanceId, InstanceKey, OwnerId};

/// Something that happened in the engine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EngineEvent {
    /// An instance went to another state.
    Instance(InstanceEvent),
    /// A lease began or ended.
    Lease(LeaseEvent),
    /// The end of the run found something that should have been gone.
    Leak(LeakEvent),
}

/// Something that was still there after everything had been stopped; it is
/// removed by now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeakEvent {
    /// Where it was.
    pub backend: BackendKind,
    /// What it was, in the backend's words: `container NAME (SERVICE)`.
    pub what: String,
}

/// An instance went to another state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstanceEvent {
    /// The planned instance.
    pub key: InstanceKey,
    /// The service's name.
    pub name: String,
    /// Who owns it.
    pub owner: OwnerId,
    /// Where it runs.
    pub backend: BackendKind,
    /// The backend's name for it, once there is one.
    pub instance: Option<InstanceId>,
    /// The state it is in now.
    pub state: LifecycleState,
    /// How long each phase took so far.
    pub phases: Phases,
    /// Why it failed; of one that is stopped, that it had failed before.
    pub error: Option<String>,
}

/// How long an instance spent in each phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Phases {
    /// Making and starting it.
    pub create: Duration,
    /// From started to ready, migrations included.
    pub ready: Duration,
    /// From the wish to stop to gone.
    pub stop: Duration,
}

/// A lease began or ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LeaseEvent {
    /// The planned instance.
    pub key: InstanceKey,
    /// The service's name.
    pub name: String,
    /// Who holds it.
    pub owner: OwnerId,
    /// How much of the instance.
    pub mode: LeaseMode,
    /// What became of it.
    pub state: LeaseState,
    /// How long that took.
    pub took: Duration,
}

/// What became of a lease.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// Its owner has it; a slice by its name.
    Granted(Option<String>),
    /// It is over, and what it held is gone.
    Ended,
    /// Its owner failed: what it held stays while the run lasts.
    Kept,
}

/// Where events go.
#[derive(Clone)]
pub struct EventSink(Arc<dyn Fn(EngineEvent) + Send + Sync>);

impl EventSink {
    /// Calls `sink` for every event, from any thread. It must not block.
    pub fn new(sink: impl Fn(EngineEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    pub(crate) fn send(&self, event: EngineEvent) {
        (self.0)(event);
    }
}

impl Default for EventSink {
    /// Nobody listens; `tracing` has the same as spans.
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl fmt::Debug for EventSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSink")
    }
}

/// The instance that an event is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    key: &'a InstanceKey,
    name: &'a str,
    owner: &'a OwnerId,
    backend: BackendKind,
}

impl<'a> Subject<'a> {
    /// One that is being started for `owner`.
    pub(super) fn planned(owner: &'a OwnerId, planned: &'a PlannedInstance) -> Self {
        Self {
            key: &planned.key,
            name: &planned.name,
            owner,
            backend: planned.backend,
        }
    }

    /// One that runs.
    pub(super) fn instance(instance: &'a Instance) -> Self {
        Self {
            key: &instance.key,
            name: &instance.handle.service_name,
            owner: &instance.owner,
            backend: instance.backend,
        }
    }
}

impl Engine {
    /// Tells that an instance went to another state.
    pub(super) fn say(
        &self,
        subject: &Subject<'_>,
        instance: Option<&InstanceId>,
        state: LifecycleState,
        phases: Phases,
        error: Option<&CleanroomError>,
    ) {
        self.0.events.send(EngineEvent::Instance(InstanceEvent {
            key: subject.key.clone(),
            name: subject.name.to_owned(),
            owner: subject.owner.clone(),
            backend: subject.backend,
            instance: instance.cloned(),
            state,
            phases,
            error: error.map(CleanroomError::report),
        }));
    }
}
