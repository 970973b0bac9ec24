//! The timing of made-up runs.

use anstream::adapter::strip_str;

use super::*;
use crate::report::event::{Scope, Status};
use crate::report::sample::{self, at, attempt, lease, ms, planned, ready};

fn built(millis: u64) -> Envelope {
    at(
        millis,
        RunEvent::BuildFinished {
            success: true,
            elapsed: ms(millis),
        },
    )
}

fn granted(millis: u64, service: &str, instance: &str, name: &str, waited: u64) -> Envelope {
    at(
        millis,
        RunEvent::LeaseGranted {
            lease: lease(service, instance, name),
            waited: ms(waited),
        },
    )
}

fn ended(millis: u64, service: &str, instance: &str, name: &str) -> Envelope {
    at(
        millis,
        RunEvent::LeaseEnded {
            lease: lease(service, instance, name),
            kept: false,
        },
    )
}

#[test]
fn the_report_of_a_run() {
    let timing = Timing::of(&sample::run());
    insta::assert_snapshot!(strip_str(&text(&timing, 3)).to_string(), @"
    ────────────
          Timing the build ended after 1.0 s
        service                            pull    create     ready      stop  tests
        mail (process)                        -    0.030s         -         -      0
        postgres (process)                    -    0.210s    1.480s    0.031s      3
        redis (process), longest of 2         -    0.003s    0.011s         -      0
        slowest tests                      wait     setup      body  teardown
        shop::it carts::flaky            0.010s    0.040s    0.158s    0.002s
        shop::it carts::never            0.010s    0.040s    0.158s    0.002s
        shop::it carts::exits            0.005s    0.020s    0.079s    0.001s
        critical path: postgres became ready 1.7 s after the build ended; 2 tests waited for it
    ");
}

#[test]
fn where_nothing_ran_there_is_no_report() {
    assert_eq!(text(&Timing::of(&[]), 3), "");
}

#[test]
fn without_a_build_the_report_names_none() {
    let timing = Timing::of(&[at(10, sample::finished("a", Status::Pass))]);
    insta::assert_snapshot!(strip_str(&text(&timing, 0)).to_string(), @"
    ────────────
          Timing
        critical path: no test waited for a service; the slowest, shop::it a, took 100 ms
    ");
}

#[test]
fn a_wait_for_services_does_not_make_a_test_slow() {
    let mut waited = attempt("waited", Status::Pass);
    waited.phases.wait = ms(5_000);
    let mut slow = attempt("slow", Status::Pass);
    slow.phases.body = ms(200);
    let timing = Timing::of(&[
        at(1, RunEvent::TestFinished(waited)),
        at(2, RunEvent::TestFinished(slow)),
    ]);
    let names: Vec<_> = timing
        .tests
        .iter()
        .map(|test| test.test.name.as_str())
        .collect();
    assert_eq!(names, ["slow", "waited"]);
}

#[test]
fn a_service_that_all_waited_for_is_the_critical_path() {
    let timing = Timing::of(&[
        built(1_000),
        at(2_700, ready("postgres", "postgres-1", 200, 1_500)),
        at(1_200, ready("redis", "redis-1", 2, 11)),
        granted(2_700, "postgres", "postgres-1", "a", 1_700),
        granted(2_700, "postgres", "postgres-1", "b", 1_650),
        granted(1_200, "redis", "redis-1", "a", 200),
    ]);
    assert_eq!(
        timing.critical_path,
        "postgres became ready 1.7 s after the build ended; 2 tests waited for it"
    );
}

#[test]
fn without_a_build_a_wait_counts_from_the_start() {
    let timing = Timing::of(&[
        at(700, ready("postgres", "postgres-1", 200, 500)),
        granted(700, "postgres", "postgres-1", "a", 700),
    ]);
    assert_eq!(
        timing.critical_path,
        "postgres became ready 700 ms after the start; 1 test waited for it"
    );
}

#[test]
fn waits_for_instances_of_their_own_are_added_up() {
    let timing = Timing::of(&[
        built(1_000),
        at(1_100, ready("redis", "redis-1", 2, 98)),
        at(1_200, ready("redis", "redis-2", 2, 98)),
        granted(1_100, "redis", "redis-1", "a", 100),
        granted(1_200, "redis", "redis-2", "b", 101),
    ]);
    assert_eq!(
        timing.critical_path,
        "2 tests waited for redis, 201 ms in all"
    );
}

#[test]
fn a_service_that_was_ready_in_the_build_did_not_hold_up_the_run() {
    let timing = Timing::of(&[
        built(1_000),
        at(900, ready("postgres", "postgres-1", 200, 500)),
        // Its slice took that long.
        granted(1_030, "postgres", "postgres-1", "a", 30),
    ]);
    assert_eq!(
        timing.critical_path,
        "1 test waited for postgres, 30 ms in all"
    );
}

#[test]
fn where_no_test_waited_the_slowest_is_the_critical_path() {
    let mut long = attempt("long", Status::Pass);
    long.phases.body = ms(61_000);
    let timing = Timing::of(&[
        built(1_000),
        // It was ready while the build went on, which is what the whole design is for.
        at(900, ready("postgres", "postgres-1", 200, 500)),
        granted(1_001, "postgres", "postgres-1", "a", 3),
        at(2_000, sample::finished("short", Status::Pass)),
        at(2_000, RunEvent::TestFinished(long)),
    ]);
    assert_eq!(
        timing.critical_path,
        "no test waited for a service; the slowest, shop::it long, took 1 min 1 s"
    );
}

#[test]
fn a_service_counts_its_tests_once_and_its_leases_all() {
    let timing = Timing::of(&[
        at(0, planned("postgres", Scope::Run)),
        granted(100, "postgres", "postgres-1", "a", 0),
        ended(150, "postgres", "postgres-1", "a"),
        granted(200, "postgres", "postgres-1", "a", 0),
        granted(200, "postgres", "postgres-1", "b", 0),
        ended(230, "postgres", "postgres-1", "a"),
        ended(260, "postgres", "postgres-1", "b"),
        ended(300, "postgres", "postgres-1", "b"),
    ]);
    let [service] = timing.services.as_slice() else {
        panic!("{timing:?}")
    };
    assert_eq!((service.tests, service.in_use), (2, ms(50 + 30 + 60)));
    assert_eq!(service.backend, "process");
}

#[test]
fn of_several_instances_the_longest_counts_and_the_first_ready() {
    let timing = Timing::of(&[
        at(10, ready("redis", "redis-1", 2, 11)),
        at(20, ready("redis", "redis-2", 5, 9)),
    ]);
    let [service] = timing.services.as_slice() else {
        panic!("{timing:?}")
    };
    let expected = ServiceTiming {
        service: "redis".to_owned(),
        key: "redis-key".to_owned(),
        instances: 2,
        durations: InstanceDurations {
            create: Some(ms(5)),
            ready: Some(ms(11)),
            ..InstanceDurations::default()
        },
        start: ms(16),
        ready_at: Some(ms(10)),
        ..ServiceTiming::default()
    };
    assert_eq!(service, &expected);
}

#[test]
fn attempts_of_a_test_add_up() {
    let timing = Timing::of(&[
        at(
            0,
            RunEvent::TestAttempt(sample::first_try("a", sample::timeout())),
        ),
        at(
            0,
            RunEvent::TestFinished(sample::second_try("a", Status::Pass)),
        ),
    ]);
    let totals: Vec<_> = timing
        .tests
        .iter()
        .map(|test| test.phases.total())
        .collect();
    assert_eq!(totals, [ms(2 * 105)]);
}
