//! What is still there when everything has been stopped: a leak, and a bug of ours.

use std::sync::PoisonError;

use futures_util::future::join_all;

use super::{Engine, EngineEvent, LeakEvent};
use crate::backend::BackendKind;
use crate::error::CleanroomError;

impl Engine {
    /// Sweeps every backend, and turns what it found into errors.
    pub(super) async fn audit(&self) -> Vec<CleanroomError> {
        let backends = self.0.backends.read();
        let backends = backends.unwrap_or_else(PoisonError::into_inner).clone();
        let auditing = backends.into_iter().map(|(kind, backend)| async move {
            let found = match backend.sweep(self.0.run.id()).await {
                Ok(found) if found.is_empty() => return None,
                Ok(found) if self.left_something(kind) => {
                    tracing::info!(backend = %kind, ?found, "removed what was still being made");
                    return None;
                }
                Ok(found) => found,
                Err(error) => return Some(error),
            };
            for what in &found {
                let what = what.clone();
                let leak = LeakEvent {
                    backend: kind,
                    what,
                };
                self.0.events.send(EngineEvent::Leak(leak));
            }
            let message = format!("the run left something on backend `{kind}`; it was removed");
            let error = CleanroomError::internal_error(message)
                .with_context("left", found.join("\n"))
                .with_hint("this is a bug of clnrm: please report it with this text");
            Some(error)
        });
        join_all(auditing).await.into_iter().flatten().collect()
    }

    /// Whether a step was given up that may have made something there.
    fn left_something(&self, backend: BackendKind) -> bool {
        let left = self.0.left.lock();
        left.unwrap_or_else(PoisonError::into_inner)
            .contains(&backend)
    }
}
