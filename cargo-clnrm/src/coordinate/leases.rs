//! Answers the tests: leases from the engine, and what they do to them.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use clnrm_runtime::backend::LogLine;
use clnrm_runtime::declare::Attachment;
use clnrm_runtime::engine::Engine;
use clnrm_runtime::protocol::{Finished, Operation, OperationReply, Skew};
use clnrm_runtime::service::{ServiceHandle, ServiceId};
use clnrm_runtime::{CleanroomError, Result};
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::time::Instant;

use super::slot::Slots;
use crate::serve::{Attempt, LeaseService};

/// The engine, as tests see it.
#[derive(Debug)]
pub(super) struct Leases {
    pub(super) engine: Engine,
    pub(super) slots: Arc<Slots>,
}

impl Leases {
    /// A handle comes from the test: only what it leased is its.
    fn leased(&self, attempt: &Attempt, handle: &ServiceHandle) -> Result<()> {
        let slot = self.slots.get(attempt)?;
        let leased = slot
            .progress()
            .handles
            .iter()
            .any(|leased| leased.instance() == handle.instance());
        if leased {
            return Ok(());
        }
        Err(CleanroomError::validation_error(format!(
            "`{}` is not leased to this test",
            handle.name()
        ))
        .with_hint("name it in the signature of the test"))
    }
}

#[async_trait]
impl LeaseService for Leases {
    async fn hello(&self, attempt: &Attempt, pid: u32) {
        tracing::debug!(test = %attempt.test, pid, "a test has dialled in");
    }

    async fn skewed(&self, attempt: &Attempt, skew: Skew) {
        if let Ok(slot) = self.slots.get(attempt) {
            slot.note(|progress| progress.skew = Some(CleanroomError::from(skew).report()));
        }
    }

    async fn acquire(
        &self,
        attempt: &Attempt,
        services: &[ServiceId],
    ) -> Result<Vec<(ServiceId, Option<Attachment>)>> {
        let slot = self.slots.get(attempt)?;
        slot.note(|progress| progress.asked = Some(Instant::now()));
        let acquired = self.engine.acquire(&slot.planned, slot.attempt).await;
        slot.note(|progress| progress.leased = Some(Instant::now()));
        let leases = acquired.inspect_err(|error| {
            // A plan that cannot be made is of no one service.
            let service = error.context("service").unwrap_or_default();
            let name = service.split(' ').next().unwrap_or_default().to_owned();
            slot.note(|progress| progress.no_service = Some((name, error.report())));
        })?;
        let lease = |id: &ServiceId| Ok((id.clone(), leases.get(id.as_str())?));
        let leased = services.iter().map(lease).collect::<Result<Vec<_>>>()?;
        let mut handles = Vec::new();
        for attachment in leased.iter().filter_map(|(_, lease)| lease.as_ref()) {
            collect(attachment, &mut handles);
        }
        slot.note(|progress| progress.handles = handles);
        Ok(leased)
    }

    async fn begin_body(&self, attempt: &Attempt) -> Result<()> {
        self.slots
            .get(attempt)?
            .note(|progress| progress.body = Some(Instant::now()));
        Ok(())
    }

    async fn finished(&self, attempt: &Attempt, finished: Finished) -> Result<()> {
        tracing::debug!(test = %attempt.test, outcome = ?finished.outcome, "a test has finished");
        self.slots
            .get(attempt)?
            .note(|progress| progress.finished = Some(Instant::now()));
        Ok(())
    }

    async fn operate(
        &self,
        attempt: &Attempt,
        handle: &ServiceHandle,
        operation: Operation,
    ) -> Result<OperationReply> {
        self.leased(attempt, handle)?;
        match operation {
            Operation::Restart => {
                self.engine.restart(handle).await?;
                Ok(OperationReply::Handle(Box::new(handle.clone())))
            }
            Operation::Stop => self
                .engine
                .halt(handle)
                .await
                .map(|()| OperationReply::Done),
            Operation::Pause => self
                .engine
                .pause(handle)
                .await
                .map(|()| OperationReply::Done),
            Operation::Unpause => self
                .engine
                .unpause(handle)
                .await
                .map(|()| OperationReply::Done),
            Operation::HealthCheck => self.engine.health(handle).await.map(OperationReply::Health),
            Operation::Exec(command) => self
                .engine
                .exec(handle, &command)
                .await
                .map(OperationReply::Output),
        }
    }

    async fn logs(
        &self,
        attempt: &Attempt,
        handle: &ServiceHandle,
        since: Option<SystemTime>,
        _follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        self.leased(attempt, handle)?;
        let lines = self.engine.logs(handle, since).await?;
        Ok(stream::iter(lines).map(Ok).boxed())
    }
}

/// The handles of a lease and of everything below it.
fn collect(attachment: &Attachment, handles: &mut Vec<ServiceHandle>) {
    for need in attachment
        .needs
        .iter()
        .filter_map(|(_, need)| need.as_ref())
    {
        collect(need, handles);
    }
    if !handles
        .iter()
        .any(|handle| handle.instance() == attachment.handle.instance())
    {
        handles.push(attachment.handle.clone());
    }
}
