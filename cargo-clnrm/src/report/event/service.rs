//! The parts of events that tell of services and of what is left of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{TestId, millis};

/// The plan for one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Name of the service.
    pub service: String,
    /// Key of its instances: equal declarations of different binaries have the same.
    pub key: String,
    /// Type of the plugin: `postgres`.
    #[serde(rename = "type")]
    pub plugin_type: String,
    /// Where instances run: `docker`, `process`, `external`.
    pub backend: String,
    /// Why there.
    pub reason: String,
    /// Who owns an instance.
    pub scope: Scope,
    /// How many tests of this run need it.
    pub tests: usize,
}

/// Who owns an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The run: one instance, shared by all tests.
    Run,
    /// A test: an instance each.
    Test,
}

/// An instance is in another state than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceChange {
    /// Name of the service.
    pub service: String,
    /// Key of the instance, as in the plan.
    pub key: String,
    /// Who owns the instance: `run`, or a test by its name. With the key it names one instance.
    pub instance: String,
    /// The state it is in now.
    pub state: InstanceState,
    /// How long what it did so far has taken.
    #[serde(flatten)]
    pub durations: InstanceDurations,
    /// How many tests used it; known when it stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<usize>,
    /// Why it failed, or how it had ended before it was stopped; of several
    /// lines, the first says it and the others explain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// States of an instance that a report tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Its start began.
    Starting,
    /// Container or process exist.
    Created,
    /// It answered as its wait strategy demands.
    Ready,
    /// It is gone.
    Stopped,
    /// It could not start, or broke.
    Failed,
}

/// How long the parts of an instance's life took, as far as they are known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceDurations {
    /// Getting the image.
    #[serde(
        rename = "pull_ms",
        default,
        skip_serializing_if = "Option::is_none",
        with = "millis::optional"
    )]
    pub pull: Option<Duration>,
    /// Creating and starting the container or process.
    #[serde(
        rename = "create_ms",
        default,
        skip_serializing_if = "Option::is_none",
        with = "millis::optional"
    )]
    pub create: Option<Duration>,
    /// From then to the first answer that is good.
    #[serde(
        rename = "ready_ms",
        default,
        skip_serializing_if = "Option::is_none",
        with = "millis::optional"
    )]
    pub ready: Option<Duration>,
    /// Stopping and removing.
    #[serde(
        rename = "stop_ms",
        default,
        skip_serializing_if = "Option::is_none",
        with = "millis::optional"
    )]
    pub stop: Option<Duration>,
}

/// The claim of a test, or of the run, on an instance or a slice of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lease {
    /// Name of the service.
    pub service: String,
    /// Key of the instance, as in the plan.
    pub key: String,
    /// Who owns the instance, as in `service_state`.
    pub instance: String,
    /// The slice, if only a part of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// The owner; the run where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestId>,
}

/// Something of the run that was still there after everything had been stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaked {
    /// What it is.
    pub kind: ResourceKind,
    /// Its id, name, pid or path.
    pub id: String,
    /// The service it is of, if its label says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The test that owned it, if its label says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestId>,
    /// Whether it could be removed after all.
    pub removed: bool,
}

/// Kinds of things that can be left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// A container.
    Container,
    /// A network of containers.
    Network,
    /// A volume of containers.
    Volume,
    /// A process.
    Process,
    /// A directory.
    Directory,
    /// A segment of shared memory.
    SharedMemory,
}

impl ResourceKind {
    /// The kind's name in a sentence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Process => "process",
            Self::Directory => "directory",
            Self::SharedMemory => "shared memory segment",
        }
    }
}
