//! Executes a plan: backends, lifecycle, waits, leases, labels.
//!
//! The engine knows nothing of tests but their names as owners, and nothing of
//! plugins but the [`Hooks`] it calls. It owns every instance that it starts,
//! and [`Engine::shutdown`] is the end of all of them.

pub mod ambient;
mod attempt;
mod audit;
pub(crate) mod broker;
mod by_hand;
mod claim;
mod cleanup;
mod control;
mod deadline;
mod event;
mod explain;
mod external;
mod hooks;
mod instance;
mod lease;
mod limit;
mod network;
mod own_end;
mod request;
pub(crate) mod runtime;
mod slice;
mod span;
mod stop;
mod table;
#[cfg(test)]
mod tests;

pub use by_hand::ByHand;
pub use deadline::{step_deadline, within};
pub use event::{EngineEvent, EventSink, InstanceEvent, LeakEvent, LeaseEvent, LeaseState, Phases};
pub(crate) use hooks::is_stale;
pub use hooks::{Hooks, LocalHooks};
pub use runtime::block_on;
pub(crate) use runtime::handle;
pub use stop::Keep;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backend::{Backend, BackendKind};
use crate::clock::Clock;
use crate::error::{CleanroomError, Result};
use crate::lifecycle::ResourceTracker;
use crate::plan::{Plan, PlannedInstance};
use crate::run::Run;
use crate::service::InstanceKey;
use cleanup::Left;
use table::Table;

/// Executes plans in one run. Cloning gives another handle to the same engine.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    run: Arc<Run>,
    backends: RwLock<BTreeMap<BackendKind, Arc<dyn Backend>>>,
    hooks: Arc<dyn Hooks>,
    plan: RwLock<Plan>,
    events: EventSink,
    tracker: ResourceTracker,
    clock: Clock,
    table: Table,
    /// Set when the run ends: nothing starts any more.
    closing: CancellationToken,
    /// The tasks that make something; the end of the run waits for them.
    making: TaskTracker,
    left: Left,
}

/// What an engine is made of.
#[derive(Debug)]
pub struct EngineParts {
    /// The run: its labels and its directory.
    pub run: Arc<Run>,
    /// The backends that the plan may name.
    pub backends: Vec<Arc<dyn Backend>>,
    /// The plugins' own code.
    pub hooks: Arc<dyn Hooks>,
    /// Who listens.
    pub events: EventSink,
    /// What is held, and how much of it may be.
    pub tracker: ResourceTracker,
    /// The time that counts against limits.
    pub clock: Clock,
}

impl Engine {
    /// An engine with nothing to do yet.
    #[must_use]
    pub fn new(parts: EngineParts) -> Self {
        let backends = parts
            .backends
            .into_iter()
            .map(|backend| (backend.kind(), backend))
            .collect();
        Self(Arc::new(Inner {
            run: parts.run,
            backends: RwLock::new(backends),
            hooks: parts.hooks,
            plan: RwLock::default(),
            events: parts.events,
            tracker: parts.tracker,
            clock: parts.clock,
            table: Table::default(),
            closing: CancellationToken::new(),
            making: TaskTracker::new(),
            left: Arc::default(),
        }))
    }

    /// Adds a backend that plans may name.
    pub fn add_backend(&self, backend: Arc<dyn Backend>) {
        let mut backends = self
            .0
            .backends
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        backends.entry(backend.kind()).or_insert(backend);
    }

    /// Adds what `plan` says to what the engine may be asked for.
    pub fn extend(&self, plan: Plan) {
        let mut known = self.0.plan.write().unwrap_or_else(PoisonError::into_inner);
        known.instances.extend(plan.instances);
        known
            .tests
            .retain(|old| !plan.tests.iter().any(|new| new.test == old.test));
        known.tests.extend(plan.tests);
    }

    /// The run.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.0.run
    }

    /// What is held now.
    #[must_use]
    pub fn tracker(&self) -> &ResourceTracker {
        &self.0.tracker
    }

    fn planned(&self, key: &InstanceKey) -> Result<PlannedInstance> {
        let plan = self.0.plan.read().unwrap_or_else(PoisonError::into_inner);
        let planned = plan.instances.get(key).cloned();
        planned.ok_or_else(|| {
            CleanroomError::internal_error(format!("instance `{key}` is not in the plan"))
        })
    }

    fn backend(&self, kind: BackendKind) -> Result<Arc<dyn Backend>> {
        let backends = self
            .0
            .backends
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let backend = backends.get(&kind).cloned();
        backend
            .ok_or_else(|| CleanroomError::internal_error(format!("backend `{kind}` is not there")))
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("run", self.0.run.id())
            .finish_non_exhaustive()
    }
}
