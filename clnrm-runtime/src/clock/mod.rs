//! The time that counts against limits: that of the clock on the wall, but for that in which the run stands still.
//!
//! A process that job control has stopped can do nothing, and is not to blame
//! for it when it goes on. It has to be told: nothing here looks for signals.

mod stopwatch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use stopwatch::Stopwatch;

/// The clock of a run. Clones are the same clock; one that nobody freezes
/// shows all the time there is.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<watch::Sender<Stopwatch>>);

/// A limit on a clock, from a time on.
#[derive(Debug, Clone)]
pub struct Deadline {
    clock: Clock,
    from: Instant,
    limit: Duration,
}

/// The time of a [`Deadline`] is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its time is over")]
pub struct Over;

impl Clock {
    /// The run stands still from now on.
    pub fn freeze(&self) {
        self.0.send_modify(|watch| watch.freeze(Instant::now()));
    }

    /// The run goes on.
    pub fn thaw(&self) {
        self.0.send_modify(|watch| watch.thaw(Instant::now()));
    }

    /// Whether the run stands still.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.0.borrow().is_frozen()
    }

    /// How long the run ran between two times.
    #[must_use]
    pub fn between(&self, from: Instant, to: Instant) -> Duration {
        self.0.borrow().between(from, to)
    }

    /// How long the run has run since `from`.
    #[must_use]
    pub fn since(&self, from: Instant) -> Duration {
        self.between(from, Instant::now())
    }

    /// A deadline after `limit` from now on.
    #[must_use]
    pub fn deadline(&self, limit: Duration) -> Deadline {
        Deadline {
            clock: self.clone(),
            from: Instant::now(),
            limit,
        }
    }

    /// Waits until the run has run for `time` since `from`.
    pub async fn passed(&self, from: Instant, time: Duration) {
        let mut watch = self.0.subscribe();
        loop {
            let due = watch.borrow_and_update().due(from, time);
            if due.is_some_and(|due| due <= Instant::now()) {
                return;
            }
            // The sender lives as long as `self`.
            let changed = watch.changed();
            let _ = match due {
                Some(due) => timeout_at(due, changed).await,
                None => Ok(changed.await),
            };
        }
    }
}

impl Deadline {
    /// How much of its time is left.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.clock.since(self.from))
    }

    /// Waits for `future` until the time is over. A future that is ready is
    /// never late.
    ///
    /// # Errors
    /// When it is not ready until then.
    pub async fn bound<T>(&self, future: impl Future<Output = T>) -> Result<T, Over> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.clock.passed(self.from, self.limit) => Err(Over),
        }
    }

    /// The clock that it is on.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The earlier of this and `other`.
    #[must_use]
    pub(crate) fn or_earlier(self, other: Self) -> Self {
        if other.left() < self.left() {
            other
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep_until;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_later_by_the_time_that_the_clock_stands_still() {
        let (clock, begun) = (Clock::default(), Instant::now());
        let deadline = clock.deadline(3 * SECOND);
        let late = deadline.bound(pending::<()>());
        let frozen = async {
            sleep_until(begun + SECOND).await;
            clock.freeze();
            sleep_until(begun + 60 * SECOND).await;
            assert_eq!(deadline.left(), 2 * SECOND);
            clock.thaw();
        };
        assert_eq!(tokio::join!(late, frozen).0, Err(Over));
        assert_eq!(begun.elapsed(), 62 * SECOND);
        assert_eq!(clock.since(begun), 3 * SECOND);
        assert_eq!(deadline.left(), Duration::ZERO);
    }

    /// As when a process that was stopped goes on: time has passed that nobody saw.
    #[tokio::test(start_paused = true)]
    async fn time_that_passes_at_once_while_frozen_ends_nothing() {
        let clock = Clock::default();
        let deadline = clock.deadline(SECOND);
        clock.freeze();
        tokio::time::advance(60 * SECOND).await;
        clock.thaw();
        assert_eq!(deadline.bound(async { 7 }).await, Ok(7));
        assert_eq!(deadline.left(), SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_ready_is_not_late() {
        let deadline = Clock::default().deadline(Duration::ZERO);
        assert_eq!(deadline.bound(async { 7 }).await, Ok(7));
        assert_eq!(deadline.bound(pending::<()>()).await, Err(Over));
    }
}
