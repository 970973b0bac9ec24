//! The time that a test may take, in what it sets up and in its body: under the command and under plain `cargo test`.

use std::process::Output;

use crate::backend::Backend;
use crate::project::Project;
use crate::run::{Ended, Run};

#[test]
fn a_set_up_that_hangs_ends_by_the_limit_of_its_test() {
    let args = ["--test", "limits", "-E", "test(=set_up_hangs)"];
    let Ended { status, stderr } = Run::start(Backend::Process, &args).end();
    assert_eq!(status.code(), Some(100), "{stderr}");
    assert!(stderr.contains("1 timed out"), "{stderr}");
    assert!(
        stderr.contains("what the test sets up timed out after 1s"),
        "{stderr}"
    );
}

/// Runs a test of the target with nothing but cargo.
fn plain(test: &str) -> Output {
    let project = Project::shared();
    let dir = tempfile::tempdir().unwrap();
    let mut cargo = project.cargo(&[]);
    cargo
        .args(["test", "--manifest-path"])
        .arg(project.manifest())
        .args(["--test", "limits", "--", "--exact", test])
        .current_dir(dir.path())
        .env("CLNRM_BACKEND", "process")
        .env("CLNRM_TMPDIR", dir.path());
    cargo.output().unwrap()
}

#[track_caller]
fn check_plain(test: &str, said: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = plain(test);
    let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(101), "{text}");
    assert!(text.contains(said), "no `{said}` in:\n{text}");
}

#[test]
fn without_the_command_a_set_up_has_the_same_limit() {
    check_plain(
        "set_up_hangs",
        "the set-up of test `limits::set_up_hangs` runs longer than its 1s",
    );
}

#[test]
fn without_the_command_a_body_has_the_same_limit() {
    check_plain(
        "body_hangs",
        "test `limits::body_hangs` runs longer than its 1s",
    );
}

#[test]
fn without_the_command_a_body_that_blocks_ends_its_process() {
    check_plain(
        "body_blocks",
        "test `limits::body_blocks` runs longer than its 1s; a thread cannot be killed, so the process ends",
    );
}

/// The panic of a set-up is none of the body.
#[test]
fn a_set_up_that_panics_is_no_test_that_should() {
    let said = "the set-up of test `limits::should_panic_and_is_not_set_up` panicked: no luck";
    check_plain("should_panic_and_is_not_set_up", said);
    let args = [
        "--test",
        "limits",
        "-E",
        "test(=should_panic_and_is_not_set_up)",
    ];
    let Ended { status, stderr } = Run::start(Backend::Process, &args).end();
    assert_eq!(status.code(), Some(100), "{stderr}");
    assert!(stderr.contains(said), "{stderr}");
}
