//! What is there on this machine, as the plan needs to know it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::service::Program;

/// What is there. Asked once a run, one question each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Probe {
    /// The container engine.
    pub engine: EngineProbe,
    /// Images, by the reference that a spec names.
    pub images: BTreeMap<String, ImageProbe>,
    /// Programs, by [`program_key`].
    pub programs: BTreeMap<String, ProgramProbe>,
    /// URLs of external services, by service name. Never serialised.
    #[serde(skip)]
    pub urls: BTreeMap<String, String>,
}

/// The container engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineProbe {
    /// It answers.
    Answers {
        /// Its name and version.
        version: String,
        /// Whether a loopback port that it publishes is reached from here: not
        /// so for a remote engine, or from inside a container.
        local: bool,
    },
    /// It does not.
    Silent {
        /// Why, as a clause of its own: what was tried, and what it said.
        reason: String,
    },
    /// Nobody asked, as no service can use one.
    NotAsked,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageProbe {
    /// It is here, under this name (`[images]` applied).
    Present {
        /// The name to use.
        name: String,
        /// Bytes pulled for it in this run, when it had to be.
        pulled: Option<u64>,
    },
    /// It is not, and cannot be had.
    Missing {
        /// The name that was looked for (`[images]` applied).
        name: String,
        /// Why not: what the pull said, or that there was none.
        reason: String,
    },
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramProbe {
    /// It is here.
    Found {
        /// Its absolute path.
        path: PathBuf,
        /// What it says its version is.
        version: Option<String>,
        /// How it was found: `configured`, `PATH`, `well-known place`, `cache`, `provisioned`, `cargo`.
        how: String,
        /// What a person should know: another version than preferred.
        note: Option<String>,
    },
    /// It is not, and cannot be had.
    Missing {
        /// Everything that was tried, one line each.
        tried: Vec<String>,
        /// What would fix it.
        hint: String,
    },
}

/// What [`Probe::programs`] knows a program by.
#[must_use]
pub fn program_key(program: &Program) -> String {
    match program {
        Program::Bin { package, name, .. } => format!("bin:{package}/{name}"),
        Program::Named(program) => {
            let version = program.version.as_deref().unwrap_or("any");
            let strictness = if program.require_version {
                "exactly"
            } else {
                "about"
            };
            format!("program:{}/{strictness}/{version}", program.name)
        }
    }
}

impl Default for Probe {
    /// A machine with nothing, of which nothing was asked.
    fn default() -> Self {
        Self {
            engine: EngineProbe::NotAsked,
            images: BTreeMap::new(),
            programs: BTreeMap::new(),
            urls: BTreeMap::new(),
        }
    }
}
