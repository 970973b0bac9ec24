//! Tests of waiting: a scripted backend on a paused clock, and real sockets on loopback.

mod fake;
mod logs_and_states;
mod messages;
mod sockets;

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Readiness, Target, until_ready};
use crate::backend::Source;
use crate::clock::{Clock, Deadline};
use crate::error::Result;
use crate::service::{Endpoint, InstanceId, Port, Secrets, Spec, Var, Wait};
use fake::Fake;

/// A deadline that no test reaches unless it means to.
const DEADLINE: Duration = Duration::from_secs(30);

fn spec(wait: Wait) -> Spec {
    Spec {
        wait,
        ports: BTreeMap::from([("main".to_owned(), Port::tcp(80))]),
        vars: BTreeMap::from([("password".to_owned(), Var::secret("hunter2"))]),
        ..Spec::default()
    }
}

/// Waits for `wait` on `fake`, with a plugin that is ready at once.
async fn wait_for(fake: &Fake, wait: Wait) -> Result<Readiness> {
    wait_with(fake, wait, BTreeMap::new(), &|| async { Ok(()) }.boxed()).await
}

async fn wait_with(
    fake: &Fake,
    wait: Wait,
    endpoints: BTreeMap<String, Endpoint>,
    plugin_ready: &(dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync),
) -> Result<Readiness> {
    let deadline = Clock::default().deadline(DEADLINE);
    wait_until(&deadline, fake, wait, endpoints, plugin_ready).await
}

async fn wait_until(
    deadline: &Deadline,
    fake: &Fake,
    wait: Wait,
    endpoints: BTreeMap<String, Endpoint>,
    plugin_ready: &(dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync),
) -> Result<Readiness> {
    wait_as_until(deadline, fake, &spec(wait), endpoints, plugin_ready).await
}

/// Waits for what a spec says.
async fn wait_as(fake: &Fake, spec: &Spec) -> Result<Readiness> {
    let deadline = Clock::default().deadline(DEADLINE);
    let ready = || async { Ok(()) }.boxed();
    wait_as_until(&deadline, fake, spec, BTreeMap::new(), &ready).await
}

async fn wait_as_until(
    deadline: &Deadline,
    fake: &Fake,
    spec: &Spec,
    endpoints: BTreeMap<String, Endpoint>,
    plugin_ready: &(dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync),
) -> Result<Readiness> {
    let source = Source::Image("clnrm-test/web:1".parse()?);
    let target = Target {
        backend: fake,
        id: &InstanceId::new("web-1"),
        service: "web",
        source: &source,
        spec,
        secrets: &Secrets::of([&spec.vars]),
        endpoints: &endpoints,
        since: None,
    };
    let ready = || plugin_ready();
    until_ready(&target, &ready, deadline).await
}
