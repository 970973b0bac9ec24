//! How to run an instance, as data: what a plugin says and a backend does.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::container::ContainerSpec;
use super::port::Port;
use super::process::ProcessSpec;
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
