//! Another attempt, for errors that another attempt may not meet.

use std::future::Future;
use std::time::Duration;

use crate::error::{CleanroomError, Result};

/// How often, and how long between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retry {
    /// Attempts in all, from 1.
    pub attempts: u32,
    /// The longest pause.
    pub cap: Duration,
    /// Up to so much of each pause is left out, from 0 to 1, so that many that
    /// failed together do not come back together.
    pub jitter: f64,
}

impl Retry {
    /// `attempts` attempts, pauses of 30 s at most, no jitter.
    #[must_use]
    pub fn new(attempts: u32) -> Self {
        Self {
            attempts,
            cap: Duration::from_secs(30),
            jitter: 0.0,
        }
    }

    /// The pause after attempt `attempt`, from 1: `2^(attempt-1)` seconds, capped.
    #[must_use]
    pub fn pause(&self, attempt: u32) -> Duration {
        let doubled = 1_u64
            .checked_shl(attempt.saturating_sub(1))
            .unwrap_or(u64::MAX);
        Duration::from_secs(doubled).min(self.cap)
    }
}

/// Makes attempts until one succeeds, one fails with an error that is not
/// transient, or there are none left; the last error is kept.
///
/// `attempt` gets its number from 1 and cleans up after itself when it fails.
///
/// # Errors
/// The last attempt's. A validation error when `retry.attempts` is 0.
pub async fn retry<T, F>(retry: Retry, mut attempt: impl FnMut(u32) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut number = 1;
    loop {
        if retry.attempts == 0 {
            return Err(
                CleanroomError::validation_error("a start with 0 attempts never starts")
                    .with_hint("set at least 1 attempt"),
            );
        }
        match attempt(number).await {
            Ok(value) => return Ok(value),
            Err(error) if error.is_transient() && number < retry.attempts => {
                tracing::debug!(attempt = number, error = %error.message(), "another attempt");
                pause(retry, number).await;
                number += 1;
            }
            Err(error) if number > 1 => return Err(error.with_context("attempts", number)),
            Err(error) => return Err(error),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the pause between attempts is the documented behaviour"
)]
async fn pause(retry: Retry, attempt: u32) {
    let pause = retry.pause(attempt);
    tokio::time::sleep(pause.mul_f64(1.0 - retry.jitter.clamp(0.0, 1.0) * fraction())).await;
}

/// A number from 0 to 1 that differs between processes and moments.
fn fraction() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(0);
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn transient(text: &str) -> CleanroomError {
        CleanroomError::container_error(text).transient()
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_and_the_last_error_is_kept() {
        let begin = Instant::now();
        let mut at = Vec::new();
        let result: Result<()> = retry(Retry::new(4), |number| {
            at.push(begin.elapsed().as_secs());
            async move { Err(transient(&format!("attempt {number}"))) }
        })
        .await;
        assert_eq!(at, [0, 1, 3, 7]);
        let error = result.unwrap_err();
        assert_eq!(
            (error.message(), error.context("attempts")),
            ("attempt 4", Some("4"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_stays_is_not_tried_again() {
        let mut calls = 0;
        let result: Result<()> = retry(Retry::new(5), |_| {
            calls += 1;
            async { Err(CleanroomError::validation_error("bad image")) }
        })
        .await;
        assert!(result.is_err());
        assert_eq!(calls, 1);
    }

    #[tokio::test]
    async fn no_attempts_is_an_error() {
        let error = retry(Retry::new(0), |_| async { Ok(()) })
            .await
            .unwrap_err();
        assert_eq!(error.message(), "a start with 0 attempts never starts");
    }

    #[test]
    fn the_pause_is_capped_and_never_overflows() {
        let retry = Retry::new(100);
        assert_eq!(retry.pause(1), Duration::from_secs(1));
        assert_eq!(retry.pause(5), Duration::from_secs(16));
        assert_eq!(retry.pause(6), Duration::from_secs(30));
        assert_eq!(retry.pause(u32::MAX), Duration::from_secs(30));
    }
}
