//! What the keeper is asked to start, and what it says about it: plain data.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::process::WaitStatus;
use serde::{Deserialize, Serialize};

use super::message::text;
use crate::service::StopSignal;

/// A program to start, as a child of the keeper and in a session of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawn {
    /// The program, by its absolute path.
    #[serde(with = "text")]
    pub program: PathBuf,
    /// Its arguments, without its own name.
    #[serde(with = "text::list")]
    pub args: Vec<OsString>,
    /// Its whole environment, but for `CLNRM_RUN`, which the keeper adds.
    #[serde(with = "text::map")]
    pub env: BTreeMap<OsString, OsString>,
    /// The directory it starts in.
    #[serde(with = "text")]
    pub workdir: PathBuf,
    /// The user it runs as; `None` is the owner's.
    pub user: Option<User>,
    /// Whether it gets a pid and an ipc namespace where that is allowed, so
    /// that nothing it starts can outlive it.
    pub isolate: bool,
}

/// A user, and the one group that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
}

/// What a child reads from and writes to. It inherits nothing else.
#[derive(Debug)]
pub struct Stdio {
    /// `None` is `/dev/null`.
    pub stdin: Option<OwnedFd>,
    /// Standard output.
    pub stdout: OwnedFd,
    /// Standard error.
    pub stderr: OwnedFd,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Exit {
    /// The code, or 128 and the number of the signal, as shells have it.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }

    /// `None` for a process that has not ended.
    pub(super) fn of(status: WaitStatus) -> Option<Self> {
        let code = status.exit_status().map(Self::Code);
        code.or_else(|| status.terminating_signal().map(Self::Signal))
    }
}

/// Whether a child has namespaces of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Nobody asked for them.
    None,
    /// It has a pid and an ipc namespace: all in it ends with the child.
    Namespaces,
    /// They are not allowed here, for this reason. It runs without.
    Refused(String),
}

/// What a child can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Signal {
    /// SIGTERM.
    Term,
    /// SIGINT.
    Int,
    /// SIGQUIT.
    Quit,
    /// SIGHUP.
    Hup,
    /// SIGKILL.
    Kill,
    /// SIGSTOP: freezes.
    Stop,
    /// SIGCONT: thaws.
    Cont,
    /// SIGUSR1.
    Usr1,
    /// SIGUSR2.
    Usr2,
}

impl Signal {
    pub(super) fn to_rustix(self) -> rustix::process::Signal {
        use rustix::process::Signal as Os;
        match self {
            Self::Term => Os::TERM,
            Self::Int => Os::INT,
            Self::Quit => Os::QUIT,
            Self::Hup => Os::HUP,
            Self::Kill => Os::KILL,
            Self::Stop => Os::STOP,
            Self::Cont => Os::CONT,
            Self::Usr1 => Os::USR1,
            Self::Usr2 => Os::USR2,
        }
    }
}

impl From<StopSignal> for Signal {
    fn from(signal: StopSignal) -> Self {
        match signal {
            StopSignal::Term => Self::Term,
            StopSignal::Int => Self::Int,
            StopSignal::Quit => Self::Quit,
            StopSignal::Kill => Self::Kill,
        }
    }
}

/// Who of a child gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The program itself.
    Process,
    /// Its process group: those it started that did not leave it.
    Group,
    /// All it started, those included that detached from it as far as they can
    /// be told: in namespaces every one, without them the descendants and those
    /// of its session.
    Tree,
}
