//! The format on the wire, and the counts.

use super::*;
use crate::report::sample::{self, at, ms};

fn line(event: RunEvent) -> String {
    serde_json::to_string(&at(1_532, event)).unwrap()
}

#[track_caller]
fn reads_as(json: &str, expected: &RunEvent) {
    let read: Envelope = serde_json::from_str(json).unwrap();
    assert_eq!(&read.event, expected);
}

#[test]
fn the_lines_of_a_run_have_the_documented_form() {
    let lines: Vec<_> = sample::run()
        .iter()
        .map(|event| {
            serde_json::to_string(event)
                .unwrap()
                .replace(sample::RUN, "…")
        })
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"version":1,"run":"…","at_ms":10,"event":"build_started","command":"cargo test --no-run"}
    {"version":1,"run":"…","at_ms":500,"event":"build_progress","crates":12,"current":"shop"}
    {"version":1,"run":"…","at_ms":600,"event":"build_message","level":"warning","text":"warning: unused variable: `x`\n"}
    {"version":1,"run":"…","at_ms":900,"event":"binary_discovered","package":"shop","binary_id":"shop::it","kind":"test","tests":9}
    {"version":1,"run":"…","at_ms":1000,"event":"build_finished","success":true,"elapsed_ms":990}
    {"version":1,"run":"…","at_ms":1010,"event":"service_planned","service":"postgres","key":"postgres-key","type":"postgres","backend":"process","reason":"no engine answers at unix:///nonexistent","scope":"run","tests":3}
    {"version":1,"run":"…","at_ms":1010,"event":"service_planned","service":"redis","key":"redis-key","type":"redis","backend":"process","reason":"no engine answers at unix:///nonexistent","scope":"test","tests":3}
    {"version":1,"run":"…","at_ms":1010,"event":"service_planned","service":"mail","key":"mail-key","type":"mail","backend":"process","reason":"no engine answers at unix:///nonexistent","scope":"run","tests":3}
    {"version":1,"run":"…","at_ms":1020,"event":"run_started","started_at":"2026-01-02T03:04:05.5+01:00","profile":"default","tests":9,"binaries":2,"skipped":1,"not_run":{"plain_tests":0,"harnessless":0,"doctests":0},"again":{"flags":["-p","shop"]}}
    {"version":1,"run":"…","at_ms":1030,"event":"service_state","service":"postgres","key":"postgres-key","instance":"postgres-1","state":"starting"}
    {"version":1,"run":"…","at_ms":1040,"event":"pull_progress","image":"redis:7","bytes":12900000,"total":45000000}
    {"version":1,"run":"…","at_ms":1500,"event":"pull_finished","image":"redis:7","elapsed_ms":460}
    {"version":1,"run":"…","at_ms":1600,"event":"service_state","service":"mail","key":"mail-key","instance":"mail-1","state":"failed","create_ms":30,"error":"it ended with code 1\nlast lines of its log:\n  no config"}
    {"version":1,"run":"…","at_ms":2700,"event":"service_state","service":"postgres","key":"postgres-key","instance":"postgres-1","state":"ready","create_ms":210,"ready_ms":1480}
    {"version":1,"run":"…","at_ms":2710,"event":"service_state","service":"redis","key":"redis-key","instance":"redis-4","state":"ready","create_ms":2,"ready_ms":11}
    {"version":1,"run":"…","at_ms":2720,"event":"service_state","service":"redis","key":"redis-key","instance":"redis-5","state":"ready","create_ms":3,"ready_ms":9}
    {"version":1,"run":"…","at_ms":2700,"event":"lease_granted","service":"postgres","key":"postgres-key","instance":"postgres-1","slice":"orders_1","test":{"package":"shop","binary_id":"shop::it","name":"orders::list"},"waited_ms":1700}
    {"version":1,"run":"…","at_ms":2700,"event":"lease_granted","service":"postgres","key":"postgres-key","instance":"postgres-1","slice":"orders_1","test":{"package":"shop","binary_id":"shop::it","name":"orders::create"},"waited_ms":1690}
    {"version":1,"run":"…","at_ms":2705,"event":"lease_granted","service":"postgres","key":"postgres-key","instance":"postgres-1","slice":"orders_1","test":{"package":"shop","binary_id":"shop::it","name":"carts::flaky"},"waited_ms":2}
    {"version":1,"run":"…","at_ms":2710,"event":"test_started","package":"shop","binary_id":"shop::it","name":"orders::list","attempt":1}
    {"version":1,"run":"…","at_ms":2810,"event":"test_finished","package":"shop","binary_id":"shop::it","name":"orders::list","attempt":1,"attempts":1,"status":"pass","wait_ms":5,"setup_ms":20,"body_ms":79,"teardown_ms":1,"output":{"stdout":"","stderr":""},"services":[],"kept":[]}
    {"version":1,"run":"…","at_ms":2810,"event":"lease_ended","service":"postgres","key":"postgres-key","instance":"postgres-1","slice":"orders_1","test":{"package":"shop","binary_id":"shop::it","name":"orders::list"},"kept":false}
    {"version":1,"run":"…","at_ms":2900,"event":"test_finished","package":"shop","binary_id":"shop::it","name":"orders::create","attempt":1,"attempts":1,"status":"fail","code":101,"wait_ms":5,"setup_ms":20,"body_ms":79,"teardown_ms":1,"output":{"stdout":"\nrunning 1 test\ntest orders::create ... FAILED\n","stderr":"\nthread 'orders::create' (42) panicked at tests/it.rs:7:5:\nassertion failed: stock > 0\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n"},"services":[{"service":"postgres","instance":"postgres-1","log":[{"after_ms":12,"stream":"stderr","text":"ERROR:  relation \"stock\" does not exist"}]},{"service":"redis","instance":"redis-4","log":[],"unread":"it takes longer than 5s"}],"kept":[{"service":"postgres","instance":"postgres-1","slice":"orders_1","connect":["postgres://clnrm:***@127.0.0.1:4711/orders_1"],"passwords":"/tmp/clnrm-3c4cbe2c9a53/connect","until":"cleaned"}]}
    {"version":1,"run":"…","at_ms":2900,"event":"lease_ended","service":"postgres","key":"postgres-key","instance":"postgres-1","slice":"orders_1","test":{"package":"shop","binary_id":"shop::it","name":"orders::create"},"kept":true}
    {"version":1,"run":"…","at_ms":2950,"event":"test_attempt","package":"shop","binary_id":"shop::it","name":"carts::flaky","attempt":1,"attempts":2,"status":"fail","code":101,"wait_ms":5,"setup_ms":20,"body_ms":79,"teardown_ms":1,"output":{"stdout":"","stderr":"no luck\n"},"services":[],"kept":[]}
    {"version":1,"run":"…","at_ms":3100,"event":"test_finished","package":"shop","binary_id":"shop::it","name":"carts::flaky","attempt":2,"attempts":2,"status":"pass","wait_ms":5,"setup_ms":20,"body_ms":79,"teardown_ms":1,"output":{"stdout":"","stderr":"no luck\n"},"services":[],"kept":[]}
    {"version":1,"run":"…","at_ms":3150,"event":"test_attempt","package":"shop","binary_id":"shop::it","name":"carts::never","attempt":1,"attempts":2,"status":"signal","signal":6,"wait_ms":5,"setup_ms":20,"body_ms":79,"teardown_ms":1,"output":{"stdout":"","stderr":"no luck\n"},"services":[],"kept":[]}
    {"version":1,"run":"…","at_ms":3200,"event":"test_finished","package":"shop","binary_id":"shop::it","name":"carts::never","attempt":2,"attempts":2,"status":"signal","signal":11,"wait_ms":5,"setup_ms":20,"body_ms":79,"teardown_ms":1,"output":{"stdout":"","stderr":"no luck\n"},"services":[],"kept":[]}
    {"version":1,"run":"…","at_ms":3250,"event":"test_slow","package":"shop","binary_id":"shop::it","name":"carts::leaks","attempt":1,"elapsed_ms":1000,"terminating":false}
    {"version":1,"run":"…","at_ms":3300,"event":"test_finished","package":"shop","binary_id":"shop::it","name":"carts::leaks","attempt":1,"attempts":1,"status":"leak","wait_ms":5,"setup_ms":20,"body_ms":79,"teardown_ms":1,"output":{"stdout":"","stderr":""},"services":[],"kept":[]}
    {"version":1,"run":"…","at_ms":3400,"event":"test_slow","package":"shop","binary_id":"shop::it","name":"carts::hangs","attempt":1,"elapsed_ms":1000,"terminating":false}
    {"version":1,"run":"…","at_ms":4400,"event":"test_slow","package":"shop","binary_id":"shop::it","name":"carts::hangs","attempt":1,"elapsed_ms":2000,"terminating":true}
    {"version":1,"run":"…","at_ms":4500,"event":"test_finished","package":"shop","binary_id":"shop::it","name":"carts::hangs","attempt":1,"attempts":1,"status":"timeout","part":"body","limit_ms":1000,"set_by":"config","wait_ms":5,"setup_ms":20,"body_ms":79,"teardown_ms":1,"output":{"stdout":"","stderr":""},"services":[],"kept":[]}
    {"version":1,"run":"…","at_ms":4600,"event":"test_finished","package":"shop","binary_id":"shop::it","name":"carts::exits","attempt":1,"attempts":1,"status":"unfinished","wait_ms":5,"setup_ms":20,"body_ms":79,"teardown_ms":1,"output":{"stdout":"","stderr":""},"services":[],"kept":[]}
    {"version":1,"run":"…","at_ms":4600,"event":"test_finished","package":"shop","binary_id":"shop::it","name":"mails","attempt":1,"attempts":1,"status":"no_service","service":"mail","error":"it ended with code 1","wait_ms":5,"setup_ms":20,"body_ms":79,"teardown_ms":1,"output":{"stdout":"","stderr":""},"services":[],"kept":[]}
    {"version":1,"run":"…","at_ms":4700,"event":"cancelled","reason":"test failure","running":1}
    {"version":1,"run":"…","at_ms":5000,"event":"service_state","service":"postgres","key":"postgres-key","instance":"postgres-1","state":"stopped","create_ms":210,"ready_ms":1480,"stop_ms":31,"users":3}
    {"version":1,"run":"…","at_ms":5500,"event":"leak","kind":"container","id":"4f1c","service":"redis","test":{"package":"shop","binary_id":"shop::it","name":"orders::list"},"removed":true}
    {"version":1,"run":"…","at_ms":5600,"event":"notice","level":"warning","text":"postgres 17 stands in for 15\n`.require_version()` makes this an error"}
    {"version":1,"run":"…","at_ms":6000,"event":"run_finished","tests":9,"passed":3,"flaky":1,"leaky":1,"slow":1,"failed":3,"timed_out":1,"no_service":1,"skipped":1,"leaks":1,"not_run":{"plain_tests":0,"harnessless":0,"doctests":0},"exit_code":100,"elapsed_ms":6000}
    "#);
}

#[test]
fn the_timing_line_has_start_test_and_stop_of_each_service() {
    let timing = Timing::of(&sample::run());
    let line = line(RunEvent::Timing(timing));
    insta::assert_snapshot!(line.replace(sample::RUN, "…"), @r#"{"version":1,"run":"…","at_ms":1532,"event":"timing","build_ms":1000,"services":[{"service":"mail","key":"mail-key","backend":"process","instances":1,"create_ms":30,"start_ms":30,"tests":0,"test_ms":0,"waiting_tests":0,"waited_ms":0},{"service":"postgres","key":"postgres-key","backend":"process","instances":1,"create_ms":210,"ready_ms":1480,"stop_ms":31,"start_ms":1690,"ready_at_ms":2700,"tests":3,"test_ms":555,"waiting_tests":2,"waited_ms":3392},{"service":"redis","key":"redis-key","backend":"process","instances":2,"create_ms":3,"ready_ms":11,"start_ms":14,"ready_at_ms":2710,"tests":0,"test_ms":0,"waiting_tests":0,"waited_ms":0}],"critical_path":"postgres became ready 1.7 s after the build ended; 2 tests waited for it"}"#);
}

#[test]
fn the_example_of_the_documentation_is_a_line() {
    let started = RunEvent::TestStarted {
        test: sample::test("orders::list"),
        attempt: 1,
    };
    let line = line(started).replace(sample::RUN, "01J…");
    assert!(include_str!("../event.rs").contains(&line), "{line}");
}

#[test]
fn fields_of_a_later_writer_are_passed_over() {
    let json = r#"{"version":1,"run":"r","at_ms":1,"event":"test_started","package":"shop","binary_id":"shop::it",
        "name":"a","attempt":2,"colour":"green"}"#;
    let expected = RunEvent::TestStarted {
        test: sample::test("a"),
        attempt: 2,
    };
    reads_as(json, &expected);
}

#[test]
fn lists_of_an_attempt_may_be_left_out() {
    let json = r#"{"version":1,"run":"r","at_ms":1,"event":"test_finished","package":"shop","binary_id":"shop::it",
        "name":"a","attempt":1,"attempts":1,"status":"signal","signal":11,"wait_ms":5,"setup_ms":20,"body_ms":79,
        "teardown_ms":1}"#;
    reads_as(json, &sample::finished("a", Status::Signal { signal: 11 }));
}

#[test]
fn a_tally_counts_each_test_once() {
    let mut tally = Tally::default();
    for event in sample::run() {
        tally.observe(&event.event);
    }
    let expected = Counts {
        tests: 9,
        passed: 3,
        flaky: 1,
        leaky: 1,
        slow: 1,
        failed: 3,
        timed_out: 1,
        no_service: 1,
        skipped: 1,
        leaks: 1,
        not_run: NotRun::default(),
    };
    assert_eq!(tally.counts(), expected);
    assert_eq!((expected.finished(), expected.unsuccessful()), (8, 5));
}

#[test]
fn a_status_has_words_that_fit_their_column() {
    let error = || "it broke".to_owned();
    let statuses = [
        Status::Pass,
        Status::Leak,
        Status::Fail { code: 101 },
        sample::timeout(),
        Status::Signal { signal: 11 },
        Status::Signal { signal: 64 },
        Status::Unfinished,
        Status::NoService {
            service: "db".to_owned(),
            error: error(),
        },
        Status::NoProcess { error: error() },
    ];
    for status in &statuses {
        assert!(status.word().len() <= 12, "{}", status.word());
        let tried = format!("TRY 1 {}", status.short_word());
        assert!(tried.len() <= 12, "{tried}");
    }
    let words: Vec<_> = statuses.iter().map(Status::sentence).collect();
    insta::assert_snapshot!(words.join("\n"), @"
    the test passed
    the test passed and left something that held its output open
    the test process ended with code 101
    the test timed out after 1s (hint: look at what it waits for, or give it a `timeout`, or raise `test` in `[timeouts]` of clnrm.toml)
    the test process was ended by signal 11: SIGSEGV
    the test process was ended by signal 64
    the test process ended with code 0 before the test did (hint: something called `exit`)
    the test did not run for want of `db`: it broke
    the test did not run: its process could not be started: it broke
    ");
}

#[test]
fn the_wait_for_services_is_not_a_tests_own_time() {
    let phases = sample::attempt("a", Status::Pass).phases;
    assert_eq!((phases.active(), phases.total()), (ms(100), ms(105)));
}
