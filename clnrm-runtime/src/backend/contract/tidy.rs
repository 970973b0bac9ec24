//! Promises about what is left: nothing, and nothing of anybody else is touched.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use super::{Fixture, Recipe, must, refused, running, state, until};
use crate::backend::{Backend, State};

/// A running instance goes with everything of it, and may be removed again.
pub async fn remove_takes_a_running_one(backend: &dyn Backend, fixture: &Fixture) {
    let id = running(backend, fixture).await;
    let listed = must("list", backend.list(&fixture.run).await);
    assert!(!listed.is_empty(), "a running instance is not listed");
    must("remove", backend.remove(&id).await);
    assert_eq!(state(backend, &id).await, State::Gone);
    must("remove again", backend.remove(&id).await);
    let left = must("list", backend.list(&fixture.run).await);
    assert!(left.is_empty(), "{left:?}");
}

/// What cannot be run is an error, and whatever was made on the way is gone.
pub async fn a_failed_create_leaves_nothing(backend: &dyn Backend, fixture: &Fixture) {
    match backend.create(&fixture.request(&fixture.broken)).await {
        Ok(id) => {
            refused("start", backend.start(&id).await);
            must("remove", backend.remove(&id).await);
        }
        Err(error) => assert!(!error.message().is_empty()),
    }
    let left = must("list", backend.list(&fixture.run).await);
    assert!(left.is_empty(), "{left:?}");
}

/// Wherever a create is cancelled, a sweep finds what it made.
pub async fn a_cancelled_create_leaves_nothing(backend: &dyn Backend, fixture: &Fixture) {
    for polls in [1, 2, 3, 5, 8, 13, 21] {
        let request = fixture.request(&fixture.server);
        cancelled_after(polls, backend.create(&request)).await;
        swept(backend, fixture).await;
    }
}

/// Wherever a start is cancelled, a sweep finds what it made.
pub async fn a_cancelled_start_leaves_nothing(backend: &dyn Backend, fixture: &Fixture) {
    for polls in [1, 2, 3, 5, 8] {
        let recipe: &Recipe = &fixture.stubborn;
        let id = must("create", backend.create(&fixture.request(recipe)).await);
        cancelled_after(polls, backend.start(&id)).await;
        swept(backend, fixture).await;
        assert_eq!(state(backend, &id).await, State::Gone);
    }
}

/// A sweep takes everything of its run, says what that was, and leaves another
/// run alone.
pub async fn sweep_takes_one_run_only(backend: &dyn Backend, fixture: &Fixture) {
    let mine = running(backend, fixture).await;
    let other = match &fixture.other_run {
        None => None,
        Some(run) => {
            let request = fixture.request_of(run, &fixture.server);
            Some((run, must("create", backend.create(&request).await)))
        }
    };
    let swept = must("sweep", backend.sweep(&fixture.run).await);
    assert!(!swept.is_empty());
    assert_eq!(state(backend, &mine).await, State::Gone);
    assert!(must("sweep again", backend.sweep(&fixture.run).await).is_empty());
    if let Some((run, id)) = other {
        assert_eq!(state(backend, &id).await, State::Created);
        must("sweep of the other", backend.sweep(run).await);
        assert_eq!(state(backend, &id).await, State::Gone);
    }
}

/// What a cancelled request started may appear a moment after a first sweep.
async fn swept(backend: &dyn Backend, fixture: &Fixture) {
    until("an empty list", async || {
        must("sweep", backend.sweep(&fixture.run).await);
        let left = must("list", backend.list(&fixture.run).await);
        left.is_empty().then_some(())
    })
    .await;
}

/// Drops a future after it was polled that often, or when it is ready.
async fn cancelled_after(polls: usize, future: impl Future) {
    let mut future = Box::pin(future);
    let mut left = polls;
    let counted = std::future::poll_fn(|context| {
        left = left.saturating_sub(1);
        match future.as_mut().poll(context) {
            Poll::Pending if left > 0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    });
    // A future that needs fewer polls ends by itself; one that waits for long is cut here.
    let _ = tokio::time::timeout(Duration::from_secs(2), counted).await;
}
