//! Plugin code that follows a script, and knows what it has made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::backend::BackendKind;
use crate::backend::fake::{Script, Step};
use crate::engine::{Hooks, step_deadline};
use crate::error::Result;
use crate::plugin::External;
use crate::service::{
    Core, HealthStatus, InstanceId, InstanceKey, RunId, ServiceHandle, ServiceId, Slice, SliceId,
    Var,
};

/// Plugin code that follows a script. Clones are the same plugins.
#[derive(Debug, Clone)]
pub(super) struct Double {
    script: Script,
    inside: Arc<Mutex<Inside>>,
}

#[derive(Debug, Default)]
struct Inside {
    /// By the instance that they are slices of.
    slices: BTreeSet<(InstanceId, String)>,
    /// What a hand-written `start` made.
    started: BTreeSet<InstanceId>,
    /// Every slice that was asked for.
    asked: Vec<SliceId>,
    health: Option<HealthStatus>,
    /// What a hand-written `start` started through the ambient engine.
    inner: Option<ServiceHandle>,
    /// How much time the last hand-written `start` had.
    left: Option<Duration>,
}

impl Double {
    pub(super) fn new(script: Script) -> Self {
        Self {
            script,
            inside: Arc::default(),
        }
    }

    /// What a health check says from now on.
    pub(super) fn is(&self, health: HealthStatus) {
        self.inside().health = Some(health);
    }

    /// From now on a hand-written `start` is nothing but the start of `inner`.
    pub(super) fn starts(&self, inner: ServiceHandle) {
        self.inside().inner = Some(inner);
    }

    /// Every slice that was asked for, in order.
    pub(super) fn asked(&self) -> Vec<SliceId> {
        self.inside().asked.clone()
    }

    /// The slices that are there.
    pub(super) fn slices(&self) -> Vec<(InstanceId, String)> {
        self.inside().slices.iter().cloned().collect()
    }

    /// What hand-written starts made and no stop has ended.
    pub(super) fn started(&self) -> Vec<InstanceId> {
        self.inside().started.iter().cloned().collect()
    }

    /// How much time the last hand-written `start` had, if anybody said.
    pub(super) fn left(&self) -> Option<Duration> {
        self.inside().left
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Hooks for Double {
    async fn ready(&self, service: &ServiceId, _: &ServiceHandle) -> Result<()> {
        self.script.play(Step::PluginReady, service.as_str()).await
    }

    async fn health_check(&self, service: &ServiceId, _: &ServiceHandle) -> Result<HealthStatus> {
        self.script
            .play(Step::PluginHealth, service.as_str())
            .await?;
        let health = self.inside().health.clone();
        Ok(health.unwrap_or(HealthStatus::Healthy))
    }

    async fn migrate(&self, service: &ServiceId, _: &ServiceHandle) -> Result<()> {
        self.script
            .play(Step::PluginMigrate, service.as_str())
            .await
    }

    async fn slice(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
        id: &SliceId,
    ) -> Result<Slice> {
        let made = (handle.instance().clone(), id.name.clone());
        {
            let mut inside = self.inside();
            inside.asked.push(id.clone());
            inside.slices.insert(made.clone());
        }
        let played = self.script.play(Step::PluginSlice, service.as_str()).await;
        if let Err(error) = played {
            self.inside().slices.remove(&made);
            return Err(error);
        }
        let database = Var::plain(id.name.clone());
        Ok(Slice::new(id.clone(), [("database", database)]))
    }

    async fn drop_slice(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
        slice: &Slice,
    ) -> Result<()> {
        self.script
            .play(Step::PluginDropSlice, service.as_str())
            .await?;
        let made = (handle.instance().clone(), slice.id.name.clone());
        self.inside().slices.remove(&made);
        Ok(())
    }

    async fn sweep(
        &self,
        service: &ServiceId,
        _: &ServiceHandle,
        _: &[RunId],
    ) -> Result<Vec<String>> {
        self.script
            .play(Step::PluginSweep, service.as_str())
            .await?;
        Ok(vec!["clnrm_0123456776543210_1".to_owned()])
    }

    async fn external(&self, service: &ServiceId, url: &str) -> Result<External> {
        self.script
            .play(Step::PluginExternal, service.as_str())
            .await?;
        let address = url.trim_start_matches("fake://");
        let (host, port) = address.split_once(':').unwrap();
        Ok(External {
            host: host.to_owned(),
            port: port.parse().unwrap(),
            vars: BTreeMap::new(),
        })
    }

    async fn start(&self, service: &ServiceId) -> Result<ServiceHandle> {
        self.inside().left = step_deadline().map(|deadline| deadline.left());
        if let Some(inner) = self.inside().inner.clone() {
            return Ok(inner);
        }
        let id = {
            let mut inside = self.inside();
            let id = InstanceId::new(format!("{service} by hand {}", inside.started.len() + 1));
            inside.started.insert(id.clone());
            id
        };
        let played = self.script.play(Step::PluginStart, service.as_str()).await;
        if let Err(error) = played {
            self.inside().started.remove(&id);
            return Err(error);
        }
        let core = Core {
            key: InstanceKey::of(["what the plugin thinks"]),
            instance: id,
            backend: BackendKind::Plugin,
            endpoints: BTreeMap::new(),
            inner: BTreeMap::new(),
            vars: BTreeMap::new(),
            exports: BTreeMap::new(),
            slice: None,
            degraded: None,
        };
        Ok(ServiceHandle::new("plugin".to_owned(), core))
    }

    async fn stop(&self, service: &ServiceId, handle: &ServiceHandle) -> Result<()> {
        self.script.play(Step::PluginStop, service.as_str()).await?;
        self.inside().started.remove(handle.instance());
        Ok(())
    }
}
