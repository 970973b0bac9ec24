//! Where the time of a run went, computed from its events.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{
    Attempt, Envelope, InstanceDurations, InstanceState, Lease, Phases, RunEvent, ServiceChange,
    TestId, millis,
};
use super::style::spoken;

#[cfg(test)]
mod tests;
mod text;

pub use text::text;

/// Where the time of a run went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// When the build ended, since the command's start; nothing where there was none.
    #[serde(
        rename = "build_ms",
        default,
        skip_serializing_if = "Option::is_none",
        with = "millis::optional"
    )]
    pub build: Option<Duration>,
    /// The services, in the order of their names.
    pub services: Vec<ServiceTiming>,
    /// The tests that ended, the slowest first; their wait for services does not count. They are not written out again: `test_finished` has said it all.
    #[serde(skip)]
    pub tests: Vec<TestTiming>,
    /// What the run waited for, in one sentence without its full stop.
    pub critical_path: String,
}

/// The time of one service: of its instance or, where tests have their own, of the slowest in each part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceTiming {
    /// Name of the service.
    pub service: String,
    /// Key of its instances.
    pub key: String,
    /// Where they ran.
    pub backend: String,
    /// How many instances there were.
    pub instances: usize,
    /// How long pull, creation, getting ready and stop took.
    #[serde(flatten)]
    pub durations: InstanceDurations,
    /// Creation and getting ready together.
    #[serde(rename = "start_ms", with = "millis")]
    pub start: Duration,
    /// When the first instance was ready, since the command's start.
    #[serde(
        rename = "ready_at_ms",
        default,
        skip_serializing_if = "Option::is_none",
        with = "millis::optional"
    )]
    pub ready_at: Option<Duration>,
    /// How many tests used it.
    pub tests: usize,
    /// How long tests held a lease of it, added up.
    #[serde(rename = "test_ms", with = "millis")]
    pub in_use: Duration,
    /// How many tests noticeably waited for it.
    pub waiting_tests: usize,
    /// How long they did, added up.
    #[serde(rename = "waited_ms", with = "millis")]
    pub waited: Duration,
}

/// The time of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestTiming {
    /// The test.
    pub test: TestId,
    /// Its parts; of a test with several attempts, those of all.
    pub phases: Phases,
}

/// A test that waited for less did not wait: it got its slice.
const NOTICEABLE: Duration = Duration::from_millis(20);

/// Gathers the events that say where time goes.
#[derive(Debug, Default)]
pub struct Stopwatch {
    build: Option<Duration>,
    services: BTreeMap<String, Service>,
    tests: BTreeMap<TestId, Phases>,
    /// Since when tests hold what, by test, planned instance and owner.
    leases: BTreeMap<(TestId, String, String), Duration>,
}

#[derive(Debug, Default)]
struct Service {
    timing: ServiceTiming,
    instances: BTreeSet<String>,
    users: BTreeSet<TestId>,
    waiting: BTreeSet<TestId>,
}

impl Timing {
    /// The timing of a whole list of events.
    #[must_use]
    pub fn of(events: &[Envelope]) -> Self {
        let mut stopwatch = Stopwatch::default();
        for event in events {
            stopwatch.observe(event);
        }
        stopwatch.timing()
    }
}

impl Stopwatch {
    /// Takes note of an event.
    pub fn observe(&mut self, envelope: &Envelope) {
        let at = envelope.at;
        match &envelope.event {
            RunEvent::BuildFinished { .. } => self.build = Some(at),
            RunEvent::ServicePlanned(planned) => {
                let service = self.service(&planned.key, &planned.service);
                service.timing.backend.clone_from(&planned.backend);
            }
            RunEvent::ServiceState(change) => {
                self.service(&change.key, &change.service)
                    .changed(change, at);
            }
            RunEvent::LeaseGranted { lease, waited } => self.granted(lease, *waited, at),
            RunEvent::LeaseEnded { lease, .. } => self.ended(lease, at),
            RunEvent::TestAttempt(attempt) | RunEvent::TestFinished(attempt) => {
                self.attempted(attempt, at);
            }
            _ => {}
        }
    }

    fn service(&mut self, key: &str, name: &str) -> &mut Service {
        let service = self.services.entry(key.to_owned()).or_default();
        name.clone_into(&mut service.timing.service);
        service
    }

    fn granted(&mut self, lease: &Lease, waited: Duration, at: Duration) {
        let Some(test) = &lease.test else { return };
        let service = self.service(&lease.key, &lease.service);
        service.users.insert(test.clone());
        service.timing.waited += waited;
        if waited >= NOTICEABLE {
            service.waiting.insert(test.clone());
        }
        let held = (test.clone(), lease.key.clone(), lease.instance.clone());
        self.leases.insert(held, at);
    }

    fn ended(&mut self, lease: &Lease, at: Duration) {
        let Some(test) = &lease.test else { return };
        let held = (test.clone(), lease.key.clone(), lease.instance.clone());
        if let Some(since) = self.leases.remove(&held) {
            let held = at.saturating_sub(since);
            self.service(&lease.key, &lease.service).timing.in_use += held;
        }
    }

    /// What the attempt holds of its own or shares ends with it, whatever is told of that later.
    fn attempted(&mut self, attempt: &Attempt, at: Duration) {
        let is_its = |held: &(TestId, String, String)| held.0 == attempt.test;
        for ((_, key, _), since) in self.leases.extract_if(.., |held, _| is_its(held)) {
            if let Some(service) = self.services.get_mut(&key) {
                service.timing.in_use += at.saturating_sub(since);
            }
        }
        let phases = self.tests.entry(attempt.test.clone()).or_default();
        phases.wait += attempt.phases.wait;
        phases.setup += attempt.phases.setup;
        phases.body += attempt.phases.body;
        phases.teardown += attempt.phases.teardown;
    }

    /// What the events so far amount to.
    #[must_use]
    pub fn timing(&self) -> Timing {
        let mut services: Vec<_> = self
            .services
            .iter()
            .map(|(key, service)| service.timing(key))
            .collect();
        services.sort_by(|a, b| (&a.service, &a.key).cmp(&(&b.service, &b.key)));
        let mut tests: Vec<_> = self
            .tests
            .iter()
            .map(|(test, phases)| TestTiming {
                test: test.clone(),
                phases: *phases,
            })
            .collect();
        tests.sort_by_key(|test| Reverse(test.phases.active()));
        Timing {
            build: self.build,
            critical_path: critical_path(self.build, &services, &tests),
            services,
            tests,
        }
    }
}

impl Service {
    fn changed(&mut self, change: &ServiceChange, at: Duration) {
        // One that starts has no name of its own yet.
        if change.state != InstanceState::Starting {
            self.instances.insert(change.instance.clone());
        }
        let (longest, now) = (&mut self.timing.durations, &change.durations);
        longest.pull = longest.pull.max(now.pull);
        longest.create = longest.create.max(now.create);
        longest.ready = longest.ready.max(now.ready);
        longest.stop = longest.stop.max(now.stop);
        if change.state == InstanceState::Ready {
            self.timing.ready_at.get_or_insert(at);
        }
    }

    fn timing(&self, key: &str) -> ServiceTiming {
        let durations = self.timing.durations;
        ServiceTiming {
            key: key.to_owned(),
            instances: self.instances.len(),
            start: durations.create.unwrap_or_default() + durations.ready.unwrap_or_default(),
            tests: self.users.len(),
            waiting_tests: self.waiting.len(),
            ..self.timing.clone()
        }
    }
}

/// The sentence that says what to make faster. A service that all wait for is worth more than one that each test waits
/// for in turn, and that more than the slowest test.
fn critical_path(
    build: Option<Duration>,
    services: &[ServiceTiming],
    tests: &[TestTiming],
) -> String {
    let origin = build.unwrap_or_default();
    let waited_for = || services.iter().filter(|service| service.waiting_tests > 0);
    let late = waited_for()
        .filter(|service| service.instances == 1)
        .filter_map(|service| Some((service.ready_at?.checked_sub(origin)?, service)))
        .max_by_key(|(late, _)| *late);
    if let Some((late, service)) = late {
        let since = if build.is_some() {
            "the build ended"
        } else {
            "the start"
        };
        let (name, late, tests) = (&service.service, spoken(late), some_tests(service));
        return format!("{name} became ready {late} after {since}; {tests} waited for it");
    }
    if let Some(service) = waited_for().max_by_key(|service| service.waited) {
        let (name, waited, tests) = (
            &service.service,
            spoken(service.waited),
            some_tests(service),
        );
        return format!("{tests} waited for {name}, {waited} in all");
    }
    match tests.first() {
        Some(TestTiming { test, phases }) => format!(
            "no test waited for a service; the slowest, {} {}, took {}",
            test.binary_id,
            test.name,
            spoken(phases.active()),
        ),
        None => "no test ran".to_owned(),
    }
}

fn some_tests(service: &ServiceTiming) -> String {
    match service.waiting_tests {
        1 => "1 test".to_owned(),
        number => format!("{number} tests"),
    }
}
