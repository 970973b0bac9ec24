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
            let name = service_of(error).to_owned();
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

/// The name of the service that an error is of, where it is of one: what starts
/// a service says so beside the message, and the plan at its beginning.
fn service_of(error: &CleanroomError) -> &str {
    let started = error.context("service");
    let started = started.and_then(|service| service.split(' ').next());
    let planned = || error.message().strip_prefix("service `")?.split('`').next();
    started.or_else(planned).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clnrm_runtime::declare::{Need, TestDescriptor};
    use clnrm_runtime::plan::{
        Catalog, PlanInput, Preference, Probe, ServiceDescription, TestRequest, plan,
    };
    use clnrm_runtime::service::{Spec, TestId};

    use super::*;

    /// Why a test of the one service `db`, with an image alone, cannot be planned.
    fn nowhere() -> CleanroomError {
        let id = ServiceId::new("shop/it/Db");
        let service = ServiceDescription {
            id: id.clone(),
            name: "db".to_owned(),
            location: "tests/it.rs:3".to_owned(),
            service_type: "generic".to_owned(),
            version: "1".to_owned(),
            scope: None,
            optional: false,
            needs: Vec::new(),
            fingerprint: String::new(),
            inputs: Vec::new(),
            spec: Some(Spec::default()),
            isolation: BTreeMap::new(),
            error: None,
        };
        let need = Need {
            id,
            name: "db".to_owned(),
            optional: false,
        };
        let descriptor = TestDescriptor {
            v: 1,
            path: "it::a".to_owned(),
            file: "tests/it.rs".to_owned(),
            line: 1,
            timeout_ms: 0,
            fresh: false,
            ignored: false,
            shared: Vec::new(),
            needs: vec![need],
        };
        let test = TestId {
            binary: "shop::it".to_owned(),
            name: "a".to_owned(),
        };
        let mut catalog = Catalog::default();
        catalog.add("shop::it", vec![service]);
        let plan = plan(&PlanInput {
            tests: &[TestRequest { test, descriptor }],
            catalog: &catalog,
            probe: &Probe::default(),
            preference: Preference::Auto,
        });
        plan.tests.into_iter().next().unwrap().error.unwrap()
    }

    #[test]
    fn a_service_that_did_not_start_and_one_that_cannot_are_named() {
        let check = |error: &CleanroomError, name| assert_eq!(service_of(error), name, "{error}");
        let late = CleanroomError::timeout_error("it is not ready");
        check(&late.clone().with_context("service", "db (postgres)"), "db");
        check(&nowhere(), "db");
        check(&late, "");
    }
}
