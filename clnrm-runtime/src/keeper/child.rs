//! The owner's hold on one child of the keeper.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use super::client::Keeper;
use super::message::{Number, Request};
use super::spawn::{Exit, Isolation, Signal, Target};
use crate::error::Result;

/// A child of the keeper.
///
/// Its pid stays its own until the last clone of this is dropped: the keeper
/// keeps what ended until then, so that a late signal never meets a stranger.
/// Dropping it does not end the child.
#[derive(Clone)]
pub struct Child(Arc<Inner>);

struct Inner {
    keeper: Keeper,
    number: Number,
    pid: u32,
    isolation: Isolation,
    exit: watch::Receiver<Option<Exit>>,
}

impl Child {
    pub(super) fn new(
        keeper: Keeper,
        number: Number,
        pid: u32,
        isolation: Isolation,
        exit: watch::Receiver<Option<Exit>>,
    ) -> Self {
        Self(Arc::new(Inner {
            keeper,
            number,
            pid,
            isolation,
            exit,
        }))
    }

    /// The program's pid, as this process sees it. It leads a session and a
    /// group of its own.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Whether it has namespaces of its own.
    #[must_use]
    pub fn isolation(&self) -> &Isolation {
        &self.0.isolation
    }

    /// Waits until it has ended. In namespaces all that it started has ended
    /// then as well.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub async fn wait(&self) -> Result<Exit> {
        let mut exit = self.0.exit.clone();
        let ended = exit.wait_for(Option::is_some).await.ok();
        let ended = ended.and_then(|exit| *exit);
        match ended {
            Some(exit) => Ok(exit),
            None => Err(self.0.keeper.gone().await),
        }
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        *self.0.exit.borrow()
    }

    /// Sends a signal. That there is nobody left to get it is no error.
    ///
    /// # Errors
    /// When the keeper is gone, or may not send it.
    pub async fn signal(&self, signal: Signal, target: Target) -> Result<()> {
        let child = self.0.number;
        self.0
            .keeper
            .request(|number| Request::Signal {
                number,
                child,
                signal,
                target,
            })
            .await
    }

    /// Ends it without waiting for an answer.
    pub(super) fn abandon(self) {
        let child = self.0.number;
        self.0.keeper.post(|number| Request::Signal {
            number,
            child,
            signal: Signal::Kill,
            target: Target::Tree,
        });
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let child = self.number;
        self.keeper.post(|_| Request::Release { child });
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("pid", &self.0.pid)
            .field("isolation", &self.0.isolation)
            .field("exit", &self.exit())
            .finish_non_exhaustive()
    }
}
