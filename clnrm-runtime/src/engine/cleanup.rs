//! What a step has made and nobody wants any more is undone, whoever gave it up and where.
//!
//! A step of a backend or a plugin is never cut in the middle, where what it
//! made has no name yet: it goes on in a task of its own, and what comes out
//! of it undoes itself unless somebody keeps it.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::backend::BackendKind;
use crate::error::{CleanroomError, Result};

/// How much longer a step may take that nobody waits for any more.
const MOMENT: Duration = Duration::from_secs(5);

/// What one start, or the making of one slice, still has to do when it is over.
/// Clones mean the same one.
#[derive(Debug, Clone)]
pub(super) struct Cleanup {
    tasks: TaskTracker,
    backend: BackendKind,
    left: Left,
}

/// The backends that still have the result of a step that was given up in its
/// middle: their sweeps find it.
pub(super) type Left = Arc<Mutex<BTreeSet<BackendKind>>>;

impl Cleanup {
    /// What a step that does not end makes on `backend` is noted in `left`.
    pub(super) fn new(backend: BackendKind, left: &Left) -> Self {
        Self {
            tasks: TaskTracker::new(),
            backend,
            left: Arc::clone(left),
        }
    }

    /// Runs a step to its end, even when whoever waits here gives up. What it
    /// gives must undo itself when it is dropped.
    pub(super) async fn whole<T: Send + 'static>(
        &self,
        step: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (mut send, receive) = oneshot::channel();
        let (backend, left) = (self.backend, Arc::clone(&self.left));
        let task = async move {
            tokio::pin!(step);
            let made = tokio::select! {
                made = &mut step => made,
                () = send.closed() => match timeout(MOMENT, step).await {
                    Ok(made) => made,
                    Err(_) => {
                        let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                        left.insert(backend);
                        tracing::warn!(after = ?MOMENT, "a step that nobody waits for does not end; it is left to the sweep");
                        return;
                    }
                },
            };
            // Nobody there to take it means that it is dropped here, and undone.
            let _ = send.send(made);
        };
        self.tasks.spawn(task.in_current_span());
        receive.await.unwrap_or_else(|_| {
            Err(CleanroomError::internal_error(
                "a step of the engine did not end",
            ))
        })
    }

    /// Undoes something, unless the answer is kept.
    pub(super) fn undo(&self, how: impl Future<Output = ()> + Send + 'static) -> Undo {
        Undo {
            cleanup: self.clone(),
            how: Some(how.boxed()),
        }
    }

    /// Waits until everything that was given up is undone.
    pub(super) async fn finished(self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Undoes something when it is dropped.
#[must_use = "dropping it undoes what was made"]
pub(super) struct Undo {
    cleanup: Cleanup,
    how: Option<BoxFuture<'static, ()>>,
}

impl Undo {
    /// What was made is wanted.
    pub(super) fn keep(mut self) {
        self.how = None;
    }

    /// Undoes it now. It goes on when whoever waits gives up.
    pub(super) async fn now(mut self) {
        if let Some(how) = self.how.take() {
            // Only a panic in it ends it early, and that has been told.
            let _ = self.cleanup.tasks.spawn(how.in_current_span()).await;
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let Some(how) = self.how.take() else { return };
        if tokio::runtime::Handle::try_current().is_ok() {
            self.cleanup.tasks.spawn(how.in_current_span());
        } else {
            tracing::warn!(
                "the engine's threads have ended; what was being made is left to the keeper"
            );
        }
    }
}

impl fmt::Debug for Undo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undo").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_step_that_does_not_end_is_noted_of_its_backend() {
        let left = Left::default();
        let [process, docker] =
            [BackendKind::Process, BackendKind::Docker].map(|kind| Cleanup::new(kind, &left));
        let step = process.whole::<()>(pending());
        timeout(MOMENT, step).await.unwrap_err();
        docker.whole(async { Ok(()) }).await.unwrap();
        process.finished().await;
        docker.finished().await;
        assert_eq!(*left.lock().unwrap(), [BackendKind::Process].into());
    }
}
