//! This test binary once more, as the owner of a run that is to die.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command, Stdio as Pipes};

use clnrm_runtime::backend::Backend;
use clnrm_runtime::backend::docker::DockerBackend;
use clnrm_runtime::keeper::{Keeper, Spawn, Stdio};
use clnrm_runtime::run::{Run, TEMP_VARIABLE, kept_runs, stale_runs};
use clnrm_runtime::service::InstanceKey;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::support::{Watched, null};

const SCENE: &str = "CLNRM_TEST_SCENE";

/// What an owner does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Scene {
    pub(crate) children: Vec<Spawn>,
    /// It makes a network on an engine.
    pub(crate) engine: bool,
    pub(crate) then: Then,
}

/// As whom it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Us,
    User(u32),
    /// As root of a user namespace that may have no pid namespaces.
    Contained,
}

/// How it ends, once it is told to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Then {
    /// It waits to be killed, and says when its first child or its keeper ended.
    Wait,
    Abort,
    Exit,
    Panic,
    /// It dismisses its keeper and ends its run.
    End,
    /// It leaves its keeper and its children behind.
    Keep,
    /// It has no run of its own and removes stale ones.
    Sweep,
    /// It has no run of its own and ends those that are kept.
    Clean,
}

/// Not a test of its own: [`Owner`] starts it.
#[test]
#[ignore = "the other tests start it as the owner of a run"]
fn owner() {
    let Ok(scene) = std::env::var(SCENE) else {
        return;
    };
    let scene: Scene = serde_json::from_str(&scene).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(play(scene));
}

async fn play(scene: Scene) {
    if let Then::Sweep = scene.then {
        for run in stale_runs().unwrap() {
            println!("@ removed {}", run.id());
            run.remove().unwrap();
        }
        return;
    }
    if let Then::Clean = scene.then {
        for run in kept_runs().unwrap() {
            println!("@ kept {}", run.id());
            run.end().unwrap();
        }
        return;
    }
    let run = Run::begin().unwrap();
    println!("@ dir {}", run.dir().display());
    let keeper = Keeper::start(&run).await.unwrap();
    println!("@ keeper {}", keeper.pid());
    let mut children = Vec::new();
    for spawn in scene.children {
        let stdio = Stdio {
            stdin: None,
            stdout: std::io::stdout().as_fd().try_clone_to_owned().unwrap(),
            stderr: null(),
        };
        let child = keeper.spawn(spawn, stdio).await.unwrap();
        println!("@ child {}", child.pid());
        println!("@ isolation {:?}", child.isolation());
        children.push(child);
    }
    if scene.engine {
        println!("@ network {}", network(&run, &keeper).await.unwrap());
    }
    if !matches!(scene.then, Then::Wait) {
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }
    match scene.then {
        Then::Wait => {
            let first = async {
                match children.first() {
                    Some(child) => child.wait().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Ok(exit) = first => println!("@ exited {exit:?}"),
                error = keeper.died() => {
                    println!("@ died {}", error.message());
                    run.kill_all().unwrap();
                    run.end().unwrap();
                    println!("@ cleaned");
                }
            }
            std::future::pending().await
        }
        Then::Abort => std::process::abort(),
        Then::Exit => std::process::exit(3),
        Then::Panic => panic!("on purpose"),
        Then::End => {
            keeper.dismiss().await.unwrap();
            run.end().unwrap();
        }
        Then::Keep => {
            let pid = keeper.pid();
            keeper.keep().await.unwrap();
            run.keep(pid).unwrap();
        }
        Then::Sweep | Then::Clean => {}
    }
}

async fn network(run: &Run, keeper: &Keeper) -> clnrm_runtime::Result<String> {
    let engine = DockerBackend::connect().await?;
    keeper.uses_engine(engine.mark()).await?;
    let label = run.label("net", &InstanceKey::of(["net"]));
    let name = format!("clnrm-test-{}", run.id());
    Ok(engine.create_network(&name, &label).await?.0)
}

/// A running owner, in a directory of its own.
pub(crate) struct Owner {
    process: Process,
    pub(crate) watched: Watched,
    pub(crate) lines: Lines,
    pub(crate) dir: PathBuf,
    pub(crate) keeper: Watched,
    pub(crate) children: Vec<Watched>,
}

impl Owner {
    /// Starts one; it is ready when this returns.
    pub(crate) fn start(temp: &Path, scene: &Scene, who: Who) -> Self {
        let (process, mut lines) = run(temp, scene, who);
        let watched = Watched::new(process.id());
        let dir = lines.next("dir").into();
        let keeper = Watched::new(lines.next("keeper").parse().unwrap());
        let children = scene.children.iter();
        let children = children
            .map(|_| Watched::new(lines.next("child").parse().unwrap()))
            .collect();
        Self {
            process,
            watched,
            lines,
            dir,
            keeper,
            children,
        }
    }

    pub(crate) fn kill(&mut self) {
        self.watched.signal(Signal::KILL);
        self.process.wait().unwrap();
    }

    /// Lets it end in its own way.
    pub(crate) fn end(&mut self) {
        self.process.stdin.take().unwrap().write_all(b"\n").unwrap();
        self.process.wait().unwrap();
    }

    /// The id of its run.
    pub(crate) fn id(&self) -> String {
        self.dir
            .to_str()
            .unwrap()
            .rsplit_once('-')
            .unwrap()
            .1
            .to_owned()
    }

    /// Waits until nobody holds its standard output any more.
    pub(crate) fn silence(&mut self) {
        while self.lines.read().is_some() {}
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the test binary as an owner in `temp`.
pub(crate) fn run(temp: &Path, scene: &Scene, who: Who) -> (Process, Lines) {
    // By its link, because not every user may enter the build directory.
    let mut command = Command::new("/proc/self/exe");
    if who == Who::Contained {
        command = Command::new("unshare");
        let inside = "echo 0 > /proc/sys/user/max_pid_namespaces && exec \"$0\" \"$@\"";
        command
            .args(["--user", "--map-root-user", "sh", "-c", inside])
            .arg(std::env::current_exe().unwrap());
    }
    command
        .args(["owner::owner", "--exact", "--ignored", "--nocapture"])
        .env(SCENE, serde_json::to_string(scene).unwrap())
        .env(TEMP_VARIABLE, temp)
        .stdin(Pipes::piped())
        .stdout(Pipes::piped())
        .stderr(Pipes::null());
    if let Who::User(uid) = who {
        command.uid(uid).gid(uid);
    }
    let mut process = command.spawn().unwrap();
    let lines = Lines::new(process.stdout.take().unwrap());
    (process, lines)
}

/// A directory in which any user can have runs.
pub(crate) fn temp() -> TempDir {
    let temp = tempfile::Builder::new()
        .prefix("ck-")
        .tempdir_in("/tmp")
        .unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(temp.path(), open).unwrap();
    temp
}

/// Lines that start with `@`, of whoever writes into one pipe. They are taken
/// by name, in any order.
pub(crate) struct Lines {
    reader: Box<dyn BufRead + Send>,
    early: Vec<(String, String)>,
}

impl Lines {
    pub(crate) fn new(reader: impl Read + Send + 'static) -> Self {
        Self {
            reader: Box::new(BufReader::new(reader)),
            early: Vec::new(),
        }
    }

    /// Waits for the next line with this name; gives the rest of it.
    #[track_caller]
    pub(crate) fn next(&mut self, name: &str) -> String {
        if let Some(at) = self.early.iter().position(|(early, _)| early == name) {
            return self.early.remove(at).1;
        }
        loop {
            let Some((found, rest)) = self.read() else {
                panic!("no line `{name}`, but {:?}", self.early);
            };
            if found == name {
                return rest;
            }
            self.early.push((found, rest));
        }
    }

    /// Waits for the process that said this.
    #[track_caller]
    pub(crate) fn process(&mut self, name: &str) -> Watched {
        Watched::new(self.next(name).parse().unwrap())
    }

    /// Waits until nobody holds the pipe any more; gives the lines with this name.
    pub(crate) fn all(mut self, name: &str) -> Vec<String> {
        while let Some(line) = self.read() {
            self.early.push(line);
        }
        self.early.retain(|(found, _)| found == name);
        self.early.into_iter().map(|(_, rest)| rest).collect()
    }

    fn read(&mut self) -> Option<(String, String)> {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // libtest writes its `test … ` without an end of line.
            if let Some((_, said)) = line.trim_end().split_once("@ ") {
                let (name, rest) = said.split_once(' ').unwrap_or((said, ""));
                return Some((name.to_owned(), rest.to_owned()));
            }
        }
    }
}
