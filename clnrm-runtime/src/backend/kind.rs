//! The backends by name, and what each can do besides the core.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{CleanroomError, Result};

/// A backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BackendKind {
    /// Containers of a Docker or Podman engine.
    Docker,
    /// Processes of this machine.
    Process,
    /// Somebody else's server, named by a URL: never started or stopped.
    External,
    /// A hand-written `start` made it, where only its plugin knows.
    Plugin,
    /// Nothing real: the double that tests of the engine use.
    Fake,
}

impl BackendKind {
    /// The word used in configuration and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Process => "process",
            Self::External => "external",
            Self::Plugin => "plugin",
            Self::Fake => "fake",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BackendKind {
    type Err = CleanroomError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "docker" => Ok(Self::Docker),
            "process" => Ok(Self::Process),
            _ => Err(
                CleanroomError::validation_error(format!("unknown backend `{text}`"))
                    .with_hint("the backends are `auto`, `docker` and `process`"),
            ),
        }
    }
}

/// Something that not every backend can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// Networks of its own, and aliases in them.
    Networks,
    /// Processor and memory counters.
    Stats,
    /// Freezing and thawing.
    Pause,
    /// Limits of memory, processors and processes.
    Limits,
    /// Any image.
    Images,
    /// Health checks of images.
    Healthchecks,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Networks => "networks",
            Self::Stats => "statistics",
            Self::Pause => "pause",
            Self::Limits => "resource limits",
            Self::Images => "images",
            Self::Healthchecks => "image health checks",
        })
    }
}

/// What a backend can do besides the core.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Capabilities(BTreeSet<Capability>);

impl Capabilities {
    /// Whether `capability` is one of them.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().collect())
    }
}
