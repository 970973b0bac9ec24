//! What is there of a run, and what is left of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::backend::{Backend, docker};
use crate::process::{self, Process};
use crate::run::{LONG, Run};

/// What the product promises: after this long nothing is left, whatever died.
const PROMISE: Duration = Duration::from_secs(5);

/// By what a run is known once it is over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Traces {
    backend: Backend,
    id: String,
    dir: PathBuf,
    /// Every process that it had when it was looked at.
    processes: BTreeSet<Process>,
    /// What the engine had of it then.
    resources: BTreeSet<String>,
}

impl Traces {
    /// Of a run that lives.
    pub(crate) fn of(run: &Run, backend: Backend) -> Self {
        let (id, dir) = (run.id(), run.dir());
        let processes = Process::of_run(&id, &dir).into_iter().collect();
        let resources = resources(backend, &id);
        Self {
            backend,
            id,
            dir,
            processes,
            resources,
        }
    }

    /// The processes of this program.
    pub(crate) fn processes(&self, name: &str) -> impl Iterator<Item = &Process> {
        self.processes
            .iter()
            .filter(move |process| process.name == name)
    }

    /// The names of its containers.
    pub(crate) fn containers(&self) -> impl Iterator<Item = &str> {
        self.resources
            .iter()
            .filter_map(|resource| resource.strip_prefix("container "))
    }

    /// Whether the run has a server of this name, or a container.
    pub(crate) fn has_service(&self, server: &str) -> bool {
        match self.backend {
            Backend::Process => self.processes(server).next().is_some(),
            Backend::Docker => !self.resources.is_empty(),
        }
    }

    /// That nothing is left of a run that has ended, in the time that is promised.
    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        self.nothing_is_left_since(Instant::now());
    }

    /// The same, and the time began with `fault`. What is late is told apart from what never goes.
    #[track_caller]
    pub(crate) fn nothing_is_left_since(&self, fault: Instant) {
        self.all_goes();
        let took = fault.elapsed();
        assert!(took < PROMISE, "nothing is left, but only after {took:?}");
    }

    /// Waits until no process is left, and looks at all else.
    #[track_caller]
    fn all_goes(&self) {
        let deadline = Instant::now() + LONG;
        loop {
            let left = Process::of_run(&self.id, &self.dir);
            let Some(process) = left.first() else { break };
            assert!(process::ends(process.pid, deadline), "left: {left:#?}");
        }
        let mut left = resources(self.backend, &self.id);
        left.extend(self.shared_memory());
        left.extend(
            fs::read_dir(&self.dir)
                .unwrap()
                .map(|entry| entry.unwrap().path().display().to_string()),
        );
        assert!(left.is_empty(), "left: {left:#?}");
    }

    /// The System V segments that its processes made.
    pub(crate) fn shared_memory(&self) -> Vec<String> {
        let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
        let segments = table.lines().skip(1).filter_map(|line| {
            let mut words = line.split_whitespace();
            // Key, id, permissions, size, creator.
            let (id, creator) = (words.nth(1)?, words.nth(2)?.parse::<u32>().ok()?);
            let ours = self.processes.iter().any(|process| process.pid == creator);
            ours.then(|| format!("segment {id} of process {creator}"))
        });
        segments.collect()
    }
}

/// What the engine has that carries a run's label.
fn resources(backend: Backend, run: &str) -> BTreeSet<String> {
    if backend == Backend::Process {
        return BTreeSet::new();
    }
    let label = format!("label=clnrm.run={run}");
    let mut found = BTreeSet::new();
    for (kind, listing, name) in [
        ("container", &["ps", "--all"][..], "{{.Names}}"),
        ("network", &["network", "ls"], "{{.Name}}"),
        ("volume", &["volume", "ls"], "{{.Name}}"),
    ] {
        let rest = ["--filter", &label, "--format", name];
        let names = docker(&[listing, &rest].concat()).unwrap();
        found.extend(names.lines().map(|name| format!("{kind} {name}")));
    }
    found
}
