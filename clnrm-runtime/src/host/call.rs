//! Runs one call: on a thread that may block, its panics caught, its deadline kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::broker::CallBroker;
use super::serve::Host;
use crate::engine::broker::with_broker;
use crate::engine::is_stale;
use crate::error::{CleanroomError, Result};
use crate::plugin::{ServicePlugin, guard};
use crate::protocol::{Call, HookReply, HookRequest};
use crate::registry::{PluginSet, describe_all};
use crate::run;
use crate::service::ServiceId;

/// Runs `call` and returns what to answer. It returns when the thread is free
/// again, however late that is: the coordinator decides what to make of it.
pub(super) async fn run(host: &Arc<Host>, call: Call) -> Result<HookReply> {
    let deadline = Instant::now() + call.left;
    let method = call.request.method();
    // Calls queue for threads. One whose time is over before its turn is not run.
    let permit = tokio::time::timeout(call.left, Arc::clone(&host.threads).acquire_owned());
    let permit = permit.await.map_err(|_| too_late(method, call.left))?;
    let broker = CallBroker::new(Arc::clone(host), call.id, deadline);
    let plugins = host.plugins.clone();
    let code = move || {
        with_broker(Arc::new(broker), || {
            execute(&*plugins?, call.service.as_ref(), call.request)
        })
    };
    let result = tokio::task::spawn_blocking(code).await;
    drop(permit);
    result.map_err(|error| {
        CleanroomError::internal_error(format!("a call to `{method}` got lost")).with_source(error)
    })?
}

fn too_late(method: &str, left: Duration) -> CleanroomError {
    CleanroomError::timeout_error(format!("`{method}` found no free thread in {left:?}"))
        .with_hint("other calls of this test binary's plugins take long or hang")
}

fn execute(
    plugins: &PluginSet,
    service: Option<&ServiceId>,
    request: HookRequest,
) -> Result<HookReply> {
    let Some(service) = service else {
        return match request {
            HookRequest::Describe => describe_all().map(HookReply::Descriptions),
            other => Err(CleanroomError::protocol_error(format!(
                "a call to `{}` names no service",
                other.method()
            ))),
        };
    };
    let plugin = plugins.get(service)?;
    let what = format!("`{}` of `{}`", request.method(), plugin.name());
    guard(&what, || ask(plugin.as_ref(), request))
}

fn ask(plugin: &dyn ServicePlugin, request: HookRequest) -> Result<HookReply> {
    let done = |()| HookReply::Done;
    match request {
        HookRequest::Describe => Err(CleanroomError::protocol_error(
            "a binary is described as a whole",
        )),
        HookRequest::Ready(handle) => plugin.ready(&handle).map(done),
        HookRequest::HealthCheck(handle) => plugin.health_check(&handle).map(HookReply::Health),
        HookRequest::Migrate(handle) => plugin.migrate(&handle).map(done),
        HookRequest::Slice(handle, id) => plugin.slice(&handle, &id).map(HookReply::Slice),
        HookRequest::DropSlice(handle, slice) => plugin.drop_slice(&handle, &slice).map(done),
        HookRequest::Sweep(handle, live_runs) => plugin
            .sweep(&handle, &|name| is_stale(name, &live_runs, run::lives))
            .map(HookReply::Names),
        HookRequest::External(url) => plugin.external(&url).map(HookReply::External),
        HookRequest::Start => plugin
            .start()
            .map(|handle| HookReply::Handle(Box::new(handle))),
        HookRequest::Stop(handle) => plugin.stop(handle).map(done),
    }
}
