//! One attempt to start an instance from its spec: create, start, wait, migrate.
//!
//! What an attempt made is gone when it fails, before the next one begins.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::claim::Claim;
use super::cleanup::{Cleanup, Undo};
use super::explain::{declared, explain, source_of};
use super::instance::Ready;
use super::request::{Needs, degraded};
use super::span::{container_start, traced};
use super::{Engine, Phases, limit};
use crate::backend::{Backend, CreateRequest, Started};
use crate::error::{CleanroomError, Result};
use crate::lifecycle::Resource;
use crate::plan::PlannedInstance;
use crate::service::{Core, InstanceId, ServiceHandle, Spec};
use crate::wait;

/// An instance that was created, until it is kept.
struct Created {
    id: InstanceId,
    undo: Undo,
}

impl Engine {
    pub(super) async fn start_from_spec(
        &self,
        claim: &Claim,
        planned: &PlannedInstance,
        needs: &Needs,
        cleanup: &Cleanup,
    ) -> Result<Ready> {
        let begun = Instant::now();
        let backend = self.backend(planned.backend)?;
        let held = self.hold_resource(claim, planned)?;
        let request = self.request(claim, planned, needs).await;
        let request = request.map_err(|error| explain(error, planned, "create"))?;
        let spec = request.spec.clone();
        let making = async {
            let created = self.create(&backend, request, &held, cleanup).await;
            let created = created.map_err(|error| explain(error, planned, "create"))?;
            let started = self
                .start_created(&backend, created, planned, cleanup)
                .await;
            started.map_err(|error| explain(error, planned, "start"))
        };
        let (created, started) = traced(container_start(planned), making).await?;
        let create = self.0.clock.since(begun);
        let degraded = degraded(planned, needs);
        let handle = handle_of(planned, &spec, created.id.clone(), started, degraded);
        let ready = self.make_ready(backend.as_ref(), planned, &spec, &handle);
        if let Err(error) = ready.await {
            let error = why(backend.as_ref(), &created.id, error).await;
            created.undo.now().await;
            return Err(explain(error, planned, "ready"));
        }
        Ok(Ready {
            id: created.id,
            handle,
            phases: Phases {
                create,
                ready: self.0.clock.since(begun).saturating_sub(create),
                ..Phases::default()
            },
            held,
            undo: Some(created.undo),
        })
    }

    async fn make_ready(
        &self,
        backend: &dyn Backend,
        planned: &PlannedInstance,
        spec: &Spec,
        handle: &ServiceHandle,
    ) -> Result<()> {
        let service = declared(planned)?;
        let hooks = Arc::clone(&self.0.hooks);
        let ask = || {
            let (hooks, service, handle) = (Arc::clone(&hooks), service.clone(), handle.clone());
            async move { hooks.ready(&service, &handle).await }.boxed()
        };
        let target = wait::Target {
            backend,
            id: handle.instance(),
            service: &planned.name,
            source: source_of(planned)?,
            spec,
            secrets: &self.secrets(),
            endpoints: handle.endpoints(),
            since: None,
        };
        let deadline = self.0.clock.deadline(spec.start_timeout);
        wait::until_ready(&target, &ask, &deadline).await?;
        if spec.migrate {
            let migrating = self.0.hooks.migrate(&service, handle);
            let limit = spec.start_timeout;
            let migrated = self
                .within(limit, "`migrate`", &planned.name, migrating)
                .await;
            migrated.map_err(|error| explain(error, planned, "migrate"))?;
        }
        Ok(())
    }

    /// Creates an instance that removes itself unless it is kept.
    async fn create(
        &self,
        backend: &Arc<dyn Backend>,
        request: CreateRequest,
        held: &Arc<Resource>,
        cleanup: &Cleanup,
    ) -> Result<Created> {
        let (engine, backend) = (self.clone(), Arc::clone(backend));
        let (held, cleaner) = (Arc::clone(held), cleanup.clone());
        let step = async move {
            let creating = backend.create(&request);
            let id = engine
                .within(limit::MAKING, "the creation", &request.service, creating)
                .await?;
            let unwanted = id.clone();
            let undo = cleaner.undo(async move {
                remove(backend.as_ref(), &unwanted).await;
                drop(held);
            });
            Ok(Created { id, undo })
        };
        cleanup.whole(step).await
    }

    async fn start_created(
        &self,
        backend: &Arc<dyn Backend>,
        created: Created,
        planned: &PlannedInstance,
        cleanup: &Cleanup,
    ) -> Result<(Created, Started)> {
        let (engine, backend) = (self.clone(), Arc::clone(backend));
        let name = planned.name.clone();
        let step = async move {
            let starting = backend.start(&created.id);
            match engine
                .within(limit::MAKING, "the start", &name, starting)
                .await
            {
                Ok(started) => Ok((created, started)),
                Err(error) => {
                    created.undo.now().await;
                    Err(error)
                }
            }
        };
        cleanup.whole(step).await
    }
}

/// Where the backend knows why an instance ended, that is the error.
async fn why(backend: &dyn Backend, id: &InstanceId, error: CleanroomError) -> CleanroomError {
    let Some(mut why) = backend.explain_exit(id).await else {
        return error;
    };
    for key in ["service", "phase", "image", "program", "elapsed", "log"] {
        if let Some(value) = error.context(key) {
            why = why.with_context(key, value);
        }
    }
    why
}

async fn remove(backend: &dyn Backend, id: &InstanceId) {
    if let Err(error) = backend.remove(id).await {
        tracing::error!(instance = %id, error = %error.report(), "cannot remove what a failed start left");
    }
}

fn handle_of(
    planned: &PlannedInstance,
    spec: &Spec,
    instance: InstanceId,
    started: Started,
    degraded: Option<String>,
) -> ServiceHandle {
    let core = Core {
        key: planned.key.clone(),
        instance,
        backend: planned.backend,
        endpoints: started.endpoints,
        inner: started.inner,
        vars: spec.vars.clone(),
        exports: spec.exports.clone(),
        slice: None,
        degraded,
    };
    ServiceHandle::new(planned.name.clone(), core)
}
