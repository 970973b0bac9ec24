//! Tests without the attribute, and what `cargo clnrm test` says of what it does not run.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::backend::Backend;
use crate::run::{Ended, Run};

const ARGS: [&str; 3] = ["--test", "errors", "plain"];

#[test]
fn plain_tests_run_with_all_and_are_counted_without() {
    let Ended { status, stderr } = Run::start(Backend::Process, &ARGS).end();
    assert_eq!(status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("`--all` runs the plain tests"), "{stderr}");
    let all = [&ARGS[..], &["--all"]].concat();
    let Ended { status, stderr } = Run::start(Backend::Process, &all).end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("1 test run: 1 passed"), "{stderr}");
    assert!(!stderr.contains("Not run"), "{stderr}");
}

#[test]
fn what_stands_after_two_dashes_selects_as_in_libtest() {
    let select = |words: &[&str]| {
        let args = [&["--test", "errors", "--all"], words].concat();
        let Ended { status, stderr } = Run::start(Backend::Process, &args).end();
        assert_eq!(status.code(), Some(0), "{stderr}");
        stderr
    };
    // The other that is called so is `plain_and_ignored`.
    for words in [
        &["plain", "--run-ignored=all", "--", "--exact"][..],
        &["--", "plain", "--include-ignored", "--skip", "_ignored"],
        &["--", "plain", "--ignored", "--show-output"],
    ] {
        let stderr = select(words);
        assert!(stderr.contains("1 test run: 1 passed"), "{stderr}");
    }
    let args = ["plain", "--all", "--", "--nocapture"];
    let Ended { status, stderr } = Run::start(Backend::Process, &args).end();
    assert_eq!(status.code(), Some(94), "{stderr}");
    assert!(stderr.contains("give `--no-capture` before"), "{stderr}");
}

#[test]
fn reports_tell_of_the_run_its_services_and_its_tests() {
    let dir = tempfile::tempdir().unwrap();
    let (json, junit) = (
        dir.path().join("events.ndjson"),
        dir.path().join("junit.xml"),
    );
    let reports = [
        format!("--report=json={}", json.display()),
        format!("--report=junit={}", junit.display()),
    ];
    let args = [
        "--test",
        "errors",
        "-E",
        "test(=hangs) + test(=plain)",
        "--all",
    ];
    let args = [&args[..], &[&reports[0], &reports[1]]].concat();
    let Ended { status, stderr } = Run::start(Backend::Process, &args).end();
    assert_eq!(status.code(), Some(100), "{stderr}");
    let text = fs::read_to_string(json).unwrap();
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |name: &str| {
        let mut found = events.iter().filter(|event| event["event"] == name);
        let first = found
            .next()
            .unwrap_or_else(|| panic!("no {name} in {text}"));
        first.clone()
    };
    assert!(
        events
            .iter()
            .all(|event| event["version"] == 1 && event["at_ms"].is_u64())
    );
    assert_eq!(of("run_started")["tests"], 2);
    let timing = of("timing");
    let service = &timing["services"][0];
    assert_eq!(service["service"], "local");
    for part in ["start_ms", "test_ms", "stop_ms"] {
        assert!(service[part].is_u64(), "{part} in {service}");
    }
    assert!(service["test_ms"].as_u64() > Some(0), "{service}");
    let overran = events.iter().find(|event| event["status"] == "timeout");
    let overran = overran.unwrap_or_else(|| panic!("no timeout in {text}"));
    assert_eq!(overran["set_by"], "attribute");
    let limit = Duration::from_millis(overran["limit_ms"].as_u64().unwrap());
    let timed_out = format!("the test timed out after {limit:?}");
    assert!(stderr.contains(&timed_out), "{stderr}");
    let finished = of("run_finished");
    let counts = ["tests", "passed", "timed_out", "leaks", "exit_code"];
    let counts = counts.map(|name| finished[name].as_u64());
    assert_eq!(counts, [Some(2), Some(1), Some(1), Some(0), Some(100)]);
    let xml = fs::read_to_string(junit).unwrap();
    assert!(
        xml.contains("<testsuite name=\"sample::errors\" tests=\"2\""),
        "{xml}"
    );
    let failure = format!("<failure message=\"{timed_out}");
    assert!(
        xml.contains("<testcase name=\"hangs\"") && xml.contains(&failure),
        "{xml}"
    );
}
