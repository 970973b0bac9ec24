//! A server on a socket of its own, and hosts that are this binary.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cargo_clnrm::serve::{
    Attempt, HostBinary, HostPool, HostProcess, HostSpawn, Limits, Reception, Server, Spawner,
};
use clnrm_runtime::clock::Clock;
use clnrm_runtime::engine::Hooks as _;
use clnrm_runtime::plugin::External;
use clnrm_runtime::service::{RunId, ServiceHandle, TestId};
use clnrm_runtime::{CleanroomError, Result};
use tokio::sync::{mpsc, watch};

use super::notes::{Note, Notes};
use super::plugin::{BEFORE, START, odd};

/// Longer than anything here takes, however busy the machine is, and shorter
/// than the limit of a call: what only that would end does not pass.
pub(crate) const LONG: Duration = Duration::from_secs(50);

/// Awaits what has to come; a test that waits in vain fails.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, what)
        .await
        .expect("it did not happen")
}

pub(crate) fn handle(name: &str) -> ServiceHandle {
    let json = serde_json::json!({
        "service_name": name,
        "metadata": {},
        "core": {
            "key": "0011223344556677",
            "instance": name,
            "backend": "fake",
            "endpoints": {"main": {"host": "127.0.0.1", "port": 4222}},
            "inner": {},
            "vars": {},
            "exports": {},
            "slice": null,
            "degraded": null,
        },
    });
    serde_json::from_value(json).unwrap()
}

/// A server with hosts.
pub(crate) struct Fixture {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) reception: Reception,
    pub(crate) server: Server,
    pub(crate) pool: HostPool,
    pub(crate) engine: Arc<Notes>,
    pub(crate) notes: mpsc::UnboundedReceiver<Note>,
    pub(crate) binary: HostBinary,
    limits: Limits,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let reception = Reception::new(dir.path().join("s"), RunId::new("0123456789abcdef"));
        let (engine, notes) = Notes::new();
        let server = Server::start(reception.clone(), Arc::clone(&engine) as _).unwrap();
        let pool = HostPool::new(
            reception.clone(),
            Arc::new(Processes),
            limits,
            Clock::default(),
        );
        pool.with_ambient(Arc::clone(&engine) as _);
        let binary = binary();
        pool.assign(&binary, [odd()]);
        Self {
            dir,
            reception,
            server,
            pool,
            engine,
            notes,
            binary,
            limits,
        }
    }

    /// The same with a variable in the environment of its hosts.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.binary.env.insert(name.into(), value.into());
        self.binary.id.push_str("::other");
        self.pool = HostPool::new(
            self.reception.clone(),
            Arc::new(Processes),
            self.limits,
            Clock::default(),
        );
        self.pool.with_ambient(Arc::clone(&self.engine) as _);
        self.pool.assign(&self.binary, [odd()]);
        self
    }

    pub(crate) fn misbehaving(how: &str) -> Self {
        Self::new().with_variable(BEFORE, how)
    }

    pub(crate) fn starting(how: &str) -> Self {
        Self::new().with_variable(START, how)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Sends a command to the plugin.
    pub(crate) async fn tell(&self, command: &str) -> Result<String> {
        let answer: External = soon(self.pool.external(&odd(), command)).await?;
        Ok(answer.host)
    }

    /// Waits for a file to have something in it.
    pub(crate) async fn text_of(&self, file: &str) -> String {
        soon(async {
            loop {
                match std::fs::read_to_string(file) {
                    Ok(text) if !text.is_empty() => return text,
                    _ => tokio::task::yield_now().await,
                }
            }
        })
        .await
    }

    pub(crate) async fn note(&mut self) -> Note {
        soon(self.notes.recv()).await.unwrap()
    }

    /// Ends everything in order, and returns what was noted and not read.
    pub(crate) async fn end(mut self) -> Vec<Note> {
        soon(self.pool.dismiss()).await;
        self.server.stop().await.unwrap();
        let mut notes = Vec::new();
        while let Ok(note) = self.notes.try_recv() {
            notes.push(note);
        }
        notes
    }
}

pub(crate) fn binary() -> HostBinary {
    HostBinary {
        id: "cargo-clnrm::serve".to_owned(),
        path: std::env::current_exe().unwrap(),
        args: Vec::new(),
        test: "plugin::host".to_owned(),
        dir: PathBuf::from(env!("CARGO_MANIFEST_DIR")),
        env: BTreeMap::new(),
    }
}

/// Starts hosts as children of this process.
#[derive(Debug)]
pub(crate) struct Processes;

#[derive(Debug)]
struct Process {
    ended: watch::Receiver<Option<String>>,
    kill: mpsc::UnboundedSender<()>,
}

#[async_trait]
impl Spawner for Processes {
    async fn spawn(&self, spawn: HostSpawn) -> Result<Arc<dyn HostProcess>> {
        let mut command = tokio::process::Command::new(&spawn.program);
        command
            .args(&spawn.args)
            .env_clear()
            .envs(&spawn.env)
            .current_dir(&spawn.dir)
            .stdin(std::process::Stdio::null())
            .stdout(spawn.stdout)
            .stderr(spawn.stderr)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| CleanroomError::container_error("cannot run it").with_source(error))?;
        drop(command);
        let (kill, mut kills) = mpsc::unbounded_channel();
        let (end, ended) = watch::channel(None);
        tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                _ = kills.recv() => {
                    child.kill().await.unwrap();
                    child.wait().await
                }
            };
            end.send_replace(Some(words(status.unwrap())));
        });
        Ok(Arc::new(Process { ended, kill }))
    }
}

fn words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("with exit code {code}"),
        (None, signal) => format!("by signal {}", signal.unwrap()),
    }
}

#[async_trait]
impl HostProcess for Process {
    async fn wait(&self) -> String {
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await.unwrap();
        ended.clone().unwrap()
    }

    async fn kill(&self) -> Result<()> {
        // The process may have ended by itself.
        let _ = self.kill.send(());
        Ok(())
    }
}

pub(crate) fn attempt(name: &str) -> Attempt {
    Attempt {
        test: TestId {
            binary: "shop::it".to_owned(),
            name: name.to_owned(),
        },
        number: 1,
    }
}
