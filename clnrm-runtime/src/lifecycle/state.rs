//! The states of an instance and the only ways between them.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::PluginLifecycleError;

/// Where an instance is in its life.
///
/// ```text
/// Initialized -> Starting -> Running -> Stopping -> Stopped -> Initialized
///      any -> Failed
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifecycleState {
    /// Made, never started.
    Initialized,
    /// Being started: until it is ready.
    Starting,
    /// Ready.
    Running,
    /// Being stopped.
    Stopping,
    /// Stopped, and everything of it removed.
    Stopped,
    /// Something went wrong; what was made has been removed.
    Failed,
}

impl LifecycleState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 6] = [
        Self::Initialized,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
        Self::Failed,
    ];

    /// Whether a start is allowed.
    #[must_use]
    pub fn can_start(self) -> bool {
        self == Self::Initialized
    }

    /// Whether a stop is allowed.
    #[must_use]
    pub fn can_stop(self) -> bool {
        self == Self::Running
    }

    /// Whether it holds, or may hold, resources.
    #[must_use]
    pub fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Stopping)
    }

    /// Whether `next` may follow.
    #[must_use]
    pub fn can_become(self, next: Self) -> bool {
        use LifecycleState::{Failed, Initialized, Running, Starting, Stopped, Stopping};
        matches!(
            (self, next),
            (_, Failed)
                | (Initialized, Starting)
                | (Starting, Running)
                | (Running, Stopping)
                | (Stopping, Stopped)
                | (Stopped, Initialized)
        )
    }
}

impl fmt::Display for LifecycleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initialized => "initialized",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        })
    }
}

/// A state that many may read and exactly one may change at a time.
#[derive(Debug)]
pub struct Lifecycle(Mutex<LifecycleState>);

impl Default for Lifecycle {
    fn default() -> Self {
        Self(Mutex::new(LifecycleState::Initialized))
    }
}

impl Lifecycle {
    /// The state now.
    #[must_use]
    pub fn state(&self) -> LifecycleState {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes to `next`. Of several that try the same step at once, one succeeds.
    ///
    /// # Errors
    /// [`PluginLifecycleError::InvalidTransition`] when `next` may not follow.
    pub fn become_state(&self, next: LifecycleState) -> Result<(), PluginLifecycleError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.can_become(next) {
            return Err(PluginLifecycleError::InvalidTransition {
                from: *state,
                to: next,
            });
        }
        *state = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn of_36_pairs_exactly_the_documented_ones_are_legal() {
        use LifecycleState::{Failed, Initialized, Running, Starting, Stopped, Stopping};
        let legal = [
            (Initialized, Starting),
            (Starting, Running),
            (Running, Stopping),
            (Stopping, Stopped),
            (Stopped, Initialized),
        ];
        for from in LifecycleState::ALL {
            for to in LifecycleState::ALL {
                let expected = to == Failed || legal.contains(&(from, to));
                assert_eq!(from.can_become(to), expected, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn the_questions_have_one_answer_each() {
        let answers = LifecycleState::ALL
            .map(|state| (state.can_start(), state.can_stop(), state.is_active()));
        assert_eq!(
            answers,
            [
                (true, false, false),
                (false, false, true),
                (false, true, true),
                (false, false, true),
                (false, false, false),
                (false, false, false),
            ]
        );
    }

    #[test]
    fn an_illegal_step_names_both_states() {
        let life = Lifecycle::default();
        let error = life.become_state(LifecycleState::Running).unwrap_err();
        assert_eq!(
            error.to_string(),
            "an instance that is initialized cannot become running"
        );
        assert_eq!(life.state(), LifecycleState::Initialized);
    }

    #[test]
    fn of_32_concurrent_starts_exactly_one_wins() {
        let life = Lifecycle::default();
        let wins = std::thread::scope(|scope| {
            let starts = (0..32)
                .map(|_| scope.spawn(|| life.become_state(LifecycleState::Starting).is_ok()));
            let starts = starts.collect::<Vec<_>>();
            starts
                .into_iter()
                .filter_map(|start| start.join().ok())
                .filter(|won| *won)
                .count()
        });
        assert_eq!(wins, 1);
    }

    proptest! {
        #[test]
        fn no_walk_leaves_the_legal_edges(steps in prop::collection::vec(0usize..6, 0..40)) {
            let life = Lifecycle::default();
            for step in steps {
                let (from, to) = (life.state(), LifecycleState::ALL[step]);
                let result = life.become_state(to);
                prop_assert_eq!(result.is_ok(), from.can_become(to));
                prop_assert_eq!(life.state(), if result.is_ok() { to } else { from });
            }
        }
    }
}
