//! The keeper itself: serves its owner, and removes the run when the owner is
//! gone.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{getpid, set_child_subreaper};
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::channel::{Channel, Incoming};
use super::family::{Event, Family, kill_descendants};
use super::message::{Hello, Reply, Request};
use super::process::{self, FAREWELL};
use crate::backend::Backend;
use crate::backend::docker::DockerBackend;
use crate::backend::process::Log;
use crate::error::{CleanroomError, Result};
use crate::run;
use crate::service::RunId;
use crate::sys;
use crate::wait::backoff::rest;

/// How long an engine may take to remove all of a run.
const SWEEP: Duration = Duration::from_secs(60);
/// When an engine that failed is asked again.
const RETRY: Duration = Duration::from_secs(1);
/// How long one look at what still runs lasts.
const MOMENT: Duration = Duration::from_millis(20);

/// Why the keeper ends.
enum End {
    Dismissed,
    OwnerGone,
    Kept(Signals),
}

struct Server {
    hello: Hello,
    owner: Arc<Channel>,
    family: Family,
    replies: mpsc::UnboundedSender<Reply>,
    events: mpsc::UnboundedReceiver<Event>,
    ended: Signals,
    uses_engine: bool,
    /// Held until the very end: who finds it free may remove the run.
    _lock: Option<OwnedFd>,
}

/// What a keeper does, until it ends.
pub(super) fn main(socket: OwnedFd) -> Result<()> {
    let cannot = |error: std::io::Error| {
        CleanroomError::internal_error("the keeper cannot set itself up").with_source(error)
    };
    sys::ignore_requests_to_end();
    set_child_subreaper(Some(getpid())).map_err(|error| cannot(error.into()))?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(cannot)?
        .block_on(keep(socket))
}

async fn keep(socket: OwnedFd) -> Result<()> {
    let owner = Arc::new(Channel::new(socket)?);
    let Ok(Some(incoming)) = owner.receive().await else {
        return Ok(());
    };
    let Request::Hello(hello) = incoming.parse()? else {
        return Err(CleanroomError::protocol_error("an owner did not say hello"));
    };
    let mut files = incoming.files.into_iter();
    let lock = files.next();
    let pidfd = files.next();
    let ended = signal(SignalKind::child()).map_err(|error| {
        CleanroomError::internal_error("the keeper cannot watch its children").with_source(error)
    })?;
    let (replies, outbox) = mpsc::unbounded_channel();
    let (reports, events) = mpsc::unbounded_channel();
    let writer = tokio::spawn(write(owner.clone(), outbox));
    // A failed send shows as the owner's end.
    let _ = replies.send(Reply::Ready);
    let mut server = Server {
        family: Family::new(hello.run.clone(), reports, replies.clone()),
        hello,
        owner,
        replies,
        events,
        ended,
        uses_engine: false,
        _lock: lock,
    };
    match server.serve(pidfd).await {
        End::Dismissed => {
            server.kill_all().await;
            let _ = server.replies.send(Reply::Dismissed);
            let Server {
                family, replies, ..
            } = server;
            drop((family, replies));
            // The rest of the replies; an owner that does not read them is stopped.
            let _ = timeout(FAREWELL, writer).await;
        }
        End::OwnerGone => server.clean_up().await,
        End::Kept(request) => {
            server.stay(request).await;
            server.clean_up().await;
        }
    }
    Ok(())
}

/// Writes replies, without anybody waiting for an owner that does not read.
async fn write(owner: Arc<Channel>, mut outbox: mpsc::UnboundedReceiver<Reply>) {
    while let Some(reply) = outbox.recv().await {
        if owner.send(&reply, &[]).await.is_err() {
            return;
        }
    }
}

impl Server {
    async fn serve(&mut self, pidfd: Option<OwnedFd>) -> End {
        let pidfd = pidfd.and_then(|pidfd| sys::watch(pidfd).ok());
        let owner_ended = async {
            match &pidfd {
                // It becomes readable once, and stays so.
                Some(pidfd) => drop(pidfd.readable().await),
                None => std::future::pending().await,
            }
        };
        tokio::pin!(owner_ended);
        loop {
            tokio::select! {
                incoming = self.owner.receive() => match incoming {
                    Ok(Some(incoming)) => {
                        if let Some(end) = self.take(incoming).await {
                            return end;
                        }
                    }
                    Ok(None) | Err(_) => return End::OwnerGone,
                },
                () = &mut owner_ended => return End::OwnerGone,
                _ = self.ended.recv() => self.family.reap(),
                Some(event) = self.events.recv() => self.family.handle(event),
            }
        }
    }

    async fn take(&mut self, incoming: Incoming) -> Option<End> {
        match incoming.parse() {
            Ok(Request::Spawn { number, spawn }) => {
                self.family.spawn(number, spawn, incoming.files);
            }
            Ok(Request::Signal {
                number,
                child,
                signal,
                target,
            }) => {
                let reply = match self.family.signal(child, signal, target).await {
                    Ok(()) => Reply::Done { number },
                    Err(error) => Reply::Failed { number, error },
                };
                let _ = self.replies.send(reply);
            }
            Ok(Request::Release { child }) => self.family.release(child),
            Ok(Request::UsesEngine { number, engine }) => {
                self.uses_engine = true;
                let reply = match engine.note(&self.hello.dir) {
                    Ok(()) => Reply::Done { number },
                    Err(error) => Reply::Failed { number, error },
                };
                let _ = self.replies.send(reply);
            }
            Ok(Request::TakeLog { number }) => {
                let reply = match take_log(incoming.files) {
                    Ok(()) => Reply::Done { number },
                    Err(error) => Reply::Failed { number, error },
                };
                let _ = self.replies.send(reply);
            }
            Ok(Request::Keep { number }) => match signal(SignalKind::terminate()) {
                Ok(request) => {
                    let _ = self.replies.send(Reply::Kept { number });
                    return Some(End::Kept(request));
                }
                Err(error) => {
                    let error =
                        CleanroomError::internal_error("the keeper cannot wait for its end")
                            .with_source(error);
                    let _ = self.replies.send(Reply::Failed { number, error });
                }
            },
            Ok(Request::Dismiss) => return Some(End::Dismissed),
            Ok(Request::Hello(_)) => log("an owner said hello twice"),
            Err(error) => log(&format!("{error:?}")),
        }
        None
    }

    /// Stays as the parent of what the owner left running, until `request`,
    /// SIGTERM, asks for the end.
    async fn stay(&mut self, mut request: Signals) {
        loop {
            tokio::select! {
                _ = request.recv() => return,
                _ = self.ended.recv() => self.family.reap(),
                Some(event) = self.events.recv() => self.family.handle(event),
            }
        }
    }

    /// Kills everything below the keeper, detached orphans included, and reaps it.
    async fn kill_all(&mut self) {
        self.family.release_all();
        let deadline = Instant::now() + FAREWELL;
        while kill_descendants() || !self.family.is_empty() {
            if Instant::now() > deadline {
                log("some processes of the run do not end");
                return;
            }
            // A look at all processes is dear, one at the children is cheap.
            let moment = Instant::now() + MOMENT;
            while Instant::now() < moment
                && !(process::children().is_empty() && self.family.is_empty())
            {
                tokio::select! {
                    _ = self.ended.recv() => self.family.reap(),
                    Some(event) = self.events.recv() => self.family.handle(event),
                    _ = timeout_at(moment, std::future::pending::<()>()) => {}
                }
            }
        }
    }

    /// Removes the run: the owner cannot any more.
    async fn clean_up(&mut self) {
        self.kill_all().await;
        run::remove_shared_memory(&self.hello.dir);
        if self.uses_engine && timeout(SWEEP, sweep_engine(&self.hello.run)).await.is_err() {
            // By its directory the next run that reaches the engine finds the rest.
            log("the engine did not remove everything in time");
            return;
        }
        if let Err(error) = run::remove(&self.hello.dir) {
            log(&format!("{error:?}"));
        }
    }
}

/// Goes on with the log of a child where its owner stopped.
fn take_log(files: Vec<OwnedFd>) -> Result<()> {
    let Ok([out, err, file]) = <[OwnedFd; 3]>::try_from(files) else {
        return Err(CleanroomError::protocol_error(
            "a log came without its files",
        ));
    };
    let (log, sources) = Log::resume(file, [out, err])?;
    tokio::spawn(log.take(sources, std::future::pending::<()>()));
    Ok(())
}

/// Removes what the engine has of a run. An engine that fails is asked again,
/// for it may be starting over itself: its caller has the deadline.
async fn sweep_engine(run: &RunId) {
    loop {
        let swept = match DockerBackend::connect().await {
            Ok(engine) => engine.sweep(run).await,
            Err(error) => Err(error),
        };
        match swept {
            Ok(_found) => return,
            Err(error) => log(&format!("{error:?}")),
        }
        rest(RETRY).await;
    }
}

/// Standard error is the keeper's log.
fn log(message: &str) {
    // Nobody is left to be told that it cannot be written.
    let _ = writeln!(std::io::stderr(), "{message}");
}
