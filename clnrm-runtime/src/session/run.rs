//! The wrapper of a test: lease what the signature names, run the body, say how it ended.
//!
//! `needs` builds the parameters one by one: as one tuple with a bound, a type that is
//! neither a service nor a fixture would be told a second time, of the tuple.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{ExitCode, Termination};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Runtime;

use super::held::Held;
use super::watchdog::Watchdog;
use super::{Flavor, Leases, TestCase};
use crate::error::{CleanroomError, Result};
use crate::plugin::message_of;
use crate::protocol::Outcome;

/// Runs an asynchronous body on a runtime of its own.
///
/// # Panics
/// As the body does, and when a service or fixture cannot be had.
#[track_caller]
pub fn run_async<P, R, F>(
    case: &'static TestCase,
    needs: impl AsyncFnOnce(&Leases) -> Result<P>,
    body: impl FnOnce(P) -> F,
) -> ExitCode
where
    R: Termination,
    F: Future<Output = R>,
{
    let ran = with_leases(case, needs, |runtime, needs, limit| {
        let output = runtime.block_on(limited(case, "test", limit, body(needs)))?;
        Ok(output.report())
    });
    match ran {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// Runs a body that blocks.
///
/// # Panics
/// As the body does, and when a service or fixture cannot be had.
#[track_caller]
pub fn run_sync<P, R: Termination>(
    case: &'static TestCase,
    needs: impl AsyncFnOnce(&Leases) -> Result<P>,
    body: impl FnOnce(P) -> R,
) -> ExitCode {
    let ran = with_leases(case, needs, |_, needs, limit| {
        let _watchdog = Watchdog::new(case.declaration.path, limit);
        Ok(body(needs).report())
    });
    match ran {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// Runs an asynchronous body that should panic. A set-up that fails does not
/// panic, or the test would pass without its services.
///
/// # Panics
/// As the body does.
pub fn run_async_should_panic<P, F: Future<Output = ()>>(
    case: &'static TestCase,
    needs: impl AsyncFnOnce(&Leases) -> Result<P>,
    body: impl FnOnce(P) -> F,
) {
    let ran = with_leases(case, needs, |runtime, needs, limit| {
        runtime.block_on(limited(case, "test", limit, body(needs)))?;
        Ok(ExitCode::SUCCESS)
    });
    if let Err(error) = ran {
        report(&error);
    }
}

/// Runs a body that blocks and should panic.
///
/// # Panics
/// As the body does.
pub fn run_sync_should_panic<P>(
    case: &'static TestCase,
    needs: impl AsyncFnOnce(&Leases) -> Result<P>,
    body: impl FnOnce(P),
) {
    let ran = with_leases(case, needs, |_, needs, limit| {
        let _watchdog = Watchdog::new(case.declaration.path, limit);
        body(needs);
        Ok(ExitCode::SUCCESS)
    });
    if let Err(error) = ran {
        report(&error);
    }
}

/// Leases, sets up, runs, gives back. Set-up and body each get the time that the
/// test may take, unless the coordinator sees to that.
fn with_leases<P>(
    case: &'static TestCase,
    needs: impl AsyncFnOnce(&Leases) -> Result<P>,
    body: impl FnOnce(&Runtime, P, Option<Duration>) -> Result<ExitCode>,
) -> Result<ExitCode> {
    crate::host::serve_if_asked();
    let runtime = runtime(case.flavor)?;
    let mut held = Held::acquire(case)?;
    let limit = case.timeout().filter(|_| !held.is_watched());
    // A panic of it must not pass for that of the body.
    let needs = AssertUnwindSafe(needs(held.leases())).catch_unwind();
    let built = runtime.block_on(limited(case, "the set-up of test", limit, needs));
    let built = built.map(|built| built.unwrap_or_else(|panic| Err(panicked(case, &*panic))));
    let needs = match built {
        Ok(Ok(needs)) => needs,
        Ok(Err(error)) | Err(error) => {
            // Why there is no test is more than that nobody could be told so.
            let _ = held.finish(Outcome::NotSetUp, Some(error.report()));
            return Err(error);
        }
    };
    held.begin_body()?;
    // The body's values are moved into it and dropped in it; nothing of ours is shared with it.
    let ran = catch_unwind(AssertUnwindSafe(|| body(&runtime, needs, limit)));
    // Connections of tasks that the body left behind end here, before their services do.
    runtime.shutdown_background();
    match ran {
        Ok(Ok(code)) => {
            let passed = code == ExitCode::SUCCESS;
            held.finish(
                if passed {
                    Outcome::Passed
                } else {
                    Outcome::Failed
                },
                None,
            )?;
            Ok(code)
        }
        Ok(Err(error)) => {
            let _ = held.finish(Outcome::Failed, Some(error.report()));
            Err(error)
        }
        Err(panic) => {
            // The panic is the test's own; a lease that cannot be given back is not.
            let _ = held.finish(Outcome::Panicked, None);
            resume_unwind(panic)
        }
    }
}

fn panicked(case: &TestCase, panic: &(dyn Any + Send)) -> CleanroomError {
    let (path, message) = (case.declaration.path, message_of(panic));
    CleanroomError::validation_error(format!("the set-up of test `{path}` panicked: {message}"))
        .with_hint(
            "the panic's place is in the output; a fixture's `set_up` returns errors instead",
        )
}

/// A part of the test, called `what`, for as long as it may take.
async fn limited<F: Future>(
    case: &TestCase,
    what: &str,
    limit: Option<Duration>,
    part: F,
) -> Result<F::Output> {
    let Some(limit) = limit else {
        return Ok(part.await);
    };
    let overran = |_| {
        let path = case.declaration.path;
        CleanroomError::timeout_error(format!("{what} `{path}` runs longer than its {limit:?}"))
            .with_hint("raise its `timeout`, or look at what it waits for")
    };
    tokio::time::timeout(limit, part).await.map_err(overran)
}

fn runtime(flavor: Flavor) -> Result<Runtime> {
    let mut builder = match flavor {
        Flavor::CurrentThread => tokio::runtime::Builder::new_current_thread(),
        Flavor::MultiThread { workers } => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            if workers > 0 {
                builder.worker_threads(workers);
            }
            builder
        }
    };
    let runtime = builder.enable_all().build();
    runtime.map_err(|error| {
        CleanroomError::internal_error("cannot make the test's runtime").with_source(error)
    })
}

#[track_caller]
#[expect(
    clippy::panic,
    reason = "a panic is how a test fails, and it names the test's place"
)]
fn fail(error: &CleanroomError) -> ! {
    panic!("{}", error.report())
}

#[expect(
    clippy::print_stderr,
    reason = "libtest captures it; a panic would make the test pass"
)]
fn report(error: &CleanroomError) {
    eprintln!("the test did not reach its body: {}", error.report());
}
