//! What a test is run with: by `cargo clnrm test` the same as by `cargo test`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::backend::Backend;
use crate::project::Project;
use crate::run::Run;

const CONFIG: &str = "[env]\n\
    SAMPLE_PLAIN = 'config'\n\
    SAMPLE_EMPTY = ''\n\
    SAMPLE_REL = { value = 'data', relative = true }\n\
    SAMPLE_SET = 'config'\n\
    SAMPLE_FORCED = { value = 'config', force = true }\n\
    SAMPLE_BOTH = { value = 'config', force = true }\n\
    CARGO_PKG_VERSION = { value = 'config', force = true }\n\
    LD_LIBRARY_PATH = { value = '/config', force = true }\n";

/// Gives a command what it is to pass on.
fn prepare(command: &mut Command) {
    let dir = command.get_current_dir().unwrap().to_owned();
    fs::create_dir(dir.join(".cargo")).unwrap();
    fs::write(dir.join(".cargo/config.toml"), CONFIG).unwrap();
    command
        .env("SAMPLE_DIR", &dir)
        .env("SAMPLE_SET", "set")
        .env("SAMPLE_FORCED", "set");
}

/// What a test wrote down in a directory, which is another for each run.
fn written(dir: &Path, test: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(dir.join(test)).unwrap();
    let text = text.replace(dir.to_str().unwrap(), "DIR");
    let ours = |line: &&str| line.starts_with("\"CLNRM_") || line.starts_with("\"SAMPLE_SOCKET\"");
    let lines = text.lines().filter(|line| !ours(line));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_test_is_given_what_cargo_test_gives() {
    let names = ["of_clnrm", "plain"];
    let place = tempfile::tempdir().unwrap();
    let project = Project::shared();
    let mut cargo = project.cargo(&[]);
    cargo
        .args(["test", "--test", "environment", "--manifest-path"])
        .arg(project.manifest())
        .current_dir(place.path());
    Backend::Process.choose(&mut cargo);
    prepare(&mut cargo);
    let output = cargo.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let by_cargo = names.map(|name| written(place.path(), name));
    let own = by_cargo[0].iter().filter(|line| line.contains("SAMPLE_"));
    assert_eq!(own.count(), 8, "{by_cargo:#?}");

    let mut run = Run::start_with(
        Backend::Process,
        &["--test", "environment", "--all"],
        prepare,
    );
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let dir = run.dir().parent().unwrap().to_owned();
    let by_clnrm = names.map(|name| written(&dir, name));
    for (cargo, clnrm) in by_cargo.iter().zip(&by_clnrm) {
        let less: Vec<_> = cargo.difference(clnrm).collect();
        let more: Vec<_> = clnrm.difference(cargo).collect();
        assert!(
            less.is_empty() && more.is_empty(),
            "less: {less:#?}\nmore: {more:#?}"
        );
    }
}

/// What the plan is where a declaration reads that the program of its service is `program`.
fn plan(program: &str) -> String {
    let project = Project::shared();
    let mut cargo = project.cargo(&[]);
    cargo
        .args(["clnrm", "plan", "--test", "environment"])
        .args(["--run-ignored", "only", "--manifest-path"])
        .arg(project.manifest())
        .current_dir("/")
        .env("SAMPLE_PROGRAM", program);
    Backend::Process.choose(&mut cargo);
    let output = cargo.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_service_is_what_the_environment_says_now() {
    let there = plan("sh");
    assert!(!there.contains("cannot run"), "{there}");
    let missing = plan("no-such-program");
    assert!(missing.contains("no-such-program"), "{missing}");
}
