//! What a host is started from, and by whom.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clnrm_runtime::Result;

/// A test binary that can be a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostBinary {
    /// nextest's binary id: what the pool and messages know it by.
    pub id: String,
    /// The executable, or the runner that runs it.
    pub path: PathBuf,
    /// What a runner is given before the name of a test, the executable last.
    pub args: Vec<OsString>,
    /// One of its clnrm tests, by libtest's name: its wrapper serves.
    pub test: String,
    /// The directory of its package.
    pub dir: PathBuf,
    /// The whole environment, as its tests get it.
    pub env: BTreeMap<OsString, OsString>,
}

impl HostBinary {
    /// How its tests are told to run one of them, ignored or not.
    pub(super) fn args(&self) -> Vec<OsString> {
        let one = [
            self.test.as_str(),
            "--exact",
            "--include-ignored",
            "--nocapture",
        ];
        let one = one.map(OsString::from);
        self.args.iter().cloned().chain(one).collect()
    }
}

/// A process to start, its standard input `/dev/null`.
#[derive(Debug)]
pub struct HostSpawn {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: BTreeMap<OsString, OsString>,
    /// Where it starts.
    pub dir: PathBuf,
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error.
    pub stderr: OwnedFd,
}

/// Starts the processes of hosts: the keeper, outside tests.
#[async_trait]
pub trait Spawner: Send + Sync + fmt::Debug {
    /// Starts it. The process outlives what is returned: it ends by itself, or
    /// is killed.
    ///
    /// # Errors
    /// When it cannot be started.
    async fn spawn(&self, spawn: HostSpawn) -> Result<Arc<dyn HostProcess>>;
}

/// The process of a host.
#[async_trait]
pub trait HostProcess: Send + Sync + fmt::Debug {
    /// Waits until it has ended and says how, for people: `with exit code 1`,
    /// `by signal 6`. Any number of callers may wait.
    async fn wait(&self) -> String;

    /// Kills it, with everything that it started.
    ///
    /// # Errors
    /// When it still runs afterwards.
    async fn kill(&self) -> Result<()>;
}

/// How long things may take. Where the engine says how long
/// ([`within`](clnrm_runtime::engine::within)), that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the start of a host to its hello.
    pub hello: Duration,
    /// A call.
    pub call: Duration,
    /// A call that nobody waits for any more, until its host counts as silent
    /// and is killed; and a host that was told to end.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hello: Duration::from_secs(30),
            call: Duration::from_secs(60),
            grace: Duration::from_secs(2),
        }
    }
}
