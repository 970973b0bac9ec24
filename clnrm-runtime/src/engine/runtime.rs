//! The runtime of the engine: one a process, on threads of its own.

use std::future::Future;
use std::sync::{LazyLock, mpsc};

use tokio::runtime::{Builder, Runtime};

use crate::error::{CleanroomError, Result};

static RUNTIME: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("clnrm")
        .enable_all()
        .build()
});

/// The engine's runtime.
pub(crate) fn handle() -> Result<tokio::runtime::Handle> {
    match &*RUNTIME {
        Ok(runtime) => Ok(runtime.handle().clone()),
        Err(error) => Err(CleanroomError::internal_error(format!(
            "cannot start the engine's threads: {error}"
        ))
        .with_hint("look at the limit of processes: `ulimit -u`")),
    }
}

/// Runs a future on the engine's threads and waits for it, from any thread and
/// any runtime, a current-thread one included.
///
/// It blocks the calling thread; in asynchronous code await the future instead.
///
/// # Errors
/// When the engine's threads cannot be started, or the future panicked.
pub fn block_on<F>(future: F) -> Result<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (send, receive) = mpsc::sync_channel(1);
    handle()?.spawn(async move {
        // The receiver is gone only when the waiting thread is.
        let _ = send.send(future.await);
    });
    receive
        .recv()
        .map_err(|_| CleanroomError::internal_error("a task of the engine panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn blocking_works_inside_a_current_thread_runtime() {
        assert_eq!(block_on(async { 6 * 7 }).unwrap(), 42);
    }

    #[test]
    fn a_panic_is_an_error() {
        let result = block_on(async { panic!("on purpose") });
        assert!(result.is_err());
    }
}
