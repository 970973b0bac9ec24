//! An engine and a lease service that start nothing, and note what they are asked.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use cargo_clnrm::serve::{Ambient, AmbientStart, Attempt, LeaseService};
use clnrm_runtime::backend::LogLine;
use clnrm_runtime::declare::Attachment;
use clnrm_runtime::engine::Hooks;
use clnrm_runtime::protocol::{Finished, Operation, OperationReply, Skew};
use clnrm_runtime::service::{HealthStatus, ServiceHandle, ServiceId, Spec};
use clnrm_runtime::{CleanroomError, Result};
use futures_util::stream::BoxStream;
use tokio::sync::mpsc;

use super::fixture;
use super::plugin::odd;

/// What the engine and the lease service were asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    Start(String),
    /// A start was not dropped.
    Started(String),
    /// A start was dropped before it was done.
    StartDropped,
    Stop(String),
    HealthCheck(String),
    HealthCheckDropped,
    Hello,
    Skewed(Skew),
    Acquire(Vec<ServiceId>),
    /// An acquire was dropped before it was done.
    AcquireDropped,
    BeginBody,
    Finished(Finished),
    Operate(Operation),
}

/// Starts nothing, and says what it was asked.
#[derive(Debug)]
pub(crate) struct Notes {
    notes: mpsc::UnboundedSender<Note>,
    /// What tests take instead of what would be there.
    pub(crate) behaviour: Mutex<Behaviour>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    #[default]
    Answers,
    /// Starts and acquires never end.
    Hangs,
    /// Health checks never end.
    HealthCheckHangs,
    /// Starts ask for `migrate`, which the plugin refuses.
    Migrates,
}

struct OnDrop<'a>(Option<(&'a Notes, Note)>);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        if let Some((notes, note)) = self.0.take() {
            notes.note(note);
        }
    }
}

impl Notes {
    pub(crate) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<Note>) {
        let (notes, receiver) = mpsc::unbounded_channel();
        let behaviour = Mutex::default();
        (Arc::new(Self { notes, behaviour }), receiver)
    }

    fn note(&self, note: Note) {
        let _ = self.notes.send(note);
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    async fn hang_when(&self, told: Behaviour, dropped: Note) {
        let behaviour = *self.behaviour.lock().unwrap();
        if behaviour == told {
            let _note = OnDrop(Some((self, dropped)));
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Ambient for Notes {
    async fn start(&self, start: AmbientStart, hooks: Arc<dyn Hooks>) -> Result<ServiceHandle> {
        assert_eq!(start.service, odd());
        self.note(Note::Start(start.name.clone()));
        self.hang_when(Behaviour::Hangs, Note::StartDropped).await;
        let handle = fixture::handle(&start.name);
        hooks.ready(&start.service, &handle).await?;
        let behaviour = *self.behaviour.lock().unwrap();
        if behaviour == Behaviour::Migrates {
            hooks.migrate(&start.service, &handle).await?;
        }
        self.note(Note::Started(start.name));
        Ok(handle)
    }

    async fn stop(&self, handle: &ServiceHandle) -> Result<()> {
        self.note(Note::Stop(handle.name().to_owned()));
        Ok(())
    }

    async fn health_check(
        &self,
        handle: &ServiceHandle,
        _: &Spec,
        hooks: Arc<dyn Hooks>,
    ) -> Result<HealthStatus> {
        self.note(Note::HealthCheck(handle.name().to_owned()));
        self.hang_when(Behaviour::HealthCheckHangs, Note::HealthCheckDropped)
            .await;
        match hooks.ready(&odd(), handle).await {
            Ok(()) => Ok(HealthStatus::Healthy),
            Err(error) => Ok(HealthStatus::Unhealthy(error.message().to_owned())),
        }
    }
}

#[async_trait]
impl LeaseService for Notes {
    async fn hello(&self, _: &Attempt, _: u32) {
        self.note(Note::Hello);
    }

    async fn skewed(&self, _: &Attempt, skew: Skew) {
        self.note(Note::Skewed(skew));
    }

    async fn acquire(
        &self,
        attempt: &Attempt,
        services: &[ServiceId],
    ) -> Result<Vec<(ServiceId, Option<Attachment>)>> {
        self.note(Note::Acquire(services.to_vec()));
        self.hang_when(Behaviour::Hangs, Note::AcquireDropped).await;
        let lease = |service: &ServiceId| {
            let name = service.as_str();
            let attachment = (name != "optional").then(|| Attachment {
                handle: fixture::handle(name),
                needs: vec![("db".to_owned(), None)],
            });
            match name {
                "broken" => Err(CleanroomError::timeout_error("it did not become ready")
                    .with_context("service", name)
                    .with_context("for", &attempt.test)),
                _ => Ok((service.clone(), attachment)),
            }
        };
        services.iter().map(lease).collect()
    }

    async fn begin_body(&self, _: &Attempt) -> Result<()> {
        self.note(Note::BeginBody);
        Ok(())
    }

    async fn finished(&self, _: &Attempt, finished: Finished) -> Result<()> {
        self.note(Note::Finished(finished));
        Ok(())
    }

    async fn operate(
        &self,
        _: &Attempt,
        handle: &ServiceHandle,
        operation: Operation,
    ) -> Result<OperationReply> {
        self.note(Note::Operate(operation.clone()));
        match operation {
            Operation::Restart => Ok(OperationReply::Handle(Box::new(fixture::handle(
                "restarted",
            )))),
            Operation::HealthCheck => Ok(OperationReply::Health(HealthStatus::Degraded(
                handle.name().to_owned(),
            ))),
            Operation::Exec(words) => {
                Ok(OperationReply::Output(clnrm_runtime::backend::ExecOutput {
                    code: -1,
                    stdout: words.join(" ").into_bytes(),
                    stderr: vec![0xff],
                }))
            }
            Operation::Pause => Err(CleanroomError::validation_error("it is shared")),
            _ => Ok(OperationReply::Done),
        }
    }

    async fn logs(
        &self,
        _: &Attempt,
        handle: &ServiceHandle,
        since: Option<SystemTime>,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        super::lease::log_of(handle.name(), since, follow)
    }
}
