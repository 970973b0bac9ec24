//! What the engine asks of plugin code: in this process, or through a host in another one.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::runtime;
use crate::error::{CleanroomError, Result};
use crate::plugin::{External, ServicePlugin, guard};
use crate::registry::PluginSet;
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

    /// [`ServicePlugin::sweep`] of the slices whose run is not in `live_runs`.
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
            plugin.sweep(&handle, &|name| is_stale(name, &live_runs))
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
/// A name of another form is never stale: it is not ours.
pub(crate) fn is_stale(name: &str, live_runs: &[RunId]) -> bool {
    let parts = || {
        let (run, number) = name.strip_prefix("clnrm_")?.rsplit_once('_')?;
        number.parse::<u32>().ok()?;
        let is_run = run.len() == 12 && run.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_run.then_some(run)
    };
    parts().is_some_and(|run| !live_runs.iter().any(|live| live.as_str() == run))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Panics;

    impl ServicePlugin for Panics {
        fn name(&self) -> &str {
            "panics"
        }

        fn external(&self, url: &str) -> Result<External> {
            panic!("cannot read {url}")
        }
    }

    fn hooks() -> LocalHooks {
        let id = ServiceId::new("p/it/it::Panics");
        LocalHooks::new(PluginSet::new([(id, Arc::new(Panics) as _)]))
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_panic_is_an_error_of_that_call() {
        let id = ServiceId::new("p/it/it::Panics");
        for _ in 0..2 {
            let error = hooks().external(&id, "x:/").await.unwrap_err();
            assert_eq!(
                error.message(),
                "`external` of `panics` panicked: cannot read x:/"
            );
        }
        let error = hooks().start(&id).await.unwrap_err();
        assert_eq!(error.message(), "plugin `panics` has no spec");
    }

    /// A plugin that refuses everything, each time in other words.
    #[derive(Debug)]
    struct Refuses;

    fn refused<T>(what: &str) -> Result<T> {
        Err(CleanroomError::service_error(format!("no {what}")))
    }

    impl ServicePlugin for Refuses {
        fn name(&self) -> &str {
            "refuses"
        }
        fn start(&self) -> Result<ServiceHandle> {
            refused("start")
        }
        fn stop(&self, handle: ServiceHandle) -> Result<()> {
            refused(&format!("stop of {}", handle.name()))
        }
        fn health_check(&self, _: &ServiceHandle) -> Result<HealthStatus> {
            refused("health")
        }
        fn ready(&self, _: &ServiceHandle) -> Result<()> {
            refused("ready")
        }
        fn migrate(&self, _: &ServiceHandle) -> Result<()> {
            refused("migrate")
        }
        fn slice(&self, _: &ServiceHandle, id: &SliceId) -> Result<Slice> {
            refused(&format!("slice {}", id.number))
        }
        fn drop_slice(&self, _: &ServiceHandle, slice: &Slice) -> Result<()> {
            refused(&format!("end of slice {}", slice.id.number))
        }
        fn sweep(&self, _: &ServiceHandle, stale: &dyn Fn(&str) -> bool) -> Result<Vec<String>> {
            refused(&format!("sweep: {}", stale("clnrm_ba9876543210_3")))
        }
        fn external(&self, url: &str) -> Result<External> {
            refused(url)
        }
    }

    #[track_caller]
    fn says<T: std::fmt::Debug>(result: Result<T>, message: &str) {
        assert_eq!(result.unwrap_err().message(), message);
    }

    #[tokio::test]
    async fn every_hook_is_what_the_plugin_says() {
        let id = ServiceId::new("p/it/it::Refuses");
        let hooks = LocalHooks::new(PluginSet::new([(id.clone(), Arc::new(Refuses) as _)]));
        let server = External {
            host: "db.test".to_owned(),
            port: 1,
            vars: std::collections::BTreeMap::new(),
        };
        let db = ServiceHandle::external("db", &crate::service::Spec::default(), server);
        let number = SliceId {
            name: "clnrm_0123456789ab_7".to_owned(),
            number: 7,
        };
        let slice = Slice::new::<String>(number.clone(), []);
        says(hooks.start(&id).await, "no start");
        says(hooks.stop(&id, &db).await, "no stop of db");
        says(hooks.health_check(&id, &db).await, "no health");
        says(hooks.ready(&id, &db).await, "no ready");
        says(hooks.migrate(&id, &db).await, "no migrate");
        says(hooks.slice(&id, &db, &number).await, "no slice 7");
        says(
            hooks.drop_slice(&id, &db, &slice).await,
            "no end of slice 7",
        );
        says(hooks.sweep(&id, &db, &[]).await, "no sweep: true");
        says(hooks.external(&id, "x:/").await, "no x:/");
    }

    #[tokio::test]
    async fn a_service_of_another_binary_is_an_error() {
        let error = hooks()
            .start(&ServiceId::new("p/other/other::Db"))
            .await
            .unwrap_err();
        assert_eq!(
            error.message(),
            "service `p/other/other::Db` is not in this binary"
        );
    }

    #[tokio::test]
    async fn a_plugin_that_blocks_does_not_stall_the_caller() {
        #[derive(Debug)]
        struct Waits(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);
        impl ServicePlugin for Waits {
            fn name(&self) -> &str {
                "waits"
            }
            fn external(&self, _: &str) -> Result<External> {
                self.0.lock().unwrap().recv().unwrap();
                Err(CleanroomError::service_error("done"))
            }
        }
        let (send, receive) = std::sync::mpsc::channel();
        let id = ServiceId::new("p/it/it::Waits");
        let plugin = Arc::new(Waits(std::sync::Mutex::new(receive)));
        let hooks = LocalHooks::new(PluginSet::new([(id.clone(), plugin as _)]));
        let (result, ()) = tokio::join!(hooks.external(&id, ""), async {
            send.send(()).unwrap();
        });
        assert_eq!(result.unwrap_err().message(), "done");
    }

    #[test]
    fn only_slices_of_runs_that_are_over_are_stale() {
        let live = [RunId::new("0123456789ab")];
        assert!(is_stale("clnrm_ba9876543210_3", &live));
        assert!(!is_stale("clnrm_0123456789ab_3", &live));
        for name in [
            "orders",
            "clnrm_template_15",
            "clnrm_ba9876543210_",
            "clnrm_ba987654321_3",
        ] {
            assert!(!is_stale(name, &live), "{name}");
        }
    }
}
