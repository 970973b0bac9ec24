//! Events for the tests of the renderers: a run in which everything happens, and the means to make others.

use std::time::Duration;

use super::event::{
    Again, Attempt, Envelope, InstanceDurations, InstanceState, Kept, Leaked, Lease, Level,
    LogLine, NotRun, Output, Part, Phases, Planned, ResourceKind, RunEvent, Scope, ServiceChange,
    ServiceUse, SetBy, Status, Stream, Tally, TestId, Until,
};

pub(super) const RUN: &str = "3c4cbe2c-9a53-4a8b-b5f6-0f9a8f0b7a61";

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn at(millis: u64, event: RunEvent) -> Envelope {
    Envelope::new(RUN, ms(millis), event)
}

pub(super) fn test(name: &str) -> TestId {
    TestId {
        package: "shop".to_owned(),
        binary_id: "shop::it".to_owned(),
        name: name.to_owned(),
    }
}

/// The only attempt at a test, of 100 ms in all but for its wait.
pub(super) fn attempt(name: &str, status: Status) -> Attempt {
    Attempt {
        test: test(name),
        attempt: 1,
        attempts: 1,
        status,
        phases: Phases {
            wait: ms(5),
            setup: ms(20),
            body: ms(79),
            teardown: ms(1),
        },
        output: Output::default(),
        services: Vec::new(),
        kept: Vec::new(),
    }
}

pub(super) fn finished(name: &str, status: Status) -> RunEvent {
    RunEvent::TestFinished(attempt(name, status))
}

pub(super) fn run_started(tests: usize) -> RunEvent {
    RunEvent::RunStarted {
        started_at: "2026-01-02T03:04:05.5+01:00".to_owned(),
        profile: "default".to_owned(),
        tests,
        binaries: 2,
        skipped: 1,
        not_run: NotRun::default(),
        again: Again {
            flags: ["-p", "shop"].map(str::to_owned).into(),
            args: Vec::new(),
        },
    }
}

pub(super) fn planned(service: &str, scope: Scope) -> RunEvent {
    RunEvent::ServicePlanned(Planned {
        service: service.to_owned(),
        key: format!("{service}-key"),
        plugin_type: service.to_owned(),
        backend: "process".to_owned(),
        reason: "no engine answers at unix:///nonexistent".to_owned(),
        scope,
        tests: 3,
    })
}

pub(super) fn changed(service: &str, instance: &str, state: InstanceState) -> ServiceChange {
    ServiceChange {
        service: service.to_owned(),
        key: format!("{service}-key"),
        instance: instance.to_owned(),
        state,
        durations: InstanceDurations::default(),
        users: None,
        error: None,
    }
}

pub(super) fn ready(service: &str, instance: &str, create: u64, ready: u64) -> RunEvent {
    RunEvent::ServiceState(ServiceChange {
        durations: InstanceDurations {
            create: Some(ms(create)),
            ready: Some(ms(ready)),
            ..InstanceDurations::default()
        },
        ..changed(service, instance, InstanceState::Ready)
    })
}

pub(super) fn lease(service: &str, instance: &str, name: &str) -> Lease {
    Lease {
        service: service.to_owned(),
        key: format!("{service}-key"),
        instance: instance.to_owned(),
        slice: Some("orders_1".to_owned()),
        test: Some(test(name)),
    }
}

pub(super) fn failed_with_everything() -> Attempt {
    Attempt {
        output: Output {
            stdout: "\nrunning 1 test\ntest orders::create ... FAILED\n".to_owned(),
            stderr: "\nthread 'orders::create' (42) panicked at tests/it.rs:7:5:\nassertion failed: stock > 0\nnote: run \
                     with `RUST_BACKTRACE=1` environment variable to display a backtrace\n"
                .to_owned(),
        },
        services: vec![
            ServiceUse {
                service: "postgres".to_owned(),
                instance: "postgres-1".to_owned(),
                log: vec![LogLine {
                    after: ms(12),
                    stream: Stream::Stderr,
                    text: "ERROR:  relation \"stock\" does not exist".to_owned(),
                }],
                unread: None,
            },
            ServiceUse {
                service: "redis".to_owned(),
                instance: "redis-4".to_owned(),
                log: Vec::new(),
                unread: Some("it takes longer than 5s".to_owned()),
            },
        ],
        kept: vec![Kept {
            service: "postgres".to_owned(),
            instance: "postgres-1".to_owned(),
            slice: Some("orders_1".to_owned()),
            connect: vec!["postgres://clnrm:***@127.0.0.1:4711/orders_1".to_owned()],
            passwords: Some("/tmp/clnrm-3c4cbe2c9a53/connect".into()),
            until: Until::Cleaned,
        }],
        ..attempt("orders::create", Status::Fail { code: 101 })
    }
}

/// A first attempt that failed, of two.
pub(super) fn first_try(name: &str, status: Status) -> Attempt {
    Attempt {
        attempts: 2,
        output: Output {
            stdout: String::new(),
            stderr: "no luck\n".to_owned(),
        },
        ..attempt(name, status)
    }
}

/// The second attempt of two.
pub(super) fn second_try(name: &str, status: Status) -> Attempt {
    Attempt {
        attempt: 2,
        ..first_try(name, status)
    }
}

/// A run in which every event and every way to end happens.
pub(super) fn run() -> Vec<Envelope> {
    let mut events = beginning();
    events.extend(tests());
    events.extend(end());
    let mut tally = Tally::default();
    for event in &events {
        tally.observe(&event.event);
    }
    events.push(at(
        6_000,
        RunEvent::RunFinished {
            counts: tally.counts(),
            exit_code: 100,
            elapsed: ms(6_000),
        },
    ));
    events
}

fn beginning() -> Vec<Envelope> {
    let image = || "redis:7".to_owned();
    let stopped = ServiceChange {
        error: Some("it ended with code 1\nlast lines of its log:\n  no config".to_owned()),
        durations: InstanceDurations {
            create: Some(ms(30)),
            ..InstanceDurations::default()
        },
        ..changed("mail", "mail-1", InstanceState::Failed)
    };
    let starting = changed("postgres", "postgres-1", InstanceState::Starting);
    vec![
        at(
            10,
            RunEvent::BuildStarted {
                command: "cargo test --no-run".to_owned(),
            },
        ),
        at(
            500,
            RunEvent::BuildProgress {
                crates: 12,
                current: "shop".to_owned(),
            },
        ),
        at(
            600,
            RunEvent::BuildMessage {
                level: Level::Warning,
                text: "warning: unused variable: `x`\n".to_owned(),
            },
        ),
        at(
            900,
            RunEvent::BinaryDiscovered {
                package: "shop".to_owned(),
                binary_id: "shop::it".to_owned(),
                kind: "test".to_owned(),
                tests: 9,
            },
        ),
        at(
            1_000,
            RunEvent::BuildFinished {
                success: true,
                elapsed: ms(990),
            },
        ),
        at(1_010, planned("postgres", Scope::Run)),
        at(1_010, planned("redis", Scope::Test)),
        at(1_010, planned("mail", Scope::Run)),
        at(1_020, run_started(9)),
        at(1_030, RunEvent::ServiceState(starting)),
        at(
            1_040,
            RunEvent::PullProgress {
                image: image(),
                bytes: 12_900_000,
                total: Some(45_000_000),
            },
        ),
        at(
            1_500,
            RunEvent::PullFinished {
                image: image(),
                elapsed: ms(460),
                error: None,
            },
        ),
        at(1_600, RunEvent::ServiceState(stopped)),
        at(2_700, ready("postgres", "postgres-1", 210, 1_480)),
        at(2_710, ready("redis", "redis-4", 2, 11)),
        at(2_720, ready("redis", "redis-5", 3, 9)),
    ]
}

fn tests() -> Vec<Envelope> {
    let waited = |name, waited| RunEvent::LeaseGranted {
        lease: lease("postgres", "postgres-1", name),
        waited: ms(waited),
    };
    let slow = |name: &str, elapsed, terminating| RunEvent::TestSlow {
        test: test(name),
        attempt: 1,
        elapsed: ms(elapsed),
        terminating,
    };
    let no_service = Status::NoService {
        service: "mail".to_owned(),
        error: "it ended with code 1".to_owned(),
    };
    vec![
        at(2_700, waited("orders::list", 1_700)),
        at(2_700, waited("orders::create", 1_690)),
        at(2_705, waited("carts::flaky", 2)),
        at(
            2_710,
            RunEvent::TestStarted {
                test: test("orders::list"),
                attempt: 1,
            },
        ),
        at(2_810, finished("orders::list", Status::Pass)),
        at(
            2_810,
            RunEvent::LeaseEnded {
                lease: lease("postgres", "postgres-1", "orders::list"),
                kept: false,
            },
        ),
        at(2_900, RunEvent::TestFinished(failed_with_everything())),
        at(
            2_900,
            RunEvent::LeaseEnded {
                lease: lease("postgres", "postgres-1", "orders::create"),
                kept: true,
            },
        ),
        at(
            2_950,
            RunEvent::TestAttempt(first_try("carts::flaky", Status::Fail { code: 101 })),
        ),
        at(
            3_100,
            RunEvent::TestFinished(second_try("carts::flaky", Status::Pass)),
        ),
        at(
            3_150,
            RunEvent::TestAttempt(first_try("carts::never", Status::Signal { signal: 6 })),
        ),
        at(
            3_200,
            RunEvent::TestFinished(second_try("carts::never", Status::Signal { signal: 11 })),
        ),
        at(3_250, slow("carts::leaks", 1_000, false)),
        at(3_300, finished("carts::leaks", Status::Leak)),
        at(3_400, slow("carts::hangs", 1_000, false)),
        at(4_400, slow("carts::hangs", 2_000, true)),
        at(4_500, finished("carts::hangs", timeout())),
        at(4_600, finished("carts::exits", Status::Unfinished)),
        at(4_600, finished("mails", no_service)),
    ]
}

pub(super) fn timeout() -> Status {
    Status::Timeout {
        part: Part::Body,
        limit: ms(1_000),
        set_by: SetBy::Config,
    }
}

fn end() -> Vec<Envelope> {
    let stopped = ServiceChange {
        durations: InstanceDurations {
            create: Some(ms(210)),
            ready: Some(ms(1_480)),
            stop: Some(ms(31)),
            ..InstanceDurations::default()
        },
        users: Some(3),
        ..changed("postgres", "postgres-1", InstanceState::Stopped)
    };
    vec![
        at(
            4_700,
            RunEvent::Cancelled {
                reason: "test failure".to_owned(),
                running: 1,
            },
        ),
        at(5_000, RunEvent::ServiceState(stopped)),
        at(
            5_500,
            RunEvent::Leak(Leaked {
                kind: ResourceKind::Container,
                id: "4f1c".to_owned(),
                service: Some("redis".to_owned()),
                test: Some(test("orders::list")),
                removed: true,
            }),
        ),
        at(
            5_600,
            RunEvent::Notice {
                level: Level::Warning,
                text: "postgres 17 stands in for 15\n`.require_version()` makes this an error"
                    .to_owned(),
            },
        ),
    ]
}
