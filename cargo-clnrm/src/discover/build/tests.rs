//! Messages of made-up builds.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::filter::Filter;

fn target(kind: &str, name: &str) -> Value {
    json!({
        "kind": [kind], "crate_types": ["bin"], "name": name, "src_path": "/w/a/it.rs",
        "edition": "2024", "doc": false, "doctest": false, "test": true,
    })
}

fn artifact(package: &str, kind: &str, name: &str, test: bool) -> String {
    json!({
        "reason": "compiler-artifact",
        "package_id": package,
        "manifest_path": format!("/w/{package}/Cargo.toml"),
        "target": target(kind, name),
        "profile": {
            "opt_level": "0", "debuginfo": 2, "debug_assertions": true,
            "overflow_checks": true, "test": test,
        },
        "features": [],
        "filenames": [],
        "executable": format!("/w/target/{name}"),
        "fresh": false,
    })
    .to_string()
}

fn build() -> Build {
    let packages = ["a", "b"].map(|name| {
        json!({
            "name": name, "version": "0.1.0", "id": name, "dependencies": [], "targets": [],
            "features": {}, "manifest_path": format!("/w/{name}/Cargo.toml"),
        })
    });
    let metadata = json!({
        "packages": packages, "workspace_members": ["a", "b"], "resolve": null,
        "workspace_default_members": ["a", "b"], "target_directory": "/w/target",
        "version": 1, "workspace_root": "/w", "metadata": null,
    });
    Build {
        selection: Selection::default(),
        offline: false,
        metadata: MetadataCommand::parse(metadata.to_string()).unwrap(),
        colored: false,
    }
}

/// A package, which is a workspace. `more` ends its manifest.
fn package(dir: &Path, name: &str, more: &str) -> PathBuf {
    let manifest = dir.join(name).join("Cargo.toml");
    let text = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n[workspace]\n{more}");
    std::fs::create_dir_all(dir.join(name).join("src")).unwrap();
    std::fs::write(dir.join(name).join("src/lib.rs"), "").unwrap();
    std::fs::write(&manifest, text).unwrap();
    manifest
}

#[test]
fn the_target_directory_and_offline_are_told_to_cargo() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = package(dir.path(), "a", "");
    let elsewhere = dir.path().join("elsewhere");
    let args = Choice::of(Selection {
        manifest_path: Some(manifest),
        target_dir: Some(elsewhere.clone()),
        ..Selection::default()
    });
    let build = Build::new(&args, &filter::Selection::default(), false).unwrap();
    assert_eq!(build.target_dir(), elsewhere);
    assert!(!build.cargo_args().contains(&"--offline".to_owned()));
    let offline = Choice {
        offline: true,
        ..args
    };
    let build = Build::new(&offline, &filter::Selection::default(), false).unwrap();
    assert!(build.cargo_args().contains(&"--offline".to_owned()));
}

#[test]
fn what_depends_on_what_is_asked_where_a_filter_names_it_however_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = package(dir.path(), "a", "");
    let args = Choice::of(Selection {
        manifest_path: Some(manifest),
        ..Selection::default()
    });
    let asked = |expression: &str| {
        let filter = filter::Selection {
            filters: vec![Filter::parse(expression).unwrap()],
            ..filter::Selection::default()
        };
        let build = Build::new(&args, &filter, false).unwrap();
        build.metadata().resolve.is_some()
    };
    assert!(asked("deps(a)") && asked("test(x) & not rdeps (a)"));
    assert!(!asked("package(a) + test(~deps)"));
}

#[test]
fn a_package_outside_the_workspace_is_known_where_it_is_selected() {
    let dir = tempfile::tempdir().unwrap();
    package(dir.path(), "out", "");
    let needs = "[dependencies]\nout = { path = \"../out\" }\n";
    let manifest = package(dir.path(), "in", needs);
    let known = |specs: &[&str]| {
        let args = Choice::of(Selection {
            manifest_path: Some(manifest.clone()),
            package: specs.iter().map(|spec| (*spec).to_owned()).collect(),
            ..Selection::default()
        });
        let build = Build::new(&args, &filter::Selection::default(), false).unwrap();
        let packages = build.metadata().packages.iter();
        let mut names: Vec<_> = packages.map(|package| package.name.to_string()).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(known(&["in", "out"]), "in out");
    assert_eq!(known(&["out@0.0.0"]), "in out");
    // Cargo takes patterns for members alone.
    assert_eq!(known(&["in", "o*"]), "in");
    assert_eq!(known(&[]), "in");
}

#[test]
fn what_cargo_says_of_its_progress_is_no_warning() {
    let lines = [
        ("   Compiling shop v0.1.0 (/w/shop)", Severity::Status),
        ("warning: unused manifest key: package.x", Severity::Warning),
        (
            "    Blocking waiting for file lock on build directory",
            Severity::Status,
        ),
        (
            "\x1b[1m\x1b[92m    Finished\x1b[0m `dev` profile in 1s",
            Severity::Status,
        ),
        ("error: failed to run custom build command", Severity::Error),
        ("", Severity::Error),
        ("Caused by:", Severity::Error),
        ("  process didn't exit successfully", Severity::Error),
    ];
    let mut severity = Severity::Status;
    for (line, expected) in lines {
        severity = Severity::of_line(line, severity);
        assert_eq!(severity, expected, "{line}");
    }
}

#[test]
fn a_binary_is_told_at_once_and_gets_the_programs_at_the_end() {
    let build = build();
    let (send, mut receive) = mpsc::unbounded_channel();
    let mut built = Built::default();
    build.message(&artifact("a", "test", "it", true), &send, &mut built);
    assert!(matches!(
        receive.try_recv().unwrap(),
        BuildMessage::Compiled { .. }
    ));
    let BuildMessage::Binary(mut binary) = receive.try_recv().unwrap() else {
        panic!("no binary");
    };
    for (package, name) in [("a", "own"), ("b", "other")] {
        build.message(&artifact(package, "bin", name, false), &send, &mut built);
        // The unit tests of a program are no program.
        build.message(&artifact(package, "bin", name, true), &send, &mut built);
    }
    assert_eq!(binary.id, "a::it");
    assert_eq!(binary.env.get("CARGO_BIN_EXE_own"), None);
    binary.complete(&built);
    let path = |variable: &str| binary.env.get(variable)?.to_str();
    assert_eq!(path("CARGO_BIN_EXE_own"), Some("/w/target/own"));
    assert_eq!(path("CARGO_BIN_EXE_other"), None);
    let of_other = clnrm_runtime::config::bin_variable("b", "other");
    assert_eq!(path(&of_other), Some("/w/target/other"));
}

#[test]
fn a_workspace_that_is_found_and_malformed_has_another_hint_than_none() {
    let outside = "run it from inside a cargo workspace, or give `--manifest-path`";
    for said in [
        "error: could not find `Cargo.toml` in `/` or any parent directory",
        "error: manifest path `x/Cargo.toml` does not exist",
    ] {
        assert_eq!(what_helps(said), outside);
    }
    let missing = "error: failed to load manifest for workspace member `/w/a`\n\n\
                   Caused by:\n  failed to load manifest for dependency `clnrm`";
    assert!(what_helps(missing).starts_with("mend what cargo names"));
}
