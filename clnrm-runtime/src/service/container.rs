//! How a service runs from an image.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::image::ImageRef;
use super::spec::File;
use super::template::Template;
use super::volume::Volume;

/// How to run a service from an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// The image, before `[images]` maps its name.
    pub image: ImageRef,
    /// The arguments; the image's own when absent.
    #[serde(default)]
    pub command: Option<Vec<Template>>,
    /// Replaces the image's entry point.
    #[serde(default)]
    pub entrypoint: Option<Vec<String>>,
    /// Environment of the container alone.
    #[serde(default)]
    pub env: BTreeMap<String, Template>,
    /// Mounts.
    #[serde(default)]
    pub volumes: Vec<Volume>,
    /// Files written into the container before it starts.
    #[serde(default)]
    pub files: Vec<File>,
    /// Replaces the image's health check.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
    /// Which network it joins and under which names.
    #[serde(default)]
    pub network: Network,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// `user[:group]`, by name or number.
    #[serde(default)]
    pub user: Option<String>,
    /// The working directory.
    #[serde(default)]
    pub workdir: Option<String>,
    /// Whether the ports that the image exposes are published too, each by its
    /// number as its name, where [`Spec::ports`](super::Spec::ports) does not have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exposed: bool,
    /// What `{data_dir}` means inside: an anonymous volume is mounted there
    /// when a template names it.
    #[serde(default = "default_data_dir")]
    pub data_dir: String,
}

fn default_data_dir() -> String {
    "/data".to_owned()
}

impl ContainerSpec {
    /// The image with everything as it says itself.
    #[must_use]
    pub fn new(image: ImageRef) -> Self {
        Self {
            image,
            command: None,
            entrypoint: None,
            env: BTreeMap::new(),
            volumes: Vec::new(),
            files: Vec::new(),
            healthcheck: None,
            network: Network::default(),
            limits: Limits::default(),
            user: None,
            workdir: None,
            exposed: false,
            data_dir: default_data_dir(),
        }
    }
}

/// A health check that replaces the image's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healthcheck {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Time between two checks.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// How many failures in a row make it unhealthy.
    pub retries: u32,
    /// Time in which failures do not count.
    pub start_period: Duration,
}

/// Which network a container joins.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Network {
    /// The network's name within the run: containers of one owner that say the
    /// same name see each other. The owner's own network when absent.
    pub name: Option<String>,
    /// Names under which others find it, besides the service's name.
    pub aliases: Vec<String>,
}

/// What a container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Thousandths of a core.
    pub cpu_millis: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Bytes of `/dev/shm`.
    pub shm: Option<u64>,
}
