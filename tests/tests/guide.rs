//! What the documents tell a stranger to write: it is code whose tests pass, and a crate of its own that runs. That it
//! compiles as it stands, its doctests show.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::fs;
use std::path::{Path, PathBuf};

use clnrm_tests::{Project, engine_answers, files, workspace_root};

const FIXTURE: &str = "tests/fixtures/plugin";

/// Runs a test target of the fixture, copied to where no workspace is.
#[track_caller]
fn passes(targets: &[&str], backend: &str) {
    let project = Project::copy(&workspace_root().join(FIXTURE));
    let mut command = project.command(["test", "--no-fail-fast"]);
    command.args(targets.iter().flat_map(|target| ["--test", target]));
    let output = command.env("CLNRM_BACKEND", backend).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(
        said.contains("test result: ok") && !said.contains("running 0 tests"),
        "{said}"
    );
}

#[test]
fn a_plugin_outside_the_workspace_runs_programs() {
    passes(&["it", "archive"], "process");
}

#[test]
fn a_plugin_outside_the_workspace_runs_an_image() {
    if engine_answers() {
        passes(&["image"], "docker");
    }
}

/// The code blocks of a document, each with its line.
fn blocks(document: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open = None;
    for (number, line) in document.lines().enumerate() {
        match (&mut open, line) {
            (None, line) if line.starts_with("```rust") => open = Some((number + 1, String::new())),
            (Some(_), "```") => blocks.extend(open.take()),
            // The first line may say whose code it is.
            (Some((_, text)), line)
                if !(text.is_empty() && line.starts_with("//") && line.ends_with(".rs")) =>
            {
                text.push_str(line);
                text.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

/// Code as a compiler reads it: without white space, and commas that end a list.
fn tokens(code: &str) -> String {
    let text: String = code.split_whitespace().collect();
    [")", "]", "}"]
        .iter()
        .fold(text, |text, end| text.replace(&format!(",{end}"), end))
}

/// Each block of Rust in `document` stands in one of the files below `sources`,
/// all of which are compiled and run by tests.
#[track_caller]
fn check(document: &str, count: usize, sources: &[&str]) {
    let root = workspace_root();
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|it| it == "rs");
    let sources = sources.iter().flat_map(|dir| files(&root.join(dir)));
    let code = sources
        .filter(is_rust)
        .map(|path| tokens(&fs::read_to_string(path).unwrap()))
        .collect::<Vec<_>>();
    let text = fs::read_to_string(root.join(Path::new(document))).unwrap();
    let blocks = blocks(&text);
    assert_eq!(
        blocks.len(),
        count,
        "{document} has another number of code blocks"
    );
    for (line, block) in blocks {
        let wanted = tokens(&block);
        let is_there = code.iter().any(|code| code.contains(&wanted));
        assert!(
            is_there,
            "{document}:{line} is in no source that is tested:\n{block}"
        );
    }
}

#[test]
fn the_code_of_the_guide_is_code_that_is_tested() {
    check("docs/plugins.md", 8, &[FIXTURE]);
}

#[test]
fn the_code_of_the_readme_is_code_that_is_tested() {
    check("README.md", 2, &["examples/shop/tests"]);
}
