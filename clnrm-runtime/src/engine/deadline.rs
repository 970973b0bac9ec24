//! How long a step may take, known to whoever does a part of it.

use std::future::Future;
use std::time::Duration;

use super::Engine;
use crate::clock::{Clock, Deadline};
use crate::error::{CleanroomError, Result};

tokio::task_local! {
    static DEADLINE: Deadline;
}

/// Runs `step`, which is named `what` for people, for at most `limit` of the
/// time of `clock`. A step within a step has no more time than the outer one.
///
/// # Errors
/// As `step`, or a timeout.
pub async fn within<T>(
    clock: &Clock,
    limit: Duration,
    what: &str,
    step: impl Future<Output = Result<T>>,
) -> Result<T> {
    let own = clock.deadline(limit);
    let deadline = match step_deadline() {
        Some(outer) => own.or_earlier(outer),
        None => own,
    };
    let step = DEADLINE.scope(deadline.clone(), step);
    match deadline.bound(step).await {
        Ok(result) => result,
        Err(_) => Err(CleanroomError::timeout_error(format!(
            "{what} took longer than {limit:?}"
        ))),
    }
}

impl Engine {
    /// Gives a step a deadline on the clock of the run. `what` and `of` name
    /// it: `` `slice` of `db` ``.
    ///
    /// # Errors
    /// As the step, and when it takes longer.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        what: &str,
        of: &str,
        step: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        within(&self.0.clock, limit, &format!("{what} of `{of}`"), step).await
    }
}

/// The deadline of the step that this is part of; none when nobody said.
#[must_use]
pub fn step_deadline() -> Option<Deadline> {
    DEADLINE.try_with(Clone::clone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_step_that_takes_too_long_ends() {
        let clock = Clock::default();
        let error = within::<()>(&clock, SHORT, "`ready` of `db`", std::future::pending())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.message(), "`ready` of `db` took longer than 1s");
    }

    #[tokio::test(start_paused = true)]
    async fn an_inner_step_has_no_more_time_than_the_outer() {
        assert!(step_deadline().is_none());
        let clock = Clock::default();
        let inner = within(&clock, LONG, "inner", async {
            Ok(step_deadline().map(|deadline| deadline.left()))
        });
        let left = within(&clock, SHORT, "outer", inner).await.unwrap();
        assert_eq!(left, Some(SHORT));
    }
}
