//! The engine that plugin code in a host gets to see.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use clnrm_runtime::Result;
use clnrm_runtime::engine::Hooks;
use clnrm_runtime::service::{HealthStatus, ServiceHandle, ServiceId, Spec};

/// What a hand-written `start` asks for.
#[derive(Debug, Clone)]
pub struct AmbientStart {
    /// The service whose plugin asks.
    pub service: ServiceId,
    /// The name that the instance's service has.
    pub name: String,
    /// The type of the plugin.
    pub service_type: String,
    /// How to run it.
    pub spec: Spec,
}

/// Starts and stops what plugin code asks for, labelled and owned as
/// everything else: what the coordinator implements.
///
/// Every call may be dropped at any await and must then leave nothing.
#[async_trait]
pub trait Ambient: Send + Sync + fmt::Debug {
    /// Starts an instance and returns when it is ready. `hooks` asks the code
    /// that is starting: its `ready` and `migrate`, and nothing else of it.
    ///
    /// # Errors
    /// When it cannot be started, or does not become ready.
    async fn start(&self, start: AmbientStart, hooks: Arc<dyn Hooks>) -> Result<ServiceHandle>;

    /// Stops an instance and removes everything of it. Stopping what is gone
    /// is no error.
    ///
    /// # Errors
    /// When something of it is still there afterwards.
    async fn stop(&self, handle: &ServiceHandle) -> Result<()>;

    /// Says whether an instance runs and is ready. `hooks` asks the code that
    /// wants to know: its `ready`, and nothing else of it.
    ///
    /// # Errors
    /// When it cannot be told.
    async fn health_check(
        &self,
        handle: &ServiceHandle,
        spec: &Spec,
        hooks: Arc<dyn Hooks>,
    ) -> Result<HealthStatus>;
}
