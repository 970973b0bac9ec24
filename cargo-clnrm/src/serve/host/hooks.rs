//! The pool as the engine sees it.

use async_trait::async_trait;
use clnrm_runtime::Result;
use clnrm_runtime::engine::Hooks;
use clnrm_runtime::plugin::External;
use clnrm_runtime::protocol::{HookReply, HookRequest};
use clnrm_runtime::service::{HealthStatus, RunId, ServiceHandle, ServiceId, Slice, SliceId};

use super::pool::{HostPool, another_question};

impl HostPool {
    async fn simply(&self, service: &ServiceId, request: &HookRequest) -> Result<()> {
        match self.call(service, request).await? {
            HookReply::Done => Ok(()),
            other => Err(another_question(&other)),
        }
    }
}

#[async_trait]
impl Hooks for HostPool {
    async fn ready(&self, service: &ServiceId, handle: &ServiceHandle) -> Result<()> {
        let request = HookRequest::Ready(handle.clone());
        self.simply(service, &request).await
    }

    async fn health_check(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
    ) -> Result<HealthStatus> {
        let request = HookRequest::HealthCheck(handle.clone());
        match self.call(service, &request).await? {
            HookReply::Health(status) => Ok(status),
            other => Err(another_question(&other)),
        }
    }

    async fn migrate(&self, service: &ServiceId, handle: &ServiceHandle) -> Result<()> {
        let request = HookRequest::Migrate(handle.clone());
        self.simply(service, &request).await
    }

    async fn slice(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
        id: &SliceId,
    ) -> Result<Slice> {
        let request = HookRequest::Slice(handle.clone(), id.clone());
        match self.call(service, &request).await? {
            HookReply::Slice(slice) => Ok(slice),
            other => Err(another_question(&other)),
        }
    }

    async fn drop_slice(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
        slice: &Slice,
    ) -> Result<()> {
        let request = HookRequest::DropSlice(handle.clone(), slice.clone());
        self.simply(service, &request).await
    }

    async fn sweep(
        &self,
        service: &ServiceId,
        handle: &ServiceHandle,
        live_runs: &[RunId],
    ) -> Result<Vec<String>> {
        let request = HookRequest::Sweep(handle.clone(), live_runs.to_vec());
        match self.call(service, &request).await? {
            HookReply::Names(names) => Ok(names),
            other => Err(another_question(&other)),
        }
    }

    async fn external(&self, service: &ServiceId, url: &str) -> Result<External> {
        let request = HookRequest::External(url.to_owned());
        match self.call(service, &request).await? {
            HookReply::External(external) => Ok(external),
            other => Err(another_question(&other)),
        }
    }

    async fn start(&self, service: &ServiceId) -> Result<ServiceHandle> {
        match self.call(service, &HookRequest::Start).await? {
            HookReply::Handle(handle) => Ok(*handle),
            other => Err(another_question(&other)),
        }
    }

    async fn stop(&self, service: &ServiceId, handle: &ServiceHandle) -> Result<()> {
        let request = HookRequest::Stop(handle.clone());
        self.simply(service, &request).await
    }
}
