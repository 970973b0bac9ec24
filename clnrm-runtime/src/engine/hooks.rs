//! What the engine asks of plugin code: in this process, or through a host in another one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::runtime;
use crate::error::{CleanroomError, Result};
use crate::plugin::{External, ServicePlugin, guard};
use crate::registry::PluginSet;
use crate::run;
use crate::service::{HealthStatus, RunId, ServiceHandle, ServiceId, Slice, SliceId};

/// The calls of the engine to plugin code. `service` is the declaration whose
/// plugin is meant.
///
/// Every call may be dropped at any await: its result is then nobody's, and
/// what it made through the [ambient engine](super::ambient) is removed. How
/// long one may take is said with [`within`](super::within).
#[async_trait]
pub trait Hooks: Send + Sync + fmt::Debug {
    /// One [`ServicePlugin::ready`].
    ///
    /// # Errors
    /// When the service is not ready, or the plugin cannot be asked.
    async fn ready(&self, service: &ServiceId, handle: &ServiceHandle) -> Result<()>;

    /// [`ServicePlugin::health_check`].
    ///
    /// # Errors
    /// When it cannot be told.
    async fn health_check(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
    ) -> Result<HealthStatus>;

    /// [`ServicePlugin::migrate`].
    ///
    /// # Errors
    /// When the instance cannot be prepared.
    async fn migrate(&self, service: &ServiceId, handle: &ServiceHandle) -> Result<()>;

    /// [`ServicePlugin::slice`].
    ///
    /// # Errors
    /// When the service refuses.
    async fn slice(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
        id: &SliceId,
    ) -> Result<Slice>;

    /// [`ServicePlugin::drop_slice`].
    ///
    /// # Errors
    /// When the slice is still there afterwards.
    async fn drop_slice(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
        slice: &Slice,
    ) -> Result<()>;

    /// [`ServicePlugin::sweep`] of the slices whose run is of the site of the
    /// `live_runs` and not among them.
    ///
    /// # Errors
    /// When the service refuses.
    async fn sweep(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
        live_runs: &[RunId],
    ) -> Result<Vec<String>>;

    /// [`ServicePlugin::external`].
    ///
    /// # Errors
    /// When the plugin cannot use this URL.
    async fn external(&self, service: &ServiceId, url: &str) -> Result<External>;

    /// A hand-written [`ServicePlugin::start`].
    ///
    /// # Errors
    /// When the service cannot be started.
    async fn start(&self, service: &ServiceId) -> Result<ServiceHandle>;

    /// A hand-written [`ServicePlugin::stop`].
    ///
    /// # Errors
    /// When something of the service is still there afterwards.
    async fn stop(&self, service: &ServiceId, handle: &ServiceHandle) -> Result<()>;
}

/// Calls the plugin objects of this process, each call on a thread of its own.
///
/// A thread cannot be ended: a call that is dropped runs on unheard.
#[derive(Debug, Clone)]
pub struct LocalHooks {
    plugins: Arc<PluginSet>,
}

impl LocalHooks {
    /// Calls these plugins.
    #[must_use]
    pub fn new(plugins: impl Into<Arc<PluginSet>>) -> Self {
        Self {
            plugins: plugins.into(),
        }
    }

    /// Calls the plugins of the services that this binary declares.
    ///
    /// # Errors
    /// As [`registry::declarations`](crate::registry::declarations).
    pub fn linked() -> Result<Self> {
        Ok(Self::new(PluginSet::linked()?))
    }

    async fn call<T: Send + 'static>(
        &self,
        method: &'static str,
        service: &ServiceId,
        code: impl FnOnce(&dyn ServicePlugin) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let plugins = Arc::clone(&self.plugins);
        let service = service.clone();
        let call = runtime::handle()?.spawn_blocking(move || {
            let plugin = plugins.get(&service)?;
            let what = format!("`{method}` of `{}`", plugin.name());
            guard(&what, || code(plugin.as_ref()))
        });
        call.await.map_err(|error| {
            CleanroomError::internal_error(format!("a call to `{method}` got lost"))
                .with_source(error)
        })?
    }
}

#[async_trait]
impl Hooks for LocalHooks {
    async fn ready(&self, service: &ServiceId, handle: &ServiceHandle) -> Result<()> {
        let handle = handle.clone();
        self.call("ready", service, move |plugin| plugin.ready(&handle))
            .await
    }

    async fn health_check(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
    ) -> Result<HealthStatus> {
        let handle = handle.clone();
        self.call("health_check", service, move |plugin| {
            plugin.health_check(&handle)
        })
        .await
    }

    async fn migrate(&self, service: &ServiceId, handle: &ServiceHandle) -> Result<()> {
        let handle = handle.clone();
        self.call("migrate", service, move |plugin| plugin.migrate(&handle))
            .await
    }

    async fn slice(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
        id: &SliceId,
    ) -> Result<Slice> {
        let (handle, id) = (handle.clone(), id.clone());
        self.call("slice", service, move |plugin| plugin.slice(&handle, &id))
            .await
    }

    async fn drop_slice(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
        slice: &Slice,
    ) -> Result<()> {
        let (handle, slice) = (handle.clone(), slice.clone());
        self.call("drop_slice", service, move |plugin| {
            plugin.drop_slice(&handle, &slice)
        })
        .await
    }

    async fn sweep(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
        live_runs: &[RunId],
    ) -> Result<Vec<String>> {
        let (handle, live_runs) = (handle.clone(), live_runs.to_vec());
        self.call("sweep", service, move |plugin| {
            plugin.sweep(&handle, &|name| is_stale(name, &live_runs, run::lives))
        })
        .await
    }

    async fn external(&self, service: &ServiceId, url: &str) -> Result<External> {
        let url = url.to_owned();
        self.call("external", service, move |plugin| plugin.external(&url))
            .await
    }

    async fn start(&self, service: &ServiceId) -> Result<ServiceHandle> {
        self.call("start", service, |plugin| plugin.start()).await
    }

    async fn stop(&self, service: &ServiceId, handle: &ServiceHandle) -> Result<()> {
        let handle = handle.clone();
        self.call("stop", service, move |plugin| plugin.stop(handle))
            .await
    }
}

/// Whether `name` is a slice's, `clnrm_<run>_<number>`, of a run that is over.
/// A name of another form is never stale: it is not ours. Nor is that of a run
/// of another site: whether it lives cannot be seen from here.
///
/// A run may have begun after the `live_runs` were listed, so that each is
/// looked at once more.
pub(crate) fn is_stale(name: &str, live_runs: &[RunId], lives: impl Fn(&RunId) -> bool) -> bool {
    let parts = || {
        let (run, number) = name.strip_prefix("clnrm_")?.rsplit_once('_')?;
        number.parse::<u32>().ok()?;
        let is_run = run.len() == RunId::LEN && run.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_run.then(|| RunId::new(run))
    };
    parts().is_some_and(|run| {
        let is_near = live_runs.iter().any(|live| live.site() == run.site());
        is_near && !live_runs.contains(&run) && !lives(&run)
    })
}

#[cfg(test)]
mod tests;
