//! The processes of this machine: which are whose, and the wait for their end.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// After which is looked again at what nothing announces.
pub(crate) const MOMENT: Duration = Duration::from_millis(5);

/// One of `/proc`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// What the system calls it: 15 bytes of its program's name, if it chose no other.
    pub(crate) name: String,
    pub(crate) command_line: String,
}

impl Process {
    /// Those of which `is_wanted` of their directory in `/proc`.
    pub(crate) fn all(is_wanted: impl Fn(&Path) -> bool) -> Vec<Self> {
        let entries = fs::read_dir("/proc").unwrap();
        let wanted = entries.filter_map(|entry| {
            let dir = entry.ok()?.path();
            let pid = dir.file_name()?.to_str()?.parse().ok()?;
            if !is_wanted(&dir) {
                return None;
            }
            let name = fs::read_to_string(dir.join("comm")).ok()?;
            let line = fs::read(dir.join("cmdline")).ok()?;
            Some(Self {
                pid,
                name: name.trim_end().to_owned(),
                command_line: String::from_utf8_lossy(&line).replace('\0', " "),
            })
        });
        wanted.collect()
    }

    /// Those of a run: they carry its id, or were told of its directory, or work in it.
    pub(crate) fn of_run(id: &str, dir: &Path) -> Vec<Self> {
        let id = format!("CLNRM_RUN={id}");
        let needles = [id.as_bytes(), dir.as_os_str().as_bytes()];
        Self::all(|process| {
            let names_it = |file: &str| {
                let bytes = fs::read(process.join(file)).unwrap_or_default();
                needles.iter().any(|needle| contains(&bytes, needle))
            };
            names_it("environ")
                || names_it("cmdline")
                || fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir))
        })
    }

    /// The letter of its state; `None` is that it is gone.
    pub(crate) fn state(process: u32) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name before it, in parentheses, may hold anything.
        stat.rsplit_once(") ")?.1.chars().next()
    }

    /// Waits until a signal that was sent to it has stopped it.
    #[track_caller]
    pub(crate) fn is_stopped(process: u32) {
        let deadline = Instant::now() + Duration::from_secs(60);
        // The system tells nobody but its parent, so it is looked at again after a moment.
        while Self::state(process) != Some('T') {
            let ended = ends(process, Instant::now() + MOMENT);
            let late = Instant::now() > deadline;
            assert!(!ended && !late, "process {process} is not stopped");
        }
    }

    /// Sends a signal to one that must be there.
    pub(crate) fn signal(process: u32, signal: Signal) {
        kill_process(pid(process), signal).unwrap();
    }
}

/// Waits until a process has ended. `false` is that it has not, at the deadline.
pub(crate) fn ends(process: u32, deadline: Instant) -> bool {
    watch(process).is_none_or(|process| readable(&[process.as_fd()], deadline).is_some())
}

/// Waits until one of the files has something to read, or has ended, and says which is the first of those.
pub(crate) fn readable(files: &[BorrowedFd<'_>], deadline: Instant) -> Option<usize> {
    let mut files: Vec<_> = files
        .iter()
        .map(|file| PollFd::from_borrowed_fd(*file, PollFlags::IN))
        .collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up: a wait of less than a tick would spin.
        let left = Timespec::try_from(left + Duration::from_millis(1)).unwrap();
        match poll(&mut files, Some(&left)) {
            Ok(_) => return files.iter().position(|file| !file.revents().is_empty()),
            Err(Errno::INTR) => {}
            Err(error) => panic!("cannot wait: {error}"),
        }
    }
}

/// A file that becomes readable when the process ends; `None` is that it has.
pub(crate) fn watch(process: u32) -> Option<OwnedFd> {
    match pidfd_open(pid(process), PidfdFlags::empty()) {
        Ok(process) => Some(process),
        Err(Errno::SRCH) => None,
        Err(error) => panic!("process {process} cannot be watched: {error}"),
    }
}

pub(crate) fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
