//! What the tests left behind: processes, temporary directories, and resources of the container engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::shell::Cmd;

/// What the names of clnrm's temporary files start with.
const NAMES: &str = "clnrm-";

/// The label of everything that a run makes in a container engine.
const LABEL: &str = "clnrm.run";

/// How to list each kind of labelled resource, one a line.
const LISTINGS: [(&str, &str); 3] = [
    ("container", "ps --all"),
    ("network", "network ls"),
    ("volume", "volume ls"),
];

/// What was there before the first test, so that what is there after the last can be told from it.
#[derive(Debug)]
pub(crate) struct Audit {
    temporary: PathBuf,
    target: PathBuf,
    /// What the engine had, if there is one.
    resources: Option<BTreeSet<String>>,
}

impl Audit {
    /// To be called before the first test, whose temporary files go to `temporary` and whose programs lie in `target`.
    pub(crate) fn begin(temporary: &Path, target: &Path, has_engine: bool) -> Result<Self> {
        let resources = has_engine.then(resources).transpose()?;
        Ok(Self {
            temporary: temporary.to_owned(),
            target: target.to_owned(),
            resources,
        })
    }

    /// What is left of the tests. Processes have the grace to end by themselves.
    pub(crate) fn leftovers(&self, grace: Duration) -> Result<Vec<String>> {
        self.wait(Instant::now() + grace);
        let mut found: Vec<_> = self
            .processes()
            .into_iter()
            .map(|(pid, line)| format!("process {pid}: {line}"))
            .collect();
        if let Some(before) = &self.resources {
            found.extend(resources()?.difference(before).cloned());
        }
        let entries = fs::read_dir(&self.temporary)
            .map_err(Error::io(format!("read `{}`", self.temporary.display())))?
            .filter_map(|entry| Some(entry.ok()?.file_name()));
        let ours = entries.filter(|name| name.as_bytes().starts_with(NAMES.as_bytes()));
        found.extend(
            ours.map(|name| format!("temporary `{}`", self.temporary.join(name).display())),
        );
        Ok(found)
    }

    /// The processes of the tests that still run, with their command lines.
    fn processes(&self) -> BTreeMap<u32, String> {
        let entries = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()));
        let own_start = start(Path::new("/proc/self"));
        let of_tests = entries.filter_map(|path| {
            let pid = path.file_name()?.to_str()?.parse().ok()?;
            // What was started in the tick of our own start is later than we are.
            let is_later = pid != std::process::id() && start(&path) >= own_start;
            (self.is_inside(&path) || (is_later && self.runs_our_program(&path)))
                .then(|| (pid, command_line(&path)))
        });
        of_tests.collect()
    }

    /// Whether a process was told of our temporary directory, or works in it.
    fn is_inside(&self, process: &Path) -> bool {
        let temporary = self.temporary.as_os_str().as_bytes();
        let names_it = |file: &str| {
            let bytes = fs::read(process.join(file)).unwrap_or_default();
            bytes
                .windows(temporary.len())
                .any(|window| window == temporary)
        };
        let works_in_it =
            fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(&self.temporary));
        works_in_it || names_it("environ") || names_it("cmdline")
    }

    /// Whether a process runs a program of this workspace: what clears its environment is found by that.
    fn runs_our_program(&self, process: &Path) -> bool {
        fs::read_link(process.join("exe")).is_ok_and(|program| program.starts_with(&self.target))
    }

    #[cfg(target_os = "linux")]
    fn wait(&self, deadline: Instant) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        use rustix::process::{Pid, PidfdFlags, pidfd_open};

        for pid in self.processes().into_keys() {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
            // A process that cannot be opened has ended.
            let Some(process) = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
            else {
                continue;
            };
            let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now()))
                .unwrap_or_default();
            // Whether it ended is seen by looking again.
            let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&left));
        }
    }

    /// Without /proc no process is found that could be waited for.
    #[cfg(not(target_os = "linux"))]
    fn wait(&self, _deadline: Instant) {}
}

/// When a process started, in clock ticks since boot; 0 where it has ended.
fn start(process: &Path) -> u64 {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    // The name, in parentheses, may hold spaces; the start is the twentieth word after it.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after_name
        .split(' ')
        .nth(19)
        .and_then(|ticks| ticks.parse().ok())
        .unwrap_or(0)
}

fn command_line(process: &Path) -> String {
    let bytes = fs::read(process.join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .replace('\0', " ")
        .trim()
        .to_owned()
}

/// What the engine has that carries our label, each with its name and run.
fn resources() -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for (kind, listing) in LISTINGS {
        let name = if kind == "container" {
            ".Names"
        } else {
            ".Name"
        };
        let format = format!(r#"{kind} {{{{{name}}}}} of run {{{{.Label "{LABEL}"}}}}"#);
        let cmd = Cmd::new("docker")
            .args(listing.split(' '))
            .args(["--filter", &format!("label={LABEL}")]);
        found.extend(
            cmd.args(["--format", &format])
                .read()?
                .lines()
                .map(str::to_owned),
        );
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A `cat` that waits for its input to end, or to be killed.
    struct Waiter(Child);

    impl Waiter {
        /// Started in a directory or with a variable, and running before it is returned.
        fn start(configure: impl FnOnce(&mut Command) -> &mut Command) -> Self {
            Self::start_program("cat".as_ref(), configure)
        }

        fn start_program(
            program: &Path,
            configure: impl FnOnce(&mut Command) -> &mut Command,
        ) -> Self {
            let mut command = Command::new(program);
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut waiter = Self(configure(&mut command).spawn().unwrap());
            // A program that is still being loaded has no environment that could be read.
            waiter.0.stdin.as_mut().unwrap().write_all(b"-").unwrap();
            let mut echo = [0];
            let output = waiter.0.stdout.as_mut().unwrap();
            output.read_exact(&mut echo).unwrap();
            waiter
        }
    }

    impl Drop for Waiter {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn audit(temporary: &tempfile::TempDir) -> Audit {
        Audit::begin(temporary.path(), Path::new("/nonexistent"), false).unwrap()
    }

    #[track_caller]
    fn check(temporary: &tempfile::TempDir, waiter: &Waiter) {
        let found = audit(temporary).leftovers(Duration::ZERO).unwrap();
        assert_eq!(found, [format!("process {}: cat", waiter.0.id())]);
    }

    #[test]
    fn nothing_is_found_where_nothing_is_left() {
        let temporary = tempfile::tempdir().unwrap();
        fs::write(temporary.path().join("other"), "").unwrap();
        assert!(
            audit(&temporary)
                .leftovers(Duration::ZERO)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_process_is_found_by_its_environment() {
        let temporary = tempfile::tempdir().unwrap();
        check(
            &temporary,
            &Waiter::start(|command| command.env("TMPDIR", temporary.path())),
        );
    }

    #[test]
    fn a_process_is_found_by_its_directory() {
        let temporary = tempfile::tempdir().unwrap();
        check(
            &temporary,
            &Waiter::start(|command| command.env_clear().current_dir(temporary.path())),
        );
    }

    #[test]
    fn a_process_is_found_by_its_program() {
        let temporary = tempfile::tempdir().unwrap();
        let programs = tempfile::tempdir().unwrap();
        let cat = Waiter::start(|command| command.env_clear());
        let program = fs::read_link(format!("/proc/{}/exe", cat.0.id())).unwrap();
        let copy = programs.path().join("cat");
        // Copied by another process: a file that one of ours has open for writing cannot be executed.
        let copied = Command::new("cp").arg(program).arg(&copy).status().unwrap();
        assert!(copied.success());
        let waiter = Waiter::start_program(&copy, |command| command.env_clear());
        let audit = Audit::begin(temporary.path(), programs.path(), false).unwrap();
        assert_eq!(
            audit.leftovers(Duration::ZERO).unwrap(),
            [format!("process {}: {}", waiter.0.id(), copy.display())]
        );
    }

    #[test]
    fn a_process_does_not_find_itself() {
        let temporary = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap();
        let audit = Audit::begin(temporary.path(), &program, false).unwrap();
        assert!(!audit.processes().contains_key(&std::process::id()));
    }

    #[test]
    fn a_process_has_the_grace_to_end() {
        let temporary = tempfile::tempdir().unwrap();
        let mut waiter = Waiter::start(|command| command.env("TMPDIR", temporary.path()));
        let audit = audit(&temporary);
        assert_eq!(audit.processes().len(), 1);
        drop(waiter.0.stdin.take());
        assert!(audit.leftovers(Duration::from_secs(60)).unwrap().is_empty());
    }

    #[test]
    fn temporary_files_of_clnrm_are_found() {
        let temporary = tempfile::tempdir().unwrap();
        let left = temporary.path().join("clnrm-1");
        fs::create_dir(&left).unwrap();
        assert_eq!(
            audit(&temporary).leftovers(Duration::ZERO).unwrap(),
            [format!("temporary `{}`", left.display())]
        );
    }

    #[test]
    fn the_start_of_a_process_is_read_past_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
        fs::write(directory.path().join("stat"), stat).unwrap();
        assert_eq!(start(directory.path()), 4242);
        assert_eq!(start(Path::new("/nonexistent")), 0);
    }
}
