//! `target.….runner` of cargo's configuration: all of a test binary is run by it, and it may stay beside the test.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::backend::Backend;
use crate::errors::small_project;
use crate::leftovers::Traces;
use crate::project::Project;
use crate::run::Run;
use crate::script;

/// It says what it runs, and waits for that as its parent.
const RUNNER: &str = r#"#!/bin/sh
shift
echo "$@" >> "$SAMPLE_DIR/ran"
"$@"
"#;

/// Gives a command a runner, below the directory in which it is started.
fn with_runner(command: &mut Command) {
    let dir = command.get_current_dir().unwrap().to_owned();
    fs::create_dir_all(dir.join(".cargo")).unwrap();
    let config = "[target.'cfg(unix)']\nrunner = ['.cargo/run', 'two words']\n";
    fs::write(dir.join(".cargo/config.toml"), config).unwrap();
    script::write(&dir.join(".cargo/run"), RUNNER);
    command.env("SAMPLE_DIR", &dir);
}

/// What the runner of a directory ran, a line for each.
fn ran(dir: &Path) -> Vec<String> {
    let lines = fs::read_to_string(dir.join("ran")).unwrap();
    lines.lines().map(str::to_owned).collect()
}

fn count(ran: &[String], word: &str) -> usize {
    ran.iter().filter(|line| line.contains(word)).count()
}

#[test]
fn a_runner_runs_tests_and_hosts_and_leaves_nothing() {
    let args = ["--test", "outcomes", "-E", "test(=hangs)", "--all"];
    let mut run = Run::start_with(Backend::Process, &args, with_runner);
    let held = run.held();
    let traces = Traces::of(&run, Backend::Process);
    // Its limit is over, of which the runner hears as well.
    held.ends();
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(100), "{}", ended.stderr);
    assert!(ended.stderr.contains("TIMEOUT"), "{}", ended.stderr);
    traces.nothing_is_left();
    let ran = ran(run.dir().parent().unwrap());
    assert_eq!(count(&ran, " hangs --exact "), 1, "{ran:#?}");
    assert!(count(&ran, " --exact ") > 1, "no host: {ran:#?}");
}

/// Of a binary that no other test asks: the answer is remembered.
#[test]
fn a_runner_lists_tests() {
    let project = small_project("#[test]\nfn a() {}\n", "");
    let mut cargo = Project::shared().cargo(&[]);
    cargo
        .args(["clnrm", "test", "--all", "--test", "it"])
        .env("CARGO_TARGET_DIR", project.path().join("target"))
        .current_dir(project.path());
    with_runner(&mut cargo);
    let output = cargo.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let ran = ran(project.path());
    assert_eq!(count(&ran, " --list "), 2, "{ran:#?}");
    assert_eq!(count(&ran, " a --exact "), 1, "{ran:#?}");
}

#[test]
fn a_runner_that_is_not_there_is_named() {
    let args = ["--test", "errors", "-E", "test(=plain)", "--all"];
    let mut run = Run::start_with(Backend::Process, &args, |command| {
        with_runner(command);
        let dir = command.get_current_dir().unwrap();
        fs::remove_file(dir.join(".cargo/run")).unwrap();
    });
    let ended = run.end();
    assert_ne!(ended.status.code(), Some(0), "{}", ended.stderr);
    for word in [".cargo/run`", "is the `runner` of cargo's configuration"] {
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
    }
}
