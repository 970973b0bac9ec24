//! Where every event of a run goes, from whatever task it comes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use clnrm_runtime::engine::{EngineEvent, InstanceEvent, LeakEvent, LeaseEvent, LeaseState};
use clnrm_runtime::lifecycle::LifecycleState;
use clnrm_runtime::plan::LeaseMode;
use clnrm_runtime::service::{InstanceKey, OwnerId, RunId};
use clnrm_runtime::{CleanroomError, Result};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::report::event::{
    Counts, Envelope, InstanceDurations, InstanceState, Leaked, Lease, Level, ResourceKind,
    RunEvent, ServiceChange, Tally, TestId,
};
use crate::report::{ReportError, Reporter};

/// How long the reporter may take to write what a person should read now.
const MOMENT: Duration = Duration::from_millis(500);

/// Stamps events and hands them to the reporter, one at a time.
///
/// The reporter has a thread of its own: a terminal or a pipe that nobody
/// reads must not hold the run, nor the signals that would end it.
pub(super) struct Teller {
    begun: Instant,
    inside: Mutex<Inside>,
    reporter: mpsc::Sender<Letter>,
}

/// What the reporter is handed.
enum Letter {
    Event(Box<Envelope>),
    /// To answer once everything before it is written.
    Settle(oneshot::Sender<()>),
    /// To write what is written at the end.
    Finish(oneshot::Sender<Vec<ReportError>>),
}

struct Inside {
    run: String,
    tally: Tally,
    /// How long the images of instances took to pull, by the instances' keys.
    pulls: BTreeMap<String, Duration>,
}

impl Teller {
    /// Hands everything to `reporter`.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn new(begun: Instant, reporter: Reporter) -> Result<Self> {
        let inside = Inside {
            run: String::new(),
            tally: Tally::default(),
            pulls: BTreeMap::new(),
        };
        let (send, receive) = mpsc::channel();
        std::thread::Builder::new()
            .name("report".to_owned())
            .spawn(move || write(reporter, &receive))
            .map_err(|error| {
                CleanroomError::internal_error("cannot start the reporter").with_source(error)
            })?;
        Ok(Self {
            begun,
            inside: Mutex::new(inside),
            reporter: send,
        })
    }

    /// Says which run it is.
    pub(super) fn begin(&self, run: &RunId) {
        self.inside().run = run.to_string();
    }

    /// Tells of an event.
    pub(super) fn tell(&self, event: RunEvent) {
        let mut inside = self.inside();
        inside.tally.observe(&event);
        let envelope = Envelope::new(&inside.run, self.begun.elapsed(), event);
        self.hand(Letter::Event(Box::new(envelope)));
    }

    /// Waits until a person can have read everything, if that takes a moment.
    pub(super) async fn settle(&self) {
        let (send, receive) = oneshot::channel();
        self.hand(Letter::Settle(send));
        // Where nobody reads there is nothing to wait for.
        let _ = timeout(MOMENT, receive).await;
    }

    fn hand(&self, letter: Letter) {
        // The reporter is gone when the reports are written: it was told to go.
        let _ = self.reporter.send(letter);
    }

    /// Says how long the image of a planned instance took to pull.
    pub(super) fn pulled(&self, key: &InstanceKey, took: Duration) {
        self.inside().pulls.insert(key.to_string(), took);
    }

    /// Tells a person something that is no event of a test or service.
    pub(super) fn notice(&self, level: Level, text: impl Into<String>) {
        self.tell(RunEvent::Notice {
            level,
            text: text.into(),
        });
    }

    /// Tells what the engine said.
    pub(super) fn engine(&self, event: EngineEvent) {
        let event = match event {
            EngineEvent::Instance(event) => service_change(event).map(|mut change| {
                change.durations.pull = self.inside().pulls.get(&change.key).copied();
                RunEvent::ServiceState(change)
            }),
            EngineEvent::Lease(event) => Some(lease(event)),
            EngineEvent::Leak(event) => Some(RunEvent::Leak(leaked(&event))),
            _ => None,
        };
        if let Some(event) = event {
            self.tell(event);
        }
    }

    /// The counts so far.
    pub(super) fn counts(&self) -> Counts {
        self.inside().tally.counts()
    }

    /// How long the command has run.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Writes the reports that are written at the end.
    pub(super) async fn finish(&self) -> Vec<ReportError> {
        let (send, receive) = oneshot::channel();
        self.hand(Letter::Finish(send));
        let written = receive.await;
        written.unwrap_or_else(|_| vec![ReportError::Lost])
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller")
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}

/// What the thread of the reporter does.
fn write(mut reporter: Reporter, letters: &mpsc::Receiver<Letter>) {
    while let Ok(letter) = letters.recv() {
        match letter {
            Letter::Event(envelope) => reporter.emit(&envelope),
            // Whoever asked may have stopped waiting.
            Letter::Settle(done) => drop(done.send(())),
            Letter::Finish(done) => {
                let errors = reporter.finish().err().unwrap_or_default();
                let _ = done.send(errors);
                return;
            }
        }
    }
}

fn service_change(event: InstanceEvent) -> Option<ServiceChange> {
    let state = match event.state {
        LifecycleState::Starting => InstanceState::Starting,
        LifecycleState::Running => InstanceState::Ready,
        LifecycleState::Stopped => InstanceState::Stopped,
        LifecycleState::Failed => InstanceState::Failed,
        LifecycleState::Initialized | LifecycleState::Stopping => return None,
    };
    let known = |duration: Duration| (!duration.is_zero()).then_some(duration);
    Some(ServiceChange {
        service: event.name,
        key: event.key.to_string(),
        // The backend's name for it is known only once there is one; an owner has one of a key.
        instance: event.owner.to_string(),
        state,
        durations: InstanceDurations {
            pull: None,
            create: known(event.phases.create),
            ready: known(event.phases.ready),
            stop: known(event.phases.stop),
        },
        users: None,
        error: event.error,
    })
}

fn lease(event: LeaseEvent) -> RunEvent {
    let (slice, kept) = match &event.state {
        LeaseState::Granted(slice) => (slice.clone(), None),
        LeaseState::Ended => (None, Some(false)),
        LeaseState::Kept => (None, Some(true)),
    };
    let lease = Lease {
        service: event.name,
        key: event.key.to_string(),
        instance: match event.mode {
            LeaseMode::Own => event.owner.to_string(),
            LeaseMode::Shared | LeaseMode::Slice => OwnerId::Run.to_string(),
        },
        slice,
        test: test_of(&event.owner),
    };
    match kept {
        None => RunEvent::LeaseGranted {
            lease,
            waited: event.took,
        },
        Some(kept) => RunEvent::LeaseEnded { lease, kept },
    }
}

fn leaked(event: &LeakEvent) -> Leaked {
    let kind = match event.what.split(' ').next() {
        Some("container") => ResourceKind::Container,
        Some("network") => ResourceKind::Network,
        Some("volume") => ResourceKind::Volume,
        _ => ResourceKind::Process,
    };
    let said = event.what.strip_prefix(kind.name()).unwrap_or(&event.what);
    let said = said.trim_start();
    let (id, service) = match said
        .strip_suffix(')')
        .and_then(|said| said.rsplit_once(" ("))
    {
        Some((id, service)) if kind != ResourceKind::Process => (id, Some(service.to_owned())),
        _ => (said, None),
    };
    Leaked {
        kind,
        id: id.to_owned(),
        service,
        test: None,
        removed: true,
    }
}

/// The owner as reports name it; the run has no name there.
fn test_of(owner: &OwnerId) -> Option<TestId> {
    let OwnerId::Test { test, .. } = owner else {
        return None;
    };
    Some(test_id(test))
}

pub(super) fn test_id(test: &clnrm_runtime::service::TestId) -> TestId {
    let package = test
        .binary
        .split("::")
        .next()
        .unwrap_or_default()
        .to_owned();
    TestId {
        package,
        binary_id: test.binary.clone(),
        name: test.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use clnrm_runtime::backend::BackendKind;
    use clnrm_runtime::engine::Phases;
    use clnrm_runtime::service::InstanceId;

    use super::*;

    fn instance(id: Option<&str>, state: LifecycleState) -> InstanceEvent {
        InstanceEvent {
            key: InstanceKey::new("key"),
            name: "db".to_owned(),
            owner: OwnerId::Run,
            backend: BackendKind::Process,
            instance: id.map(InstanceId::new),
            state,
            phases: Phases::default(),
            error: None,
        }
    }

    #[tokio::test]
    async fn reports_that_nobody_writes_any_more_are_told() {
        let (send, receive) = mpsc::channel();
        drop(receive);
        let inside = Inside {
            run: String::new(),
            tally: Tally::default(),
            pulls: BTreeMap::new(),
        };
        let teller = Teller {
            begun: Instant::now(),
            inside: Mutex::new(inside),
            reporter: send,
        };
        let errors = teller.finish().await;
        assert!(matches!(errors[..], [ReportError::Lost]), "{errors:?}");
    }

    #[test]
    fn an_instance_is_one_from_its_start_to_its_end() {
        let starting = service_change(instance(None, LifecycleState::Starting)).unwrap();
        let running = service_change(instance(Some("db-1"), LifecycleState::Running)).unwrap();
        assert_eq!(starting.instance, running.instance);
        let leased = lease(LeaseEvent {
            key: InstanceKey::new("key"),
            name: "db".to_owned(),
            owner: OwnerId::Run,
            mode: LeaseMode::Slice,
            state: LeaseState::Ended,
            took: Duration::ZERO,
        });
        let RunEvent::LeaseEnded { lease, .. } = leased else {
            panic!("{leased:?}");
        };
        assert_eq!(lease.instance, running.instance);
    }

    #[test]
    fn what_leaked_is_told_by_kind_name_and_service() {
        let check = |what: &str, kind, id: &str, service: Option<&str>| {
            let leaked = leaked(&LeakEvent {
                backend: BackendKind::Docker,
                what: what.to_owned(),
            });
            let told = (leaked.kind, leaked.id.as_str(), leaked.service.as_deref());
            assert_eq!(told, (kind, id, service));
        };
        let process = "process instance `db-1` (pid 7) in `/tmp/clnrm-a`";
        check(
            "container c-1 (db)",
            ResourceKind::Container,
            "c-1",
            Some("db"),
        );
        check("network n-1", ResourceKind::Network, "n-1", None);
        check(
            process,
            ResourceKind::Process,
            "instance `db-1` (pid 7) in `/tmp/clnrm-a`",
            None,
        );
    }
}
