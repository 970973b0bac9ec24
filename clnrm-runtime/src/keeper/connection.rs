//! The task that owns the connection to the keeper, and the keeper's process.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child as Process, Command as Program, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{PidfdFlags, getpid, pidfd_open};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::channel::{self, Channel, Incoming};
use super::child::Child;
use super::client::{Keeper, State};
use super::entry;
use super::message::{Hello, Number, Reply, Request};
use super::spawn::Exit;
use crate::error::{CleanroomError, Result};
use crate::run::{RUN_VARIABLE, Run};
use crate::sys;

const LOG: &str = "keeper.log";
/// It takes milliseconds; a loaded machine may take long to load a big binary.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request on its way.
pub(super) struct Command {
    pub(super) number: Number,
    pub(super) request: Request,
    pub(super) files: Vec<OwnedFd>,
    pub(super) pending: Option<Pending>,
}

/// Who waits for the answer.
pub(super) enum Pending {
    /// The keeper is for the child to ask it.
    Spawn(Keeper, oneshot::Sender<Result<Child>>),
    Done(oneshot::Sender<Result<()>>),
}

/// A keeper's process that was started.
pub(super) struct Starting {
    process: Process,
    socket: OwnedFd,
    hello: Hello,
    files: Vec<OwnedFd>,
    commands: mpsc::UnboundedReceiver<Command>,
}

/// A keeper that watches.
pub(super) struct Connection {
    process: Process,
    channel: Channel,
    log: PathBuf,
    commands: mpsc::UnboundedReceiver<Command>,
    pending: BTreeMap<Number, Pending>,
    children: BTreeMap<Number, watch::Sender<Option<Exit>>>,
    dismissed: bool,
    kept: bool,
}

impl Starting {
    /// Starts the own binary as the keeper of `run`.
    pub(super) fn new(run: &Run, commands: mpsc::UnboundedReceiver<Command>) -> Result<Self> {
        entry::check()?;
        let cannot = |error: std::io::Error| {
            CleanroomError::container_error("cannot start the keeper")
                .with_context("program", "/proc/self/exe")
                .with_source(error)
        };
        let (socket, theirs) = channel::pair()?;
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(run.dir().join(LOG))
            .map_err(cannot)?;
        let mut files: Vec<OwnedFd> = vec![run.lock().try_clone().map_err(cannot)?.into()];
        // An old kernel has none; the socket's end says the same.
        files.extend(pidfd_open(getpid(), PidfdFlags::empty()));
        let mut program = Program::new("/proc/self/exe");
        program
            .arg0("clnrm-keeper")
            .env_clear()
            .envs(entry::environment())
            .env(entry::KEEPER_VARIABLE, "1")
            .env(RUN_VARIABLE, run.id().as_str())
            .current_dir("/")
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(log);
        sys::new_session(&mut program);
        let process = program.spawn().map_err(cannot)?;
        Ok(Self {
            process,
            socket,
            hello: Hello {
                run: run.id().clone(),
                dir: run.dir().to_owned(),
            },
            files,
            commands,
        })
    }

    /// Waits until it watches.
    pub(super) async fn ready(self) -> Result<Connection> {
        let log = self.hello.dir.join(LOG);
        let mut process = self.process;
        let greeting = async {
            let channel = Channel::new(self.socket)?;
            channel
                .send(&Request::Hello(self.hello), &self.files)
                .await?;
            match channel.receive().await {
                Ok(Some(incoming)) => incoming.parse::<Reply>().map(|_ready| channel),
                _ => Err(CleanroomError::internal_error("the keeper ended at once")),
            }
        };
        match timeout(PATIENCE, greeting).await {
            Ok(Ok(channel)) => Ok(Connection {
                process,
                channel,
                log,
                commands: self.commands,
                pending: BTreeMap::new(),
                children: BTreeMap::new(),
                dismissed: false,
                kept: false,
            }),
            failed => {
                let late = || {
                    let seconds = PATIENCE.as_secs();
                    CleanroomError::timeout_error(format!(
                        "the keeper said nothing for {seconds} s"
                    ))
                };
                let error =
                    failed.map_or_else(|_| late(), |result| result.err().unwrap_or_else(late));
                // Killing what has ended is no matter.
                let _ = process.kill();
                Err(told(error, reap(process).await, &log))
            }
        }
    }
}

impl Connection {
    /// The keeper's pid.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Serves until the keeper is gone, or nobody holds it any more.
    pub(super) async fn serve(mut self, state: watch::Sender<State>) {
        let failure = loop {
            tokio::select! {
                incoming = self.channel.receive() => match incoming {
                    Ok(Some(incoming)) => {
                        self.take(&incoming);
                        if self.kept {
                            // It lives on, and is nobody's child any more once this process has ended.
                            state.send_replace(State::Dismissed);
                            return;
                        }
                    }
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                },
                command = self.commands.recv() => match command {
                    Some(command) => self.forward(command).await,
                    // Nobody is left to ask or to wait.
                    None => break None,
                },
            }
        };
        // Without the socket, a keeper that still lives goes as well.
        drop(self.channel);
        let status = reap(self.process).await;
        let gone = if self.dismissed {
            State::Dismissed
        } else {
            let mut error = CleanroomError::internal_error("the keeper of this run is gone")
                .with_hint("its children are gone with it; start the run again");
            if let Some(failure) = failure {
                error = error.with_source(failure);
            }
            State::Died(told(error, status, &self.log))
        };
        // First the reason, then the ends that make others look for it.
        state.send_replace(gone);
    }

    async fn forward(&mut self, command: Command) {
        if let Some(pending) = command.pending {
            self.pending.insert(command.number, pending);
        }
        if let Err(error) = self.channel.send(&command.request, &command.files).await {
            self.fail(command.number, error);
        }
    }

    fn take(&mut self, incoming: &Incoming) {
        match incoming.parse() {
            Ok(Reply::Ready) => {}
            Ok(Reply::Dismissed) => self.dismissed = true,
            Ok(Reply::Failed { number, error }) => self.fail(number, error),
            Ok(reply @ (Reply::Done { number } | Reply::Kept { number })) => {
                self.kept = matches!(reply, Reply::Kept { .. });
                if let Some(Pending::Done(answer)) = self.pending.remove(&number) {
                    // Who asked may have stopped waiting.
                    let _ = answer.send(Ok(()));
                }
            }
            Ok(Reply::Exited { child, exit }) => {
                if let Some(sender) = self.children.remove(&child) {
                    sender.send_replace(Some(exit));
                }
            }
            Ok(Reply::Spawned {
                number,
                pid,
                isolation,
            }) => {
                if let Some(Pending::Spawn(keeper, answer)) = self.pending.remove(&number) {
                    let (sender, exit) = watch::channel(None);
                    self.children.insert(number, sender);
                    let child = Child::new(keeper, number, pid, isolation, exit);
                    if let Err(Ok(child)) = answer.send(Ok(child)) {
                        child.abandon();
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "a reply of the keeper was lost"),
        }
    }

    fn fail(&mut self, number: Number, error: CleanroomError) {
        match self.pending.remove(&number) {
            Some(Pending::Spawn(_, answer)) => drop(answer.send(Err(error))),
            Some(Pending::Done(answer)) => drop(answer.send(Err(error))),
            None => tracing::debug!(%error, "the keeper refused what nobody waits for"),
        }
    }
}

/// Takes the status of a keeper that has ended, or is about to.
async fn reap(mut process: Process) -> Option<ExitStatus> {
    let waiting = tokio::task::spawn_blocking(move || process.wait());
    waiting.await.ok()?.ok()
}

/// Adds what is known of the keeper's end.
fn told(mut error: CleanroomError, status: Option<ExitStatus>, log: &Path) -> CleanroomError {
    if let Some(status) = status {
        error = error.with_context("keeper", status);
    }
    match tail(log) {
        Some(tail) => error.with_context("said", tail),
        None => error,
    }
}

/// The last lines of the keeper's log. It writes next to nothing.
fn tail(log: &Path) -> Option<String> {
    let text = std::io::read_to_string(File::open(log).ok()?).ok()?;
    let lines: Vec<&str> = text.lines().rev().take(20).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
