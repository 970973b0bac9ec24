//! Pauses between two looks at the same thing: short at first, then longer.

use std::time::Duration;

/// Pauses of 1 ms, 2 ms, 4 ms and so on, up to a limit.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    limit: Duration,
}

impl Backoff {
    /// The longest pause between two probes of a service that starts.
    pub(crate) const LIMIT: Duration = Duration::from_millis(64);

    /// Starts over at a millisecond.
    pub(crate) fn new() -> Self {
        Self {
            next: Duration::from_millis(1),
            limit: Self::LIMIT,
        }
    }

    /// Waits out the next pause. Every caller has a deadline around its loop.
    pub(crate) async fn pause(&mut self) {
        let pause = self.next;
        self.next = (pause * 2).min(self.limit);
        rest(pause).await;
    }
}

/// Waits out `pause`, between two looks at what cannot tell us itself.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where polling pauses; its callers look at the thing itself, with a deadline"
)]
pub(crate) async fn rest(pause: Duration) {
    tokio::time::sleep(pause).await;
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_pause_is_a_millisecond_and_the_longest_is_the_limit() {
        let mut backoff = Backoff::new();
        let begin = Instant::now();
        backoff.pause().await;
        assert_eq!(begin.elapsed(), Duration::from_millis(1));
        for _ in 0..20 {
            backoff.pause().await;
        }
        let before = Instant::now();
        backoff.pause().await;
        assert_eq!(before.elapsed(), Backoff::LIMIT);
    }
}
