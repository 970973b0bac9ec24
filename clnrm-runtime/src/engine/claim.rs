//! Who asks for something, and until when it wants an answer.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::error::{CleanroomError, Result};
use crate::plan::LeaseMode;
use crate::service::{InstanceKey, OwnerId};

/// The modes of one test, by instance.
pub(super) type Modes = Arc<BTreeMap<InstanceKey, LeaseMode>>;

/// An owner that asks. Whatever is made for it is made with its claim, so that
/// nothing is begun for an owner that has ended.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) owner: OwnerId,
    pub(super) modes: Modes,
    pub(super) ended: CancellationToken,
}

impl Claim {
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Waits for an answer about the service `name`, until the owner ends.
    ///
    /// # Errors
    /// As the answer, and when the owner has ended.
    pub(super) async fn unless_ended<T>(
        &self,
        name: &str,
        answer: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            () = self.ended.cancelled() => Err(given_up(name)),
            answer = answer => answer,
        }
    }
}

/// What a start that its owner gave up fails with.
pub(super) fn given_up(name: &str) -> CleanroomError {
    CleanroomError::service_error(format!(
        "the start of `{name}` was given up: whoever asked for it has ended"
    ))
}
