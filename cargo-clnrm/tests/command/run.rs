//! One run of the command, in a directory of its own, from its start to its end.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};
use tempfile::TempDir;

use crate::backend::Backend;
use crate::process::{self, Process};
use crate::project::Project;

/// Longer than any run here takes, however busy the machine is.
pub(crate) const LONG: Duration = Duration::from_secs(180);

/// A command that has been started.
#[derive(Debug)]
pub(crate) struct Run {
    place: TempDir,
    child: Child,
    reports: UnixListener,
}

/// How it ended, and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

/// A test of the project that runs, until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) pid: u32,
    stream: BufReader<UnixStream>,
}

/// What a command may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Powers {
    /// What this test may.
    All,
    /// It is refused namespaces, as in most containers.
    NoNamespaces,
}

impl Run {
    /// Starts `cargo clnrm test` with `args`.
    pub(crate) fn start(backend: Backend, args: &[&str]) -> Self {
        Self::start_with(backend, args, |_| ())
    }

    /// The same, with fewer powers.
    pub(crate) fn start_as(backend: Backend, args: &[&str], powers: Powers) -> Self {
        let through: &[&str] = match powers {
            Powers::All => &[],
            Powers::NoNamespaces => &["setpriv", "--bounding-set", "-sys_admin"],
        };
        Self::start_through(through, backend, args, |_| ())
    }

    /// The same, with whatever else `change` does to the command.
    pub(crate) fn start_with(
        backend: Backend,
        args: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Self {
        Self::start_through(&[], backend, args, change)
    }

    /// The same, by a program that becomes what its last arguments say.
    pub(crate) fn start_through(
        through: &[&str],
        backend: Backend,
        args: &[&str],
        change: impl FnOnce(&mut Command),
    ) -> Self {
        let project = Project::shared();
        // The path is short, as sockets are made below it, and servers of other users may pass.
        let place = tempfile::Builder::new()
            .prefix("c-")
            .rand_bytes(5)
            .tempdir()
            .unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        let runs = place.path().join("r");
        fs::create_dir(&runs).unwrap();
        let socket = place.path().join("s");
        let reports = UnixListener::bind(&socket).unwrap();
        let mut command = project.cargo(through);
        command
            .args(["clnrm", "test", "--manifest-path"])
            .arg(project.manifest())
            .args(args)
            .current_dir(place.path())
            .env("CLNRM_TMPDIR", &runs)
            .env("SAMPLE_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(place.path().join("err")).unwrap());
        backend.choose(&mut command);
        change(&mut command);
        let child = command.spawn().unwrap();
        Self {
            place,
            child,
            reports,
        }
    }

    /// The pid of the coordinator: cargo becomes the command.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it makes its directories.
    pub(crate) fn dir(&self) -> PathBuf {
        self.place.path().join("r")
    }

    /// Whether it has a directory of its own, and with it an id.
    pub(crate) fn begun(&self) -> bool {
        fs::read_dir(self.dir()).unwrap().next().is_some()
    }

    /// Its id, as long as it lives.
    pub(crate) fn id(&self) -> String {
        let entries = fs::read_dir(self.dir()).unwrap();
        let ids = entries.filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_prefix("clnrm-").map(str::to_owned)
        });
        let ids: Vec<_> = ids.collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        ids.into_iter().next().unwrap()
    }

    /// Waits for what nothing announces.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, look: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + LONG;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let ended = process::ends(self.pid(), Instant::now() + process::MOMENT);
            let late = Instant::now() > deadline;
            assert!(!ended && !late, "it did not come:\n{}", self.said());
        }
    }

    /// Its keeper, as long as it lives.
    pub(crate) fn keeper(&self) -> Process {
        let processes = Process::of_run(&self.id(), &self.dir());
        let mut keepers = processes
            .into_iter()
            .filter(|process| process.name == "clnrm-keeper");
        keepers.next().unwrap()
    }

    /// Waits until a test says that it runs, and holds it.
    pub(crate) fn held(&self) -> Held {
        // The command is a child that nobody has waited for, so it can be watched even when it has ended.
        let command = process::watch(self.pid()).unwrap();
        let files = [self.reports.as_fd(), command.as_fd()];
        let first = process::readable(&files, Instant::now() + LONG);
        assert_eq!(first, Some(0), "no test runs:\n{}", self.said());
        let (stream, _) = self.reports.accept().unwrap();
        Held::read(stream)
    }

    /// Sends the coordinator a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        Process::signal(self.pid(), signal);
    }

    /// Waits until job control has stopped it.
    pub(crate) fn stops(&mut self) {
        let pid = process::pid(self.pid());
        let (said, hear) = mpsc::channel();
        // The wait itself knows no deadline. It ends with the command, which a test that fails kills.
        std::thread::spawn(move || {
            let what = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            // Nobody listens once the deadline is over.
            let _ = said.send(waitid(WaitId::Pid(pid), what).unwrap());
        });
        let status = hear.recv_timeout(LONG).unwrap().unwrap();
        assert!(status.stopped(), "it has ended:\n{}", self.said());
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> Ended {
        let deadline = Instant::now() + LONG;
        let ended = process::ends(self.pid(), deadline);
        assert!(ended, "the command does not end:\n{}", self.said());
        let status = self.child.wait().unwrap();
        Ended {
            status,
            stderr: self.said(),
        }
    }

    /// What it said so far.
    fn said(&self) -> String {
        fs::read_to_string(self.place.path().join("err")).unwrap()
    }
}

/// A command that a failed test leaves gets the chance that Ctrl-C gives it, and its keeper does the rest.
impl Drop for Run {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Held {
    fn read(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut held = Self {
            name: String::new(),
            pid: 0,
            stream: BufReader::new(stream),
        };
        let line = held.line();
        let (name, pid) = line.split_once(' ').unwrap();
        held.name = name.to_owned();
        held.pid = pid.parse().unwrap();
        held
    }

    /// What it says next.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the test has ended, after `{line}`");
        line.trim_end().to_owned()
    }

    /// Waits for its end, for a while.
    pub(crate) fn ends_before(&self, deadline: Instant) -> bool {
        process::ends(self.pid, deadline)
    }

    /// Waits until it shows that it runs.
    pub(crate) fn answers(&mut self) {
        self.stream.get_mut().write_all(b"?").unwrap();
        assert_eq!(self.line(), "here");
    }

    /// Waits for its end.
    pub(crate) fn ends(mut self) {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}
