//! The owner's side: starts the keeper, asks it, and notices when it is gone.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::child::Child;
use super::connection::{Command, Pending, Starting};
use super::message::{Number, Request};
use super::spawn::{Spawn, Stdio};
use crate::engine as runtime;
use crate::error::{CleanroomError, Result};
use crate::run::{EngineMark, Run};

/// The keeper kills by force, so that this is for a machine that swaps.
const FAREWELL: Duration = Duration::from_secs(30);

/// The owner's hold on its keeper.
///
/// When the last clone of it and of its children is dropped without
/// [`Keeper::dismiss`], the keeper takes the owner for dead and removes the run.
#[derive(Clone)]
pub struct Keeper(Arc<Inner>);

struct Inner {
    pid: u32,
    numbers: AtomicU64,
    commands: mpsc::UnboundedSender<Command>,
    state: watch::Receiver<State>,
}

/// How the keeper is.
#[derive(Debug, Clone)]
pub(super) enum State {
    Alive,
    Dismissed,
    Died(CleanroomError),
}

impl Keeper {
    /// Starts the keeper of a run, and waits until it watches.
    ///
    /// # Errors
    /// When the own binary cannot be started again, or says nothing.
    pub async fn start(run: &Run) -> Result<Self> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let starting = Starting::new(run, receiver)?;
        // On the engine's own threads: the caller's runtime may end before the run.
        let runtime = runtime::handle()?;
        let connection = runtime
            .spawn(starting.ready())
            .await
            .map_err(|_| CleanroomError::internal_error("starting the keeper panicked"))??;
        let pid = connection.pid();
        let (sender, state) = watch::channel(State::Alive);
        runtime.spawn(connection.serve(sender));
        Ok(Self(Arc::new(Inner {
            pid,
            numbers: AtomicU64::new(0),
            commands,
            state,
        })))
    }

    /// The keeper's own pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Starts a program; it runs when this returns. If this is cancelled, the
    /// program does not run, or is killed.
    ///
    /// # Errors
    /// When it cannot be started, its arguments and environment are too long,
    /// or the keeper is gone.
    pub async fn spawn(&self, spawn: Spawn, stdio: Stdio) -> Result<Child> {
        for (what, path) in [("program", &spawn.program), ("directory", &spawn.workdir)] {
            if !path.is_absolute() {
                return Err(CleanroomError::validation_error(format!(
                    "the {what} `{}` is not an absolute path",
                    path.display()
                )));
            }
        }
        let number = self.number();
        let mut files = vec![stdio.stdout, stdio.stderr];
        files.extend(stdio.stdin);
        let (sender, answer) = oneshot::channel();
        let pending = Pending::Spawn(self.clone(), sender);
        self.send(
            number,
            Request::Spawn { number, spawn },
            files,
            Some(pending),
        );
        self.answer(answer).await
    }

    /// From now on the keeper also removes what the engine has of this run.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub async fn uses_engine(&self, engine: EngineMark) -> Result<()> {
        self.request(|number| Request::UsesEngine { number, engine })
            .await
    }

    /// Resolves when the keeper is gone without having been dismissed. All its
    /// children end with it; what detached from them without namespaces is the
    /// caller's to find, by `CLNRM_RUN` in the environment.
    pub async fn died(&self) -> CleanroomError {
        let mut state = self.0.state.clone();
        let died = |state: &State| matches!(state, State::Died(_));
        let error = match state.wait_for(died).await.as_deref() {
            Ok(State::Died(error)) => Some(error.clone()),
            _ => None,
        };
        match error {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Ends the keeper: it kills what is left of its children first. The run's
    /// directory stays.
    ///
    /// # Errors
    /// When the keeper is gone already, or does not go.
    pub async fn dismiss(self) -> Result<()> {
        self.post(|_| Request::Dismiss);
        let mut state = self.0.state.clone();
        let gone = runtime::handle()?.spawn(timeout(FAREWELL, async move {
            let gone = state.wait_for(|state| !matches!(state, State::Alive));
            gone.await.map(|state| state.clone())
        }));
        match gone.await {
            Ok(Ok(Ok(State::Died(error)))) => Err(error),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(CleanroomError::timeout_error(
                "the keeper did not end after its dismissal",
            )
            .with_context("pid", self.pid())),
            Err(_) => Err(CleanroomError::internal_error(
                "dismissing the keeper panicked",
            )),
        }
    }

    /// Leaves the keeper behind, as the parent of what runs: nothing of the run
    /// ends before somebody ends the keeper with SIGTERM, and all of it does
    /// then. It goes on holding the run's lock.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub async fn keep(self) -> Result<()> {
        self.request(|number| Request::Keep { number }).await
    }

    /// Has the keeper go on with a log: both pipes, and the file.
    pub(crate) async fn take_log(&self, files: [OwnedFd; 3]) -> Result<()> {
        let number = self.number();
        let (sender, answer) = oneshot::channel();
        self.send(
            number,
            Request::TakeLog { number },
            files.into(),
            Some(Pending::Done(sender)),
        );
        self.answer(answer).await
    }

    /// Why nothing is answered any more. Resolves when that is so.
    pub(super) async fn gone(&self) -> CleanroomError {
        let mut state = self.0.state.clone();
        let gone = state.wait_for(|state| !matches!(state, State::Alive)).await;
        match gone.as_deref() {
            Ok(State::Died(error)) => error.clone(),
            _ => CleanroomError::internal_error("the keeper was dismissed"),
        }
    }

    /// Asks for what is answered by nothing but success.
    pub(super) async fn request(&self, request: impl FnOnce(Number) -> Request) -> Result<()> {
        let number = self.number();
        let (sender, answer) = oneshot::channel();
        self.send(
            number,
            request(number),
            Vec::new(),
            Some(Pending::Done(sender)),
        );
        self.answer(answer).await
    }

    /// Asks and does not listen. A keeper that is gone has done it in its way.
    pub(super) fn post(&self, request: impl FnOnce(Number) -> Request) {
        let number = self.number();
        self.send(number, request(number), Vec::new(), None);
    }

    fn send(
        &self,
        number: Number,
        request: Request,
        files: Vec<OwnedFd>,
        pending: Option<Pending>,
    ) {
        // Refused only when the connection is gone; the answer's sender goes
        // with it then, which is what its receiver notices.
        let _ = self.0.commands.send(Command {
            number,
            request,
            files,
            pending,
        });
    }

    async fn answer<T>(&self, answer: oneshot::Receiver<Result<T>>) -> Result<T> {
        match answer.await {
            Ok(result) => result,
            Err(_) => Err(self.gone().await),
        }
    }

    fn number(&self) -> Number {
        self.0.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("pid", &self.0.pid)
            .field("state", &*self.0.state.borrow())
            .finish_non_exhaustive()
    }
}
