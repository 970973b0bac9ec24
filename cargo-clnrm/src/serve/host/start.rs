//! From a test binary to a host that has said hello.

use std::collections::BTreeMap;
use std::sync::Arc;

use clnrm_runtime::protocol::Skew;
use clnrm_runtime::{CleanroomError, Result};
use tokio::sync::oneshot;

use super::live::{DRAIN, LiveHost};
use super::output::{self, Output};
use super::pool::Context;
use super::spawn::{HostBinary, HostProcess, HostSpawn};
use crate::serve::reception::{Arrival, Streams};

/// Starts a host of `binary`.
///
/// It runs as a task of its own, so that a caller who gives up leaves no
/// process without an owner.
///
/// # Errors
/// When it cannot be started, ends or is silent without having said hello, or
/// is of another version.
pub(super) async fn start(context: Context, binary: HostBinary) -> Result<Arc<LiveHost>> {
    let (ticket, arrival) = context.reception().expect_host()?;
    let (writers, pipe) = Output::pipe()?;
    let output = Output::default();
    let mut env: BTreeMap<_, _> = binary.env.clone();
    env.extend(ticket.env());
    let spawn = HostSpawn {
        program: binary.path.clone(),
        args: binary.args(),
        env,
        dir: binary.dir.clone(),
        stdout: writers.stdout,
        stderr: writers.stderr,
    };
    let process = context.spawner().spawn(spawn).await.map_err(|error| {
        error
            .with_context("host of", &binary.id)
            .with_context("program", binary.path.display())
    })?;
    let reading = context.spawn(output.clone().read(pipe));
    let why = match wait(&context, process.as_ref(), arrival).await {
        Hello::Said(streams) => {
            let host = LiveHost::new(
                context, binary.id, process, output, reading, *streams, ticket,
            );
            return Ok(host);
        }
        Hello::Skewed(skew) => {
            context.note_skew();
            end(process.as_ref()).await;
            output::finish(reading, DRAIN).await;
            return Err(CleanroomError::from(skew).with_context("host of", binary.id));
        }
        Hello::Never(why) => {
            end(process.as_ref()).await;
            why
        }
    };
    output::finish(reading, DRAIN).await;
    Err(
        CleanroomError::service_error(format!("the host of `{}` {why} without a hello", binary.id))
            .with_context("its test", &binary.test)
            .with_context("its output", output.tail())
            .with_hint(
                "the test must be a `#[clnrm::test]`; what runs before it must not end the process",
            ),
    )
}

enum Hello {
    Said(Box<Streams>),
    Skewed(Skew),
    /// How it was instead, as a verb.
    Never(String),
}

async fn wait(
    context: &Context,
    process: &dyn HostProcess,
    arrival: oneshot::Receiver<Arrival>,
) -> Hello {
    let limit = context.limits().hello;
    let first = async {
        tokio::select! {
            biased;
            arrival = arrival => match arrival {
                Ok(Ok(streams)) => Hello::Said(Box::new(streams)),
                Ok(Err(skew)) => Hello::Skewed(skew),
                Err(_) => Hello::Never("broke off".to_owned()),
            },
            ended = process.wait() => Hello::Never(format!("ended {ended}")),
            () = context.closing().cancelled() => Hello::Never("was dismissed".to_owned()),
        }
    };
    let deadline = context.clock().deadline(limit);
    let hello = deadline.bound(first).await;
    hello.unwrap_or_else(|_| Hello::Never(format!("was silent for {limit:?}")))
}

/// Ends a process that is of no use. One that has ended already is no error.
async fn end(process: &dyn HostProcess) {
    if let Err(error) = process.kill().await {
        tracing::warn!(%error, "a host could not be killed");
    }
}
