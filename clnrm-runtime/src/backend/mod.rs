//! Where instances run: one trait, with one contract suite that every backend passes.
//!
//! Nothing here names Docker's types, and a backend knows nothing of tests,
//! leases or plugins: it gets a spec, and the label to put on what it makes.

#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod contract;
pub mod docker;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod fake;
mod kind;
pub mod process;
mod request;

pub use kind::{BackendKind, Capabilities, Capability};
pub use request::{CreateRequest, NetworkId, Source, Surroundings};

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::error::{CleanroomError, Result};
use crate::label::Label;
use crate::service::{Endpoint, InstanceId, LogStream, RunId, Stop};

/// Runs instances.
///
/// Every method may be cancelled at any await and must then leave nothing that
/// [`Backend::sweep`] does not find by its label.
#[async_trait]
pub trait Backend: Send + Sync + fmt::Debug {
    /// Which one it is.
    fn kind(&self) -> BackendKind;

    /// What it can do besides the core.
    fn capabilities(&self) -> Capabilities;

    /// Makes an instance without starting it. What it made for an attempt that
    /// failed is gone when this returns.
    ///
    /// # Errors
    /// When the spec cannot be run here, or a name, port or file cannot be had.
    async fn create(&self, request: &CreateRequest) -> Result<InstanceId>;

    /// Starts it, and says where it will answer. Ready is not its business.
    ///
    /// # Errors
    /// When it cannot be started; a taken port is an error of its own, transient
    /// where the port was ours to choose.
    async fn start(&self, id: &InstanceId) -> Result<Started>;

    /// Asks it to stop, waits out the grace, kills it. Stopping what does not
    /// run is no error.
    ///
    /// # Errors
    /// When it still runs afterwards.
    async fn stop(&self, id: &InstanceId, stop: Stop) -> Result<()>;

    /// Removes it and everything made with it, by force. Removing what is gone
    /// is no error.
    ///
    /// # Errors
    /// When something of it is still there afterwards.
    async fn remove(&self, id: &InstanceId) -> Result<()>;

    /// Stops and starts it with its data.
    ///
    /// # Errors
    /// As [`Backend::stop`] and [`Backend::start`].
    async fn restart(&self, id: &InstanceId, stop: Stop) -> Result<Started> {
        self.stop(id, stop).await?;
        self.start(id).await
    }

    /// Says how it is.
    ///
    /// # Errors
    /// When the backend does not answer. An instance that is gone is
    /// [`State::Gone`], not an error.
    async fn inspect(&self, id: &InstanceId) -> Result<Inspection>;

    /// Runs a command inside it: in a container, or in the environment and
    /// directory of a process.
    ///
    /// # Errors
    /// When the command cannot be run. A command that fails is an output.
    async fn exec(&self, id: &InstanceId, command: &[String]) -> Result<ExecOutput>;

    /// Its log lines from `since` on, and those to come when `follow` is set.
    fn logs(
        &self,
        id: &InstanceId,
        since: Option<SystemTime>,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine>>;

    /// Writes a file into it.
    ///
    /// # Errors
    /// When the directory does not exist or cannot be written.
    async fn copy_in(&self, id: &InstanceId, path: &str, contents: Bytes, mode: u32) -> Result<()>;

    /// Reads a file out of it.
    ///
    /// # Errors
    /// When there is no such file.
    async fn copy_out(&self, id: &InstanceId, path: &str) -> Result<Bytes>;

    /// Removes everything that carries the label of `run`, until two listings
    /// in a row are empty. Returns what it found, one line each.
    ///
    /// # Errors
    /// When something cannot be removed.
    async fn sweep(&self, run: &RunId) -> Result<Vec<String>>;

    /// Lists what carries the label of `run`, one line each.
    ///
    /// # Errors
    /// When the backend does not answer.
    async fn list(&self, run: &RunId) -> Result<Vec<String>>;

    /// Leaves what is there to the keeper: it goes on when this process ends.
    ///
    /// # Errors
    /// When it would not.
    async fn leave(&self) -> Result<()> {
        Ok(())
    }

    /// Makes a network for containers. Needs [`Capability::Networks`].
    ///
    /// # Errors
    /// When the backend has none.
    async fn create_network(&self, _name: &str, _label: &Label) -> Result<NetworkId> {
        Err(self.cannot(Capability::Networks))
    }

    /// Removes a network. Removing what is gone is no error.
    ///
    /// # Errors
    /// When the backend has none.
    async fn remove_network(&self, _id: &NetworkId) -> Result<()> {
        Err(self.cannot(Capability::Networks))
    }

    /// Freezes it. Needs [`Capability::Pause`].
    ///
    /// # Errors
    /// When the backend cannot.
    async fn pause(&self, _id: &InstanceId) -> Result<()> {
        Err(self.cannot(Capability::Pause))
    }

    /// Thaws it. Needs [`Capability::Pause`].
    ///
    /// # Errors
    /// When the backend cannot.
    async fn unpause(&self, _id: &InstanceId) -> Result<()> {
        Err(self.cannot(Capability::Pause))
    }

    /// What it uses now. Needs [`Capability::Stats`].
    ///
    /// # Errors
    /// When the backend cannot.
    async fn stats(&self, _id: &InstanceId) -> Result<Stats> {
        Err(self.cannot(Capability::Stats))
    }

    /// Whether who listens on `port` of this machine is this instance, so that
    /// a stranger's answer is never taken for its own. Where the backend binds
    /// the port itself, nobody else can have it.
    ///
    /// # Errors
    /// When there is no such instance.
    async fn owns_port(&self, _id: &InstanceId, _port: u16) -> Result<bool> {
        Ok(true)
    }

    /// Why an instance ended by itself, where the backend can tell: a port that
    /// was taken between our choice and its bind is transient.
    async fn explain_exit(&self, _id: &InstanceId) -> Option<CleanroomError> {
        None
    }

    /// The error of a capability that this backend does not have.
    fn cannot(&self, capability: Capability) -> CleanroomError {
        CleanroomError::validation_error(format!("backend `{}` has no {capability}", self.kind()))
            .with_hint("run with `--backend docker`, or leave this out where there is no engine")
    }
}

/// Where a started instance will answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Started {
    /// By port name, as processes of this machine reach it.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// By port name, as containers of the same network reach it.
    pub inner: BTreeMap<String, Endpoint>,
}

/// Whether an instance runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Made, never started.
    Created,
    /// It runs.
    Running,
    /// It is frozen.
    Paused,
    /// It ended.
    Exited {
        /// The exit code, or 128 and the number of the signal.
        code: i32,
    },
    /// There is no such instance.
    Gone,
}

/// How an instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Whether it runs.
    pub state: State,
    /// The main process, where this process's pid namespace sees it.
    pub pid: Option<u32>,
    /// What the image's health check says: `Some(true)` is healthy.
    pub healthy: Option<bool>,
    /// What its health check has come to, with the last output, while it is not healthy.
    pub check: Option<String>,
    /// Where it answers, by port name.
    pub endpoints: BTreeMap<String, Endpoint>,
}

/// What a command inside an instance gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecOutput {
    /// Its exit code, or 128 and the number of the signal.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl ExecOutput {
    /// Whether the command succeeded.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == 0
    }

    /// Standard output as text, invalid bytes replaced.
    #[must_use]
    pub fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// A line of an instance's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written, as far as the backend knows.
    pub at: SystemTime,
    /// Where it was written.
    pub stream: LogStream,
    /// The text, without its end of line; invalid bytes replaced.
    pub text: String,
}

/// What an instance uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Processor time since its start.
    pub cpu: Duration,
    /// Bytes of memory in use.
    pub memory: u64,
    /// Bytes received from networks, where the backend counts them.
    pub received: Option<u64>,
    /// Bytes sent to networks, where the backend counts them.
    pub sent: Option<u64>,
}
