//! Looks at the process table, and signals processes that are not children:
//! only through a pidfd, and only after a second look.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal,
};

use crate::error::{CleanroomError, Result};
use crate::run::RUN_VARIABLE;
use crate::service::RunId;

/// How long killed processes may take to go.
pub(crate) const FAREWELL: Duration = Duration::from_secs(5);
/// How long a process may take that removes what an engine has.
const PATIENCE: Duration = Duration::from_secs(90);

/// One process, from its `stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: Pid,
    pub(super) parent: i32,
    pub(super) session: i32,
    pub(super) zombie: bool,
    /// Ticks since boot: with the pid it names one process for ever.
    started: u64,
}

impl Entry {
    /// Whether it may be about to run another program.
    fn may_load(&self) -> bool {
        // The kernel's threads are children of its second process.
        !self.zombie && self.parent != 2
    }
}

/// All processes that can be seen.
pub(super) fn table() -> Vec<Entry> {
    pids("/proc").into_iter().filter_map(entry).collect()
}

/// When a process started, in clock ticks since boot.
pub(crate) fn started(pid: Pid) -> Option<u64> {
    entry(pid).map(|entry| entry.started)
}

/// Whether the process that started then has not ended, reaped or not.
pub(crate) fn lives(pid: Pid, started: u64) -> bool {
    entry(pid).is_some_and(|now| now.started == started && !now.zombie)
}

/// Those of `table` that descend from one of `roots`, and are none of them.
pub(super) fn descendants(table: &[Entry], roots: &[Pid]) -> Vec<Entry> {
    let mut family: BTreeSet<i32> = roots.iter().map(|pid| pid.as_raw_pid()).collect();
    let mut found = Vec::new();
    loop {
        let before = found.len();
        for entry in table {
            if family.contains(&entry.parent) && family.insert(entry.pid.as_raw_pid()) {
                found.push(*entry);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Signals a child of this process that is not reaped yet, and all that it
/// started: its descendants, its session, and what is `marked` as its own,
/// with the descendants of all these.
///
/// # Errors
/// The first, when all that can be signalled has been.
pub(super) fn signal_tree(
    root: Pid,
    signal: Signal,
    marked: impl Fn(Pid) -> bool,
) -> Result<(), Errno> {
    signal_found(signal, || tree(root, &marked), self::signal)
}

/// Signals what `find` finds. One that may not be signalled, a program of
/// another user for example, keeps none of the others from it.
fn signal_found(
    signal: Signal,
    find: impl Fn() -> Vec<Entry>,
    send: impl Fn(&Entry, Signal) -> Result<(), Errno>,
) -> Result<(), Errno> {
    if signal != Signal::KILL {
        return each(&find(), |entry| send(entry, signal));
    }
    let mut frozen = Vec::new();
    let mut stopped = Ok(());
    // What is frozen forks no more, so that nothing slips through the look.
    loop {
        let mut found = find();
        found.retain(|entry| !frozen.contains(entry));
        if found.is_empty() {
            break;
        }
        // What may not be stopped may fork for ever: one look more is all that it gets.
        let is_last = stopped.is_err();
        stopped = stopped.and(each(&found, |entry| send(entry, Signal::STOP)));
        frozen.extend(found);
        if is_last {
            break;
        }
    }
    stopped.and(each(&frozen, |entry| send(entry, signal)))
}

/// Does it for all, and returns the first error.
fn each<T, E>(all: &[T], work: impl FnMut(&T) -> Result<(), E>) -> Result<(), E> {
    all.iter().map(work).fold(Ok(()), Result::and)
}

fn tree(root: Pid, marked: impl Fn(Pid) -> bool) -> Vec<Entry> {
    let all = table();
    let mut ours = descendants(&all, &[getpid()]);
    let is_root = |entry: &Entry| {
        entry.pid == root || entry.session == root.as_raw_pid() || marked(entry.pid)
    };
    let roots: Vec<Pid> = ours
        .iter()
        .filter(|entry| is_root(entry))
        .map(|entry| entry.pid)
        .collect();
    let below = descendants(&all, &roots);
    ours.retain(|entry| !entry.zombie && (roots.contains(&entry.pid) || below.contains(entry)));
    ours
}

/// The direct children of this process, as far as one glance tells.
pub(super) fn children() -> Vec<Pid> {
    let tasks = pids("/proc/self/task");
    let texts = tasks.into_iter().map(|task| {
        let path = format!("/proc/self/task/{}/children", task.as_raw_pid());
        fs::read_to_string(path)
    });
    match texts.collect::<std::io::Result<Vec<String>>>() {
        Ok(texts) => texts
            .iter()
            .flat_map(|text| text.split_whitespace())
            .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
            .collect(),
        // Some kernels are built without that file.
        Err(_) => {
            let us = getpid().as_raw_pid();
            let ours = table().into_iter().filter(|entry| entry.parent == us);
            ours.map(|entry| entry.pid).collect()
        }
    }
}

/// Whether the environment of a process, as it was started with, has this.
pub(super) fn carries(pid: Pid, variable: &str, value: &str) -> bool {
    let wanted = format!("{variable}={value}");
    environment(pid)
        .split(|byte| *byte == 0)
        .any(|pair| pair == wanted.as_bytes())
}

/// A process's environment. Empty if it has gone, or is not ours to look at.
fn environment(pid: Pid) -> Vec<u8> {
    for _ in 0..20 {
        match fs::read(format!("/proc/{}/environ", pid.as_raw_pid())) {
            // While a program is being loaded it is empty, and for ever in
            // zombies and in the kernel's own threads.
            Ok(none) if none.is_empty() && entry(pid).is_some_and(|entry| entry.may_load()) => {
                pause(Duration::from_millis(1));
            }
            result => return result.unwrap_or_default(),
        }
    }
    Vec::new()
}

/// Waits for time to pass, and nothing else.
fn pause(time: Duration) {
    // An interrupted pause is a short one.
    let _ = poll(&mut [], Timespec::try_from(time).ok().as_ref());
}

/// Signals a process, unless its pid has passed to another one meanwhile.
pub(super) fn signal(process: &Entry, signal: Signal) -> Result<(), Errno> {
    let same = || entry(process.pid).is_some_and(|now| now.started == process.started);
    signal_if(process.pid, same, signal)
}

/// Kills every process of a run that still carries its id, this one excepted.
///
/// # Errors
/// When one does not go.
pub(crate) fn kill_run(run: &RunId) -> Result<()> {
    let deadline = Instant::now() + FAREWELL;
    loop {
        let left: Vec<Pid> = pids("/proc")
            .into_iter()
            .filter(|pid| *pid != getpid() && carries(*pid, RUN_VARIABLE, run.as_str()))
            .collect();
        let Some(one) = left.first().copied() else {
            return Ok(());
        };
        if Instant::now() > deadline {
            return Err(CleanroomError::container_error(format!(
                "{} processes of run `{run}` do not end",
                left.len()
            ))
            .with_context("pid", one.as_raw_pid()));
        }
        each(&left, |&pid| {
            let same = || carries(pid, RUN_VARIABLE, run.as_str());
            signal_if(pid, same, Signal::KILL).map_err(|error| {
                CleanroomError::container_error("cannot kill what is left of a run")
                    .with_context("pid", pid.as_raw_pid())
                    .with_source(error)
            })
        })?;
        wait_for(one);
    }
}

/// Signals the process that started then, and waits until it has ended. One
/// that is gone already is no error.
///
/// # Errors
/// When it does not end.
pub(crate) fn end(pid: Pid, started: u64, signal: Signal) -> Result<()> {
    let cannot = |error: Errno| {
        CleanroomError::container_error("cannot end a process")
            .with_context("pid", pid.as_raw_pid())
            .with_source(error)
    };
    let same = || lives(pid, started);
    signal_if(pid, same, signal).map_err(cannot)?;
    let deadline = Instant::now() + PATIENCE;
    while same() {
        if Instant::now() > deadline {
            let seconds = PATIENCE.as_secs();
            return Err(CleanroomError::timeout_error(format!(
                "a process did not end within {seconds} s of {signal:?}"
            ))
            .with_context("pid", pid.as_raw_pid()));
        }
        wait_for(pid);
    }
    Ok(())
}

/// Waits a little for a process to end.
fn wait_for(pid: Pid) {
    let moment = Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    // Where there is no pidfd the next look comes at once: correct, and busy.
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
        let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&moment));
    }
}

/// Signals a process that still is what `same` says once it cannot be replaced.
fn signal_if(pid: Pid, same: impl Fn() -> bool, signal: Signal) -> Result<(), Errno> {
    let sent = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) if same() => pidfd_send_signal(&pidfd, signal),
        Ok(_) => return Ok(()),
        // Before Linux 5.3; the gap between look and signal is microseconds.
        Err(Errno::NOSYS) if same() => kill_process(pid, signal),
        Err(Errno::NOSYS) => return Ok(()),
        Err(error) => Err(error),
    };
    match sent {
        Err(Errno::SRCH) => Ok(()),
        result => result,
    }
}

fn entry(pid: Pid) -> Option<Entry> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    parse(pid, &stat)
}

fn parse(pid: Pid, stat: &str) -> Option<Entry> {
    // The name before it may hold anything, blanks and parentheses included.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    Some(Entry {
        pid,
        parent: fields.next()?.parse().ok()?,
        session: fields.nth(1)?.parse().ok()?,
        zombie: matches!(state, "Z" | "X"),
        started: fields.nth(15)?.parse().ok()?,
    })
}

/// The numbers in a directory of `/proc`.
fn pids(directory: &str) -> Vec<Pid> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            let gone = error.kind() == ErrorKind::NotFound;
            tracing::warn!(%error, gone, "cannot list `{directory}`");
            return Vec::new();
        }
    };
    entries
        .filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .collect()
}

#[cfg(test)]
mod tests;
