//! A server on a socket of its own, hosts that are this binary, and engines that only take notes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use cargo_clnrm::serve::{
    Ambient, AmbientStart, Attempt, HostBinary, HostPool, HostProcess, HostSpawn, LeaseService,
    Limits, Reception, Server, Spawner,
};
use clnrm_runtime::backend::LogLine;
use clnrm_runtime::clock::Clock;
use clnrm_runtime::declare::Attachment;
use clnrm_runtime::engine::Hooks;
use clnrm_runtime::plugin::External;
use clnrm_runtime::protocol::{Finished, Operation, OperationReply, Skew};
use clnrm_runtime::service::{HealthStatus, RunId, ServiceHandle, ServiceId, Spec, TestId};
use clnrm_runtime::{CleanroomError, Result};
use futures_util::stream::BoxStream;
use tokio::sync::{mpsc, watch};

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
        }
    }

    /// The same with a variable in the environment of its hosts.
    pub(crate) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.binary.env.insert(name.into(), value.into());
        self.binary.id.push_str("::other");
        let limits = Limits::default();
        self.pool = HostPool::new(
            self.reception.clone(),
            Arc::new(Processes),
            limits,
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

/// What the engine and the lease service were asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    Start(String),
    /// A start was not dropped.
    Started(String),
    /// A start was dropped before it was done.
    StartDropped,
    Stop(String),
    HealthCheck(String),
    HealthCheckDropped,
    Hello,
    Skewed(Skew),
    Acquire(Vec<ServiceId>),
    /// An acquire was dropped before it was done.
    AcquireDropped,
    BeginBody,
    Finished(Finished),
    Operate(Operation),
}

/// Starts nothing, and says what it was asked.
#[derive(Debug)]
pub(crate) struct Notes {
    notes: mpsc::UnboundedSender<Note>,
    /// What tests take instead of what would be there.
    pub(crate) behaviour: Mutex<Behaviour>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    #[default]
    Answers,
    /// Starts and acquires never end.
    Hangs,
    /// Health checks never end.
    HealthCheckHangs,
    /// Starts ask for `migrate`, which the plugin refuses.
    Migrates,
}

struct OnDrop<'a>(Option<(&'a Notes, Note)>);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        if let Some((notes, note)) = self.0.take() {
            notes.note(note);
        }
    }
}

impl Notes {
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Note>) {
        let (notes, receiver) = mpsc::unbounded_channel();
        let behaviour = Mutex::default();
        (Arc::new(Self { notes, behaviour }), receiver)
    }

    fn note(&self, note: Note) {
        let _ = self.notes.send(note);
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    async fn hang_when(&self, told: Behaviour, dropped: Note) {
        let behaviour = *self.behaviour.lock().unwrap();
        if behaviour == told {
            let _note = OnDrop(Some((self, dropped)));
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Ambient for Notes {
    async fn start(&self, start: AmbientStart, hooks: Arc<dyn Hooks>) -> Result<ServiceHandle> {
        assert_eq!(start.service, odd());
        self.note(Note::Start(start.name.clone()));
        self.hang_when(Behaviour::Hangs, Note::StartDropped).await;
        let handle = handle(&start.name);
        hooks.ready(&start.service, &handle).await?;
        let behaviour = *self.behaviour.lock().unwrap();
        if behaviour == Behaviour::Migrates {
            hooks.migrate(&start.service, &handle).await?;
        }
        self.note(Note::Started(start.name));
        Ok(handle)
    }

    async fn stop(&self, handle: &ServiceHandle) -> Result<()> {
        self.note(Note::Stop(handle.name().to_owned()));
        Ok(())
    }

    async fn health_check(
        &self,
        handle: &ServiceHandle,
        _: &Spec,
        hooks: Arc<dyn Hooks>,
    ) -> Result<HealthStatus> {
        self.note(Note::HealthCheck(handle.name().to_owned()));
        self.hang_when(Behaviour::HealthCheckHangs, Note::HealthCheckDropped)
            .await;
        match hooks.ready(&odd(), handle).await {
            Ok(()) => Ok(HealthStatus::Healthy),
            Err(error) => Ok(HealthStatus::Unhealthy(error.message().to_owned())),
        }
    }
}

#[async_trait]
impl LeaseService for Notes {
    async fn hello(&self, _: &Attempt, _: u32) {
        self.note(Note::Hello);
    }

    async fn skewed(&self, _: &Attempt, skew: Skew) {
        self.note(Note::Skewed(skew));
    }

    async fn acquire(
        &self,
        attempt: &Attempt,
        services: &[ServiceId],
    ) -> Result<Vec<(ServiceId, Option<Attachment>)>> {
        self.note(Note::Acquire(services.to_vec()));
        self.hang_when(Behaviour::Hangs, Note::AcquireDropped).await;
        let lease = |service: &ServiceId| {
            let name = service.as_str();
            let attachment = (name != "optional").then(|| Attachment {
                handle: handle(name),
                needs: vec![("db".to_owned(), None)],
            });
            match name {
                "broken" => Err(CleanroomError::timeout_error("it did not become ready")
                    .with_context("service", name)
                    .with_context("for", &attempt.test)),
                _ => Ok((service.clone(), attachment)),
            }
        };
        services.iter().map(lease).collect()
    }

    async fn begin_body(&self, _: &Attempt) -> Result<()> {
        self.note(Note::BeginBody);
        Ok(())
    }

    async fn finished(&self, _: &Attempt, finished: Finished) -> Result<()> {
        self.note(Note::Finished(finished));
        Ok(())
    }

    async fn operate(
        &self,
        _: &Attempt,
        handle: &ServiceHandle,
        operation: Operation,
    ) -> Result<OperationReply> {
        self.note(Note::Operate(operation.clone()));
        match operation {
            Operation::Restart => Ok(OperationReply::Handle(Box::new(super::fixture::handle(
                "restarted",
            )))),
            Operation::HealthCheck => Ok(OperationReply::Health(HealthStatus::Degraded(
                handle.name().to_owned(),
            ))),
            Operation::Exec(words) => {
                Ok(OperationReply::Output(clnrm_runtime::backend::ExecOutput {
                    code: -1,
                    stdout: words.join(" ").into_bytes(),
                    stderr: vec![0xff],
                }))
            }
            Operation::Pause => Err(CleanroomError::validation_error("it is shared")),
            _ => Ok(OperationReply::Done),
        }
    }

    async fn logs(
        &self,
        _: &Attempt,
        handle: &ServiceHandle,
        since: Option<SystemTime>,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        super::lease::log_of(handle.name(), since, follow)
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
