//! An engine with its doubles, and the questions that tests ask of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::double::Double;
use super::sketch::{Sketch, key};
use crate::backend::fake::{Call, Fake, Script, Step};
use crate::clock::Clock;
use crate::engine::{Engine, EngineEvent, EngineParts, EventSink, InstanceEvent, Keep};
use crate::error::{CleanroomError, Result};
use crate::lifecycle::{LifecycleState, ResourceTracker};
use crate::plan::{Plan, PlannedLease, PlannedTest};
use crate::run::Run;
use crate::service::{OwnerId, ServiceHandle, TestId};
use crate::session::Leases;

/// An engine with its doubles.
pub(super) struct Stage {
    pub(super) engine: Engine,
    pub(super) fake: Fake,
    pub(super) hooks: Double,
    pub(super) script: Script,
    pub(super) clock: Clock,
    events: Arc<Mutex<Vec<EngineEvent>>>,
    begin: Instant,
    _temp: TempDir,
}

impl Stage {
    /// An engine that knows these services.
    pub(super) fn new(services: impl IntoIterator<Item = Sketch>) -> Self {
        Self::limited(services, ResourceTracker::default())
    }

    pub(super) fn limited(
        services: impl IntoIterator<Item = Sketch>,
        tracker: ResourceTracker,
    ) -> Self {
        let temp = tempfile::tempdir_in("/tmp").unwrap();
        let script = Script::default();
        let fake = Fake::new(script.clone());
        let hooks = Double::new(script.clone());
        let events = Arc::<Mutex<Vec<_>>>::default();
        let heard = Arc::clone(&events);
        let clock = Clock::default();
        let engine = Engine::new(EngineParts {
            run: Arc::new(Run::begin_in(temp.path()).unwrap()),
            backends: vec![Arc::new(fake.clone())],
            hooks: Arc::new(hooks.clone()),
            events: EventSink::new(move |event| heard.lock().unwrap().push(event)),
            tracker,
            clock: clock.clone(),
        });
        let instances = services.into_iter().map(|it| (it.0.key.clone(), it.0));
        engine.extend(Plan {
            instances: instances.collect(),
            tests: Vec::new(),
        });
        Self {
            engine,
            fake,
            hooks,
            script,
            clock,
            events,
            begin: Instant::now(),
            _temp: temp,
        }
    }

    /// Leases for the first attempt of a test.
    pub(super) async fn acquire(
        &self,
        test: &str,
        leases: impl IntoIterator<Item = PlannedLease>,
    ) -> Result<Leases> {
        self.engine.acquire(&planned(test, leases), 1).await
    }

    /// The same in a task of its own.
    pub(super) fn acquiring(
        &self,
        test: &str,
        leases: impl IntoIterator<Item = PlannedLease>,
    ) -> tokio::task::JoinHandle<Result<Leases>> {
        let (engine, planned) = (self.engine.clone(), planned(test, leases));
        tokio::spawn(async move { engine.acquire(&planned, 1).await })
    }

    /// Leases one service and gives its handle.
    pub(super) async fn handle(&self, test: &str, lease: PlannedLease) -> ServiceHandle {
        let name = lease.name.clone();
        let leases = self.acquire(test, [lease]).await.unwrap();
        handle(&leases, &name)
    }

    /// Ends a test that passed; nothing may go wrong.
    pub(super) async fn release(&self, test: &str) {
        let errors = self.engine.release(&owner(test), Keep::Nothing).await;
        assert!(errors.is_empty(), "{errors:?}");
    }

    /// Ends the run; nothing may go wrong, and nothing may be left.
    pub(super) async fn shutdown(&self) {
        let errors = self.engine.shutdown(false).await;
        assert!(errors.is_empty(), "{errors:?}");
        self.is_empty();
    }

    /// Nothing is there, and nothing is counted.
    #[track_caller]
    pub(super) fn is_empty(&self) {
        let none = Vec::<String>::new();
        assert_eq!(self.engine.tracker().list(), none);
        assert_eq!(self.fake.left(), none);
        assert_eq!(self.hooks.started(), []);
        assert_eq!(self.slices(), none);
    }

    /// The slices that are there: those of an instance go with it.
    pub(super) fn slices(&self) -> Vec<String> {
        let left = self.fake.left().join("\n");
        let there = |instance: &str| instance.contains(':') || left.contains(instance);
        let slices = self.hooks.slices().into_iter();
        let slices = slices.filter(|(instance, _)| there(instance.as_str()));
        slices.map(|(_, name)| name).collect()
    }

    pub(super) fn fails(&self, step: Step, service: &str) {
        self.fails_times(step, service, usize::MAX);
    }

    pub(super) fn fails_times(&self, step: Step, service: &str, times: usize) {
        let error = CleanroomError::container_error(format!("{step:?} fails")).transient();
        self.script.fails(step, service, times, error);
    }

    pub(super) fn takes(&self, step: Step, service: &str, seconds: u64) {
        self.script
            .takes(step, service, Duration::from_secs(seconds));
    }

    /// The only call of `step` for `service`.
    #[track_caller]
    pub(super) fn call(&self, step: Step, service: &str) -> Call {
        let calls = self.calls(step, service);
        assert_eq!(calls.len(), 1, "{step:?} {service}");
        calls[0].clone()
    }

    pub(super) fn calls(&self, step: Step, service: &str) -> Vec<Call> {
        let mut calls = self.script.of(step);
        calls.retain(|call| call.service == service);
        calls
    }

    /// Seconds since the stage was set.
    pub(super) fn now(&self) -> u64 {
        self.begin.elapsed().as_secs()
    }

    pub(super) fn events(&self) -> Vec<EngineEvent> {
        self.events.lock().unwrap().clone()
    }

    /// The states that instances of `service` went through.
    pub(super) fn states(&self, service: &str) -> Vec<LifecycleState> {
        let events = self.instance_events(service).into_iter();
        events.map(|event| event.state).collect()
    }

    pub(super) fn instance_events(&self, service: &str) -> Vec<InstanceEvent> {
        let events = self.events().into_iter().filter_map(|event| match event {
            EngineEvent::Instance(event) => Some(event),
            EngineEvent::Lease(_) | EngineEvent::Leak(_) => None,
        });
        events.filter(|event| event.name == service).collect()
    }
}

pub(super) fn planned(test: &str, leases: impl IntoIterator<Item = PlannedLease>) -> PlannedTest {
    PlannedTest {
        test: id(test),
        leases: leases.into_iter().collect(),
        error: None,
    }
}

pub(super) fn owner(test: &str) -> OwnerId {
    OwnerId::Test {
        test: id(test),
        attempt: 1,
    }
}

fn id(test: &str) -> TestId {
    TestId {
        binary: "it".to_owned(),
        name: test.to_owned(),
    }
}

#[track_caller]
pub(super) fn handle(leases: &Leases, name: &str) -> ServiceHandle {
    let handle = leases.get(name).unwrap().unwrap().handle;
    assert_eq!((handle.name(), handle.key()), (name, &key(name)));
    handle
}

/// When a call ended.
#[track_caller]
pub(super) fn end(call: &Call) -> Duration {
    call.ended.unwrap().0
}
