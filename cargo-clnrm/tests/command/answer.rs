//! What is answered on standard output, what beside it on standard error, and what when neither can be written.

use std::fs::File;
use std::io::pipe;
use std::process::{Command, Output};

use serde_json::Value;

use crate::backend::Backend;
use crate::errors::small_project;
use crate::project::Project;
use crate::run::{Ended, Run};

/// `cargo clnrm` in a directory without a workspace.
fn clnrm(args: &[&str]) -> Command {
    let mut cargo = Project::shared().cargo(&[]);
    cargo.arg("clnrm").args(args).current_dir("/");
    cargo
}

/// The same for the project's target `errors`.
fn of_project(args: &[&str]) -> Command {
    let mut cargo = clnrm(args);
    cargo
        .arg("--manifest-path")
        .arg(Project::shared().manifest());
    cargo.args(["--test", "errors"]);
    cargo
}

/// What always refuses to be written.
fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, words: &[&str]) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    for words in words {
        assert!(stderr.contains(words), "no `{words}` in\n{stderr}");
    }
    assert!(!stderr.contains("panicked"), "{stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn an_answer_that_cannot_be_written_is_code_96() {
    let why = ["error: standard output cannot be written: No space left on device"];
    for mut command in [clnrm(&["completions", "bash"]), of_project(&["list"])] {
        check(&command.stdout(full()).output().unwrap(), 96, &why);
    }
}

#[test]
fn a_reader_who_went_away_is_no_error() {
    for mut command in [clnrm(&["completions", "bash"]), of_project(&["list"])] {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        check(&command.stdout(writer).output().unwrap(), 0, &[]);
    }
}

/// Nobody can be told, so the code is all there is.
#[test]
fn a_run_that_cannot_say_a_word_ends_with_its_code() {
    for (args, code) in [
        (&["test", "-E", "test(=a"][..], 94),
        (&["test", "no-such-word"], 4),
        (&["test", "no-such-word", "--no-tests=warn"], 96),
    ] {
        let output = of_project(args).stderr(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_told_with_the_reason() {
    let place = tempfile::tempdir().unwrap();
    let report = format!("--report=junit={}", place.path().display());
    let args = [
        "--test",
        "errors",
        "no-such-word",
        "--no-tests=pass",
        &report,
    ];
    let Ended { status, stderr } = Run::start(Backend::Process, &args).end();
    assert_eq!(status.code(), Some(96), "{stderr}");
    let why = format!(
        "error: the report `{}` could not be written: Is a directory (os error 21)",
        place.path().display()
    );
    assert!(stderr.contains(&why), "{stderr}");
}

#[test]
fn a_list_or_plan_of_nothing_says_why() {
    let words = [
        "warning: `service` matches no service",
        "did you mean `redis`?",
        "error: there is no test to run",
    ];
    for command in ["list", "plan"] {
        let text = of_project(&[command, "-E", "service(rdis)"])
            .output()
            .unwrap();
        assert_eq!(check(&text, 4, &words), "");
        let json = of_project(&[command, "-E", "service(rdis)", "--format", "json"]);
        let json = { json }.output().unwrap();
        let document: Value = serde_json::from_str(&check(&json, 4, &words)).unwrap();
        assert_eq!(document["tests"], Value::Array(Vec::new()));
    }
}

#[test]
fn a_build_is_told_beside_the_answer() {
    for command in ["list", "plan", "plugins"] {
        let project = small_project("#[test]\nfn a() {}\n", "");
        let json = match command {
            "plugins" => &["--json"][..],
            _ => &["--format", "json"],
        };
        let mut cargo = clnrm(&[command]);
        cargo
            .args(json)
            .env("CARGO_TARGET_DIR", project.path().join("target"))
            .current_dir(project.path());
        let output = cargo.output().unwrap();
        let code = if command == "plugins" { 0 } else { 4 };
        let answer = check(&output, code, &["Compiling small v0.0.0"]);
        let document: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(document["version"], 1);
    }
}
