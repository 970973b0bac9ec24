//! `target.….runner` of cargo's configuration: all of a test binary is run by it, and it may stay beside the test.

use std::fs;
use std::process::Command;

use crate::backend::Backend;
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

#[test]
fn a_runner_runs_tests_hosts_and_lists_and_leaves_nothing() {
    Project::shared().forget("list", "outcomes");
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
    let ran = fs::read_to_string(run.dir().with_file_name("ran")).unwrap();
    let count = |word: &str| ran.lines().filter(|line| line.contains(word)).count();
    assert_eq!(count(" --list "), 2, "{ran}");
    assert_eq!(count(" hangs --exact "), 1, "{ran}");
    assert!(count(" --exact ") > 1, "no host: {ran}");
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
