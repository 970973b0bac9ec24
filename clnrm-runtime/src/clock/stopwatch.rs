//! Measures time but for that in which the run is frozen. Pure: it is told what time it is.

use std::time::Duration;

use tokio::time::Instant;

/// When a run was frozen.
#[derive(Debug, Clone, Default)]
pub(super) struct Stopwatch {
    /// From when to when, in order; the last may still last.
    frozen: Vec<(Instant, Option<Instant>)>,
}

impl Stopwatch {
    /// The run stands still from `now` on.
    pub(super) fn freeze(&mut self, now: Instant) {
        if !self.is_frozen() {
            self.frozen.push((now, None));
        }
    }

    /// The run goes on.
    pub(super) fn thaw(&mut self, now: Instant) {
        if let Some((_, end @ None)) = self.frozen.last_mut() {
            *end = Some(now);
        }
    }

    /// Whether the run stands still.
    pub(super) fn is_frozen(&self) -> bool {
        matches!(self.frozen.last(), Some((_, None)))
    }

    /// How long it ran between two times.
    pub(super) fn between(&self, from: Instant, to: Instant) -> Duration {
        let stood = self.frozen.iter().map(|(begin, end)| {
            let end = end.map_or(to, |end| end.min(to));
            end.saturating_duration_since(from.max(*begin))
        });
        to.saturating_duration_since(from)
            .saturating_sub(stood.sum())
    }

    /// When it will have run for `time` since `from`. `None` is that nobody
    /// knows: it stands still, or that is beyond all clocks.
    pub(super) fn due(&self, from: Instant, time: Duration) -> Option<Instant> {
        if self.is_frozen() {
            return None;
        }
        let stood = self.frozen.iter().filter_map(|(begin, end)| {
            let end = (*end)?;
            Some(end.saturating_duration_since(from.max(*begin)))
        });
        from.checked_add(time)?.checked_add(stood.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Frozen from the 2nd to the 5th and from the 7th to the 8th second, and asked in the 10th.
    fn sample(zero: Instant) -> Stopwatch {
        let mut watch = Stopwatch::default();
        for (freeze, thaw) in [(2, 5), (7, 8)] {
            watch.freeze(zero + freeze * SECOND);
            watch.thaw(zero + thaw * SECOND);
        }
        watch
    }

    #[track_caller]
    fn check(from: u32, to: u32, ran: u32) {
        let zero = Instant::now();
        let watch = sample(zero);
        let (from, to) = (zero + from * SECOND, zero + to * SECOND);
        assert_eq!(watch.between(from, to), ran * SECOND);
    }

    #[test]
    fn frozen_time_does_not_count() {
        check(0, 10, 6);
        check(0, 2, 2);
        check(0, 4, 2);
        check(3, 4, 0);
        check(3, 6, 1);
        check(8, 10, 2);
        check(6, 5, 0);
    }

    #[test]
    fn what_is_due_is_later_by_the_frozen_time() {
        let zero = Instant::now();
        let watch = sample(zero);
        for (from, time, due) in [(0, 6, 10), (3, 6, 12), (8, 2, 10)] {
            let found = watch.due(zero + from * SECOND, time * SECOND);
            assert_eq!(found, Some(zero + due * SECOND));
        }
        assert_eq!(watch.due(zero, Duration::MAX), None);
    }

    #[test]
    fn nothing_is_due_while_it_is_frozen() {
        let zero = Instant::now();
        let mut watch = Stopwatch::default();
        assert_eq!(watch.due(zero, SECOND), Some(zero + SECOND));
        watch.freeze(zero);
        assert!(watch.is_frozen());
        assert_eq!(watch.due(zero, SECOND), None);
        assert_eq!(watch.between(zero, zero + 60 * SECOND), Duration::ZERO);
        watch.thaw(zero + 60 * SECOND);
        assert_eq!(watch.due(zero, SECOND), Some(zero + 61 * SECOND));
    }

    #[test]
    fn freezing_or_thawing_twice_is_once() {
        let zero = Instant::now();
        let mut watch = Stopwatch::default();
        watch.thaw(zero);
        watch.freeze(zero + SECOND);
        watch.freeze(zero + 2 * SECOND);
        watch.thaw(zero + 3 * SECOND);
        watch.thaw(zero + 4 * SECOND);
        assert_eq!(watch.between(zero, zero + 5 * SECOND), 3 * SECOND);
    }
}
