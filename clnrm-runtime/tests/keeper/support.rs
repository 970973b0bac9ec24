//! Scripts to run, and processes to watch.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clnrm_runtime::keeper::{Child, Keeper, Spawn, Stdio, User};
use clnrm_runtime::run::Run;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::owner::Lines;

/// Longer than anything here takes, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const NOBODY: User = User {
    uid: 65534,
    gid: 65534,
};

/// A shell script. `say NAME` in it prints a line that [`crate::owner::Lines`]
/// reads: the name, and the pid as everybody outside of namespaces sees it.
pub(crate) fn script(text: &str) -> Spawn {
    let say = "say() { read -r pid rest < /proc/self/stat; echo \"@ $1 $pid\"; }";
    Spawn {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), format!("{say}\n{text}").into()],
        env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        workdir: "/".into(),
        user: None,
        isolate: false,
    }
}

pub(crate) fn null() -> OwnedFd {
    File::options()
        .read(true)
        .write(true)
        .open("/dev/null")
        .unwrap()
        .into()
}

pub(crate) fn quiet() -> Stdio {
    Stdio {
        stdin: None,
        stdout: null(),
        stderr: null(),
    }
}

/// Standard output comes back.
pub(crate) fn piped() -> (Stdio, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let stdio = Stdio {
        stdin: None,
        stdout: writer.into(),
        stderr: null(),
    };
    (stdio, reader)
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a test body with a keeper of its own, which it must leave without
/// descendants.
pub(crate) async fn with_keeper<F: Future>(body: impl FnOnce(Keeper) -> F) {
    let run = Run::begin().unwrap();
    let keeper = Keeper::start(&run).await.unwrap();
    body(keeper.clone()).await;
    keeper.dismiss().await.unwrap();
    let dir = run.dir().to_owned();
    run.end().unwrap();
    assert!(!dir.exists());
}

/// Says when it is complete, and stays: what is looked at too early is still
/// being loaded.
pub(crate) const STAY: &str = "say child; sleep 1000 & wait";

/// Starts it and waits until it is complete.
pub(crate) async fn stay(keeper: &Keeper, spawn: Spawn) -> Child {
    let (stdio, reader) = piped();
    let child = keeper.spawn(spawn, stdio).await.unwrap();
    assert_eq!(Lines::new(reader).next("child"), child.pid().to_string());
    child
}

/// A process, held by a pidfd so that it stays itself.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) pid: u32,
    pidfd: OwnedFd,
}

impl Watched {
    #[track_caller]
    pub(crate) fn new(pid: u32) -> Self {
        let raw = Pid::from_raw(pid.try_into().unwrap()).unwrap();
        let pidfd = pidfd_open(raw, PidfdFlags::empty())
            .unwrap_or_else(|error| panic!("process {pid} is not there: {error}"));
        Self { pid, pidfd }
    }

    /// Whether it ends within this time.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        let timeout = Timespec::try_from(time).unwrap();
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut fds, Some(&timeout)).unwrap() == 1
    }

    pub(crate) fn is_alive(&self) -> bool {
        !self.ends_within(Duration::ZERO)
    }

    #[track_caller]
    pub(crate) fn ends(&self) {
        let status = || std::fs::read_to_string(format!("/proc/{}/status", self.pid));
        assert!(self.ends_within(PATIENCE), "it still runs: {:?}", status());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.pidfd, signal).unwrap();
    }
}

/// Waits for a condition that nothing announces.
#[track_caller]
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// The state letter of a process; `None` when there is none.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The targets of a process's open files, by number.
pub(crate) fn files(pid: u32) -> BTreeMap<u32, PathBuf> {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let number = entry.file_name().to_str().unwrap().parse().unwrap();
            (number, std::fs::read_link(entry.path()).unwrap_or_default())
        })
        .collect()
}

/// A process's environment as it was started with.
pub(crate) fn environment(pid: u32) -> BTreeMap<String, String> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    String::from_utf8(bytes)
        .unwrap()
        .split_terminator('\0')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
