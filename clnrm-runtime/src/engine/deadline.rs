//! How long a call to plugin code may take, known to whoever makes it on the way.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{CleanroomError, Result};

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Runs `call`, which is named `what` for people, for at most `limit`. A call
/// within a call has no more time than the outer one.
///
/// # Errors
/// As `call`, or a timeout.
pub async fn within<T>(
    limit: Duration,
    what: &str,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    let own = Instant::now() + limit;
    let deadline = outer().map_or(own, |outer| outer.min(own));
    let call = DEADLINE.scope(deadline, call);
    match tokio::time::timeout_at(deadline, call).await {
        Ok(result) => result,
        Err(_) => Err(CleanroomError::timeout_error(format!(
            "{what} took longer than {limit:?}"
        ))),
    }
}

/// How long the call that this is part of may still take; none when nobody said.
#[must_use]
pub fn time_left() -> Option<Duration> {
    outer().map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

fn outer() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_call_that_takes_too_long_ends() {
        let error = within::<()>(SHORT, "`ready` of `db`", std::future::pending())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.message(), "`ready` of `db` took longer than 1s");
    }

    #[tokio::test(start_paused = true)]
    async fn an_inner_call_has_no_more_time_than_the_outer() {
        assert_eq!(time_left(), None);
        let inner = within(LONG, "inner", async { Ok(time_left()) });
        assert_eq!(within(SHORT, "outer", inner).await.unwrap(), Some(SHORT));
    }
}
