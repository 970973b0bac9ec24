//! Starts one instance of an owner, its dependencies first, and holds it once it runs.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::time::Instant;

use super::claim::Claim;
use super::cleanup::{Cleanup, Undo};
use super::event::Subject;
use super::explain::{declared, explain};
use super::request::{Needs, degraded};
use super::span::{plugin_start, traced};
use super::table::{Ending, Instance};
use super::{Engine, Phases, limit};
use crate::backend::BackendKind;
use crate::declare::Attachment;
use crate::error::{CleanroomError, Result};
use crate::lifecycle::{Lifecycle, LifecycleState, Resource, Retry, retry};
use crate::plan::PlannedInstance;
use crate::service::{InstanceId, ServiceHandle};

/// What an attempt to start made. It is undone unless somebody keeps it.
pub(super) struct Ready {
    pub(super) id: InstanceId,
    pub(super) handle: ServiceHandle,
    pub(super) phases: Phases,
    pub(super) held: Arc<Resource>,
    /// Absent where there is nothing of ours.
    pub(super) undo: Option<Undo>,
}

impl Engine {
    /// Starts an instance that the claim's owner owns, its dependencies first.
    pub(super) async fn start(self, claim: Claim, planned: PlannedInstance) -> Result<Attachment> {
        let needs = self.needs(&claim, &planned);
        let needs = claim.unless_ended(&planned.name, needs).await?;
        let span = plugin_start(&claim.owner, &planned);
        let starting = self.start_with(&claim, &planned, &needs);
        let handle = traced(span, starting).await?;
        Ok(Attachment { handle, needs })
    }

    async fn start_with(
        &self,
        claim: &Claim,
        planned: &PlannedInstance,
        needs: &Needs,
    ) -> Result<ServiceHandle> {
        let begun = Instant::now();
        let life = Lifecycle::default();
        let subject = Subject::planned(&claim.owner, planned);
        life.become_state(LifecycleState::Starting)?;
        self.say(&subject, None, life.state(), Phases::default(), None);
        let cleanup = Cleanup::new(planned.backend, &self.0.left);
        let starting = self.bring_up(claim, planned, needs, &cleanup);
        let started = claim.unless_ended(&planned.name, starting).await;
        // What was given up on the way is gone when this says that it failed.
        cleanup.finished().await;
        let held = started.and_then(|ready| self.hold(claim, planned, ready, life));
        match held {
            Ok(instance) => {
                let id = Some(&instance.id);
                self.say(&subject, id, LifecycleState::Running, instance.phases, None);
                Ok(instance.handle.clone())
            }
            Err(error) => {
                let error = explain(error, planned, "start");
                // However far each attempt of it came.
                let phases = Phases {
                    ready: self.0.clock.since(begun),
                    ..Phases::default()
                };
                self.say(&subject, None, LifecycleState::Failed, phases, Some(&error));
                Err(error)
            }
        }
    }

    /// Makes attempts until one succeeds or there are none left.
    async fn bring_up(
        &self,
        claim: &Claim,
        planned: &PlannedInstance,
        needs: &Needs,
        cleanup: &Cleanup,
    ) -> Result<Ready> {
        if let Some(error) = &planned.error {
            return Err(error.clone());
        }
        let spec = planned.description.spec.as_ref();
        let attempts = spec.map_or(1, |spec| spec.start_attempts);
        retry(Retry::new(attempts), |_| async {
            match planned.backend {
                BackendKind::Plugin => self.start_by_hand(claim, planned, needs, cleanup).await,
                BackendKind::External => self.use_external(claim, planned).await,
                _ => self.start_from_spec(claim, planned, needs, cleanup).await,
            }
        })
        .await
    }

    /// From here on it is the owner's, and stops with it.
    fn hold(
        &self,
        claim: &Claim,
        planned: &PlannedInstance,
        ready: Ready,
        life: Lifecycle,
    ) -> Result<Arc<Instance>> {
        life.become_state(LifecycleState::Running)?;
        let spec = planned.description.spec.as_ref();
        let instance = Arc::new(Instance {
            owner: claim.owner.clone(),
            key: planned.key.clone(),
            service: declared(planned)?,
            backend: planned.backend,
            id: ready.id,
            stop: spec.map(|spec| spec.stop).unwrap_or_default(),
            handle: ready.handle,
            needs: planned.needs.iter().map(|need| need.key.clone()).collect(),
            life,
            phases: ready.phases,
            ending: Ending::default(),
            halted: AtomicBool::new(false),
            _held: ready.held,
        });
        let mut inside = self.0.table.lock();
        inside.instances.push(Arc::clone(&instance));
        if let Some(undo) = ready.undo {
            undo.keep();
        }
        Ok(instance)
    }

    async fn start_by_hand(
        &self,
        claim: &Claim,
        planned: &PlannedInstance,
        needs: &Needs,
        cleanup: &Cleanup,
    ) -> Result<Ready> {
        let begun = Instant::now();
        let held = self.hold_resource(claim, planned)?;
        let (hooks, service) = (Arc::clone(&self.0.hooks), declared(planned)?);
        let engine = self.clone();
        let (cleaner, name, kept) = (cleanup.clone(), planned.name.clone(), Arc::clone(&held));
        let step = async move {
            let starting = hooks.start(&service);
            let handle = engine
                .within(limit::BY_HAND, "`start`", &name, starting)
                .await?;
            let unwanted = handle.clone();
            let undo = cleaner.undo(async move {
                let stopping = hooks.stop(&service, &unwanted);
                if let Err(error) = engine.within(limit::FAREWELL, "`stop`", &name, stopping).await {
                    tracing::error!(service = %name, error = %error.report(), "cannot stop what nobody waits for");
                }
                drop(kept);
            });
            Ok((handle, undo))
        };
        let (mut handle, undo) = cleanup.whole(step).await?;
        handle.service_name.clone_from(&planned.name);
        handle.core.key = planned.key.clone();
        handle.core.degraded = degraded(planned, needs);
        Ok(Ready {
            id: handle.instance().clone(),
            handle,
            phases: Phases {
                create: self.0.clock.since(begun),
                ..Phases::default()
            },
            held,
            undo: Some(undo),
        })
    }

    /// Counts an instance; it counts until everybody has let go of the answer.
    pub(super) fn hold_resource(
        &self,
        claim: &Claim,
        planned: &PlannedInstance,
    ) -> Result<Arc<Resource>> {
        let kind = match planned.backend {
            BackendKind::Docker => "container",
            BackendKind::Process => "process",
            _ => "service",
        };
        let what = format!("{} of {}", planned.name, claim.owner);
        let held = self.0.tracker.allocate(kind, what);
        held.map(Arc::new)
            .map_err(|error: CleanroomError| explain(error, planned, "create"))
    }
}
