//! Waits until an instance is ready, and says what it saw when it is not.
//!
//! It only asks: it starts and stops nothing. It knows no backend but by its
//! trait, and a probe that could not be made never counts as ready.

pub(crate) mod backoff;
mod execute;
mod failure;
mod http;
mod log;
mod notes;
mod tcp;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::backend::{Backend, Source, State};
use crate::clock::Deadline;
use crate::error::Result;
use crate::service::{Endpoint, InstanceId, Secrets, Spec};

use execute::Execution;
use failure::Cause;

/// The instance that is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Where it runs.
    pub backend: &'a dyn Backend,
    /// Its name there.
    pub id: &'a InstanceId,
    /// The service's name, for messages.
    pub service: &'a str,
    /// What runs, for messages.
    pub source: &'a Source,
    /// What it waits for, and its ports.
    pub spec: &'a Spec,
    /// What no message may show.
    pub secrets: &'a Secrets,
    /// Where it answers, as [`Backend::start`] said.
    pub endpoints: &'a BTreeMap<String, Endpoint>,
    /// Log lines from before do not count. After a restart, its time: the lines
    /// of the life before would say that it is ready.
    pub since: Option<SystemTime>,
}

/// One `ready` exchange of the plugin.
pub type PluginReady<'a> = &'a (dyn Fn() -> BoxFuture<'a, Result<()>> + Send + Sync + 'a);

/// What it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// From the call until it was ready.
    pub elapsed: Duration,
    /// How many probes were made, one for each time the log was opened included.
    pub probes: u32,
}

/// Waits until what the spec waits for is met and the instance runs.
///
/// # Errors
/// When the time is over, when the instance ends while we wait, and when the
/// spec waits for what cannot be: a port that it does not have, a pattern that is
/// no regular expression, a health check that the image does not have. The error
/// says what was waited for, the last answer, and the last lines of the log.
pub async fn until_ready(
    target: &Target<'_>,
    plugin_ready: PluginReady<'_>,
    deadline: &Deadline,
) -> Result<Readiness> {
    let execution = Execution::new(target, plugin_ready);
    let (clock, begin) = (deadline.clock(), Instant::now());
    let ready = async {
        execution.run(&target.spec.wait).await?;
        // What answered may have been its last word.
        execution.until_it_runs().await
    };
    let outcome = deadline.bound(async {
        tokio::select! {
            biased;
            outcome = ready => outcome.map_err(Cause::Impossible),
            state = execution.until_it_ends() => Err(Cause::Ended(state)),
        }
    });
    let cause = match outcome.await {
        Ok(Ok(())) => {
            return Ok(Readiness {
                elapsed: clock.since(begin),
                probes: execution.notes().probes(),
            });
        }
        Ok(Err(cause)) => cause,
        Err(_) => Cause::TimedOut,
    };
    Err(failure::explain(target, execution.notes(), cause, clock.since(begin)).await)
}

/// Whether an instance in this state will not come to life by itself any more.
fn has_ended(state: &State) -> bool {
    matches!(state, State::Exited { .. } | State::Gone)
}
