//! The plan: the pure value computed before anything starts.
//!
//! Descriptors, descriptions, probe and configuration go in; which instances
//! run where, in which order, for which tests comes out. Nothing here reads a
//! file, a clock or an environment.

mod assign;
mod build;
mod catalog;
mod description;
mod error;
mod lease;
mod probe;
mod shown;

pub(crate) use assign::url_variable;
pub use build::{PlanInput, TestRequest, plan};
pub use catalog::Catalog;
pub use description::{NeedDescription, ServiceDescription};
pub use probe::{EngineProbe, ImageProbe, Probe, ProgramProbe, program_key};

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::backend::{BackendKind, Source};
use crate::error::{CleanroomError, Result};
use crate::service::{InstanceKey, ServiceId, TestId};

/// What will run, where, and for whom.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Plan {
    /// Every instance that a test needs, dependencies included.
    pub instances: BTreeMap<InstanceKey, PlannedInstance>,
    /// Every test of the run, in the order given.
    pub tests: Vec<PlannedTest>,
}

impl PlannedInstance {
    /// Where it runs, for people.
    #[must_use]
    pub fn place(&self) -> String {
        match self.error {
            Some(_) => "no backend".to_owned(),
            None => self.backend.to_string(),
        }
    }
}

impl Plan {
    /// The test called `test`.
    #[must_use]
    pub fn test(&self, test: &TestId) -> Option<&PlannedTest> {
        self.tests.iter().find(|planned| planned.test == *test)
    }
}

/// An instance, shared or made once for each test that needs it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedInstance {
    /// What the run shares it by.
    pub key: InstanceKey,
    /// The service's name.
    pub name: String,
    /// The declarations that mean it; equal ones of two binaries meet here.
    pub services: Vec<Declared>,
    /// What its declaration says. That of the first of `services`.
    pub description: ServiceDescription,
    /// Where it runs.
    pub backend: BackendKind,
    /// Why there, for people.
    pub reason: String,
    /// The image or program; absent for an external or hand-written one.
    pub source: Option<Source>,
    /// The URL of an external one. It may hold a password.
    #[serde(skip)]
    pub url: Option<String>,
    /// Why it can run nowhere; a test goes on without it where it is optional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CleanroomError>,
    /// The dependencies by field.
    pub needs: Vec<PlannedNeed>,
    /// Whether the run's own lease of it is a slice, rather than all of it.
    pub run_slice: bool,
    /// Whether it is on a network with other containers.
    pub networked: bool,
    /// How many tests lease it, directly or through a dependant.
    pub users: usize,
}

/// A declaration, in the binary whose host knows its code.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Declared {
    /// The binary's id.
    pub binary: String,
    /// The declaration.
    pub id: ServiceId,
}

/// A dependency of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedNeed {
    /// The field that holds it.
    pub field: String,
    /// The instance.
    pub key: InstanceKey,
    /// Whether the dependant starts without it.
    pub optional: bool,
}

/// A test and what it leases.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedTest {
    /// The test.
    pub test: TestId,
    /// One for each service that the test owns or shares, dependencies first.
    pub leases: Vec<PlannedLease>,
    /// Why it cannot run; then it has no leases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<CleanroomError>,
}

/// A lease that a test will take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLease {
    /// The declaration, as the test's binary names it.
    pub service: ServiceId,
    /// The service's name.
    pub name: String,
    /// The instance.
    pub key: InstanceKey,
    /// How much of it.
    pub mode: LeaseMode,
    /// Why that much, for people.
    pub reason: String,
    /// Whether the signature names it, rather than a dependency.
    pub named: bool,
    /// Whether the test goes on without it.
    pub optional: bool,
}

/// How much of an instance a lease takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseMode {
    /// An instance of its own.
    Own,
    /// A slice of the run's instance.
    Slice,
    /// The run's own lease: all of the instance, or a slice that the run took.
    Shared,
}

impl fmt::Display for LeaseMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Own => "own",
            Self::Slice => "slice",
            Self::Shared => "shared",
        })
    }
}

/// Which backend a run prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// Containers where they can be had, else processes.
    #[default]
    Auto,
    /// Containers for whatever has an image.
    Docker,
    /// Processes for everything.
    Process,
}

impl fmt::Display for Preference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Docker => "docker",
            Self::Process => "process",
        })
    }
}

impl FromStr for Preference {
    type Err = CleanroomError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            "docker" => Ok(Self::Docker),
            "process" => Ok(Self::Process),
            _ => Err(
                CleanroomError::validation_error(format!("unknown backend `{text}`"))
                    .with_hint("the backends are `auto`, `docker` and `process`"),
            ),
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::field_reassign_with_default,
    reason = "reads as the attributes do"
)]
mod tests;
