//! What can go wrong in the life of an instance.

use std::time::Duration;

use super::LifecycleState;
use crate::error::{CleanroomError, ErrorKind};

/// What can go wrong in the life of an instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluginLifecycleError {
    /// It did not start.
    #[error("cannot start: {0}")]
    StartFailed(String),
    /// It did not stop.
    #[error("cannot stop: {0}")]
    StopFailed(String),
    /// Its health cannot be told.
    #[error("cannot check health: {0}")]
    HealthCheckFailed(String),
    /// It did not do something in time.
    #[error("{what} took longer than {limit:?}")]
    TimedOut {
        /// What it did not do.
        what: String,
        /// How long it might take.
        limit: Duration,
    },
    /// A state that cannot follow.
    #[error("an instance that is {from} cannot become {to}")]
    InvalidTransition {
        /// The state it is in.
        from: LifecycleState,
        /// The state asked for.
        to: LifecycleState,
    },
}

impl From<PluginLifecycleError> for CleanroomError {
    /// The kind says where to look; the message begins with `lifecycle: `.
    fn from(error: PluginLifecycleError) -> Self {
        let kind = match error {
            PluginLifecycleError::StartFailed(_) | PluginLifecycleError::StopFailed(_) => {
                ErrorKind::Container
            }
            PluginLifecycleError::HealthCheckFailed(_) => ErrorKind::Service,
            PluginLifecycleError::TimedOut { .. } => ErrorKind::Timeout,
            PluginLifecycleError::InvalidTransition { .. } => ErrorKind::Validation,
        };
        CleanroomError::new(kind, format!("lifecycle: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: PluginLifecycleError, kind: ErrorKind, message: &str) {
        let error = CleanroomError::from(error);
        assert_eq!((error.kind(), error.message()), (kind, message));
    }

    #[test]
    fn each_kind_becomes_an_error_of_the_product() {
        use PluginLifecycleError as E;
        check(
            E::StartFailed("no".into()),
            ErrorKind::Container,
            "lifecycle: cannot start: no",
        );
        check(
            E::StopFailed("no".into()),
            ErrorKind::Container,
            "lifecycle: cannot stop: no",
        );
        check(
            E::HealthCheckFailed("no".into()),
            ErrorKind::Service,
            "lifecycle: cannot check health: no",
        );
        check(
            E::TimedOut {
                what: "ready".into(),
                limit: Duration::from_secs(2),
            },
            ErrorKind::Timeout,
            "lifecycle: ready took longer than 2s",
        );
        check(
            E::InvalidTransition {
                from: LifecycleState::Running,
                to: LifecycleState::Starting,
            },
            ErrorKind::Validation,
            "lifecycle: an instance that is running cannot become starting",
        );
    }
}
