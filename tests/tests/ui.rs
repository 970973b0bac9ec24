//! What the compiler says of code that clnrm refuses, and that it says nothing of code that is right.
//!
//! A file in `ui/fail` is a test target of a project outside the workspace; a
//! snapshot beside it holds the messages. Not trybuild: that compiles programs,
//! and without `--test` the body of a test is never looked at.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::fs;
use std::path::Path;

use clnrm_tests::{Project, diagnostics, workspace_root};

const DEPENDENCIES: &str = "clnrm = { path = \"{root}\" }\n\
                            clnrm-runtime = { path = \"{root}/clnrm-runtime\" }\n\
                            serde = { version = \"1\", features = [\"derive\"] }\n\
                            tokio = \"1\"\n\
                            tracing = \"0.1\"";

/// The Rust files of a directory, by name.
fn files(dir: &Path) -> Vec<(String, String)> {
    let mut files = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect::<Vec<_>>();
    files.sort();
    files
}

#[test]
fn refused_code_says_the_fix() {
    let dir = workspace_root().join("tests/ui/fail");
    let files = files(&dir);
    let project = Project::new("refused", "2024", DEPENDENCIES);
    project.write("src/lib.rs", "");
    for (name, code) in &files {
        project.write(&format!("tests/{name}.rs"), code);
    }
    let output = project.cargo(["build", "--tests", "--keep-going", "--message-format=json"]);
    let mut messages = diagnostics(&output.stdout);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&dir);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, _) in &files {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let text = messages.remove(name);
            let text = text.unwrap_or_else(|| panic!("`{name}` compiles\n{stderr}"));
            insta::assert_snapshot!(name.as_str(), text);
        }
    });
}

/// In crates that forbid unsafe code and deny warnings, as users' crates do.
#[track_caller]
fn accept(edition: &str) {
    let dir = workspace_root().join("tests/ui/pass");
    let project = Project::new("accepted", edition, DEPENDENCIES);
    let strict = "#![forbid(unsafe_code)]\n#![deny(warnings, unused, clippy::all)]\n";
    for (name, code) in files(&dir) {
        let path = match name.as_str() {
            "lib" => "src/lib.rs".to_owned(),
            _ => format!("tests/{name}.rs"),
        };
        project.write(&path, &format!("{strict}{code}"));
    }
    let output = project.cargo(["test", "--tests", "--quiet"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
}

#[test]
fn strict_crates_of_edition_2021_compile() {
    accept("2021");
}

#[test]
fn strict_crates_of_edition_2024_compile() {
    accept("2024");
}
