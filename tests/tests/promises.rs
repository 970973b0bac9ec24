//! What the project says of itself as a whole: its shape, its libraries, its lints, its plugins' tests.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the helpers of tests fail as tests do"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clnrm_tests::{files, workspace_root};
use serde_json::Value;

/// The packages of the workspace, as cargo sees them.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(workspace_root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn dir(package: &Value) -> PathBuf {
    let manifest = Path::new(text(package, "manifest_path"));
    manifest.parent().unwrap().to_path_buf()
}

/// The Rust files below a directory, as text.
fn sources(dir: &Path) -> Vec<(PathBuf, String)> {
    let rust = files(dir).into_iter();
    let rust = rust.filter(|path| path.extension().is_some_and(|it| it == "rs"));
    rust.map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn the_workspace_has_the_promised_shape() {
    let packages = packages();
    let places = packages.iter().map(|package| {
        let dir = dir(package);
        let place = dir.strip_prefix(workspace_root()).unwrap();
        (
            text(package, "name").to_owned(),
            place.display().to_string(),
        )
    });
    let places: BTreeSet<(String, String)> = places.collect();
    let promised = [
        ("clnrm", ""),
        ("cargo-clnrm", "cargo-clnrm"),
        ("clnrm-macros", "clnrm-macros"),
        ("clnrm-runtime", "clnrm-runtime"),
        ("clnrm-generic", "plugins/generic"),
        ("clnrm-postgres", "plugins/postgres"),
        ("clnrm-redis", "plugins/redis"),
        ("clnrm-tests", "tests"),
        ("shop", "examples/shop"),
    ];
    for (name, place) in promised {
        assert!(
            places.contains(&(name.to_owned(), place.to_owned())),
            "{name}: {places:?}"
        );
    }
    assert!(workspace_root().join("README.md").is_file());
}

#[test]
fn the_promised_libraries_are_used() {
    let promised = [
        ("clnrm-macros", "syn"),
        ("clnrm-macros", "quote"),
        ("clnrm-macros", "proc-macro2"),
        ("clnrm-runtime", "testcontainers"),
        ("clnrm-runtime", "tokio"),
        ("clnrm-runtime", "inventory"),
        ("cargo-clnrm", "cargo_metadata"),
    ];
    let packages = packages();
    for (name, library) in promised {
        let package = packages.iter().find(|it| text(it, "name") == name).unwrap();
        let mut dependencies = package["dependencies"].as_array().unwrap().iter();
        let is_normal = |it: &Value| text(it, "name") == library && it["kind"].is_null();
        assert!(
            dependencies.any(is_normal),
            "`{name}` does not depend on `{library}`"
        );
        let path = format!("{}::", library.replace('-', "_"));
        let sources = sources(&dir(package).join("src"));
        let names_it = |code: &str| {
            let mut lines = code.lines().map(str::trim_start);
            lines.any(|line| !line.starts_with("//") && line.contains(&path))
        };
        assert!(
            sources.iter().any(|(_, code)| names_it(code)),
            "`{name}` names no `{path}`"
        );
    }
}

/// What a person reads of one file.
const LONGEST: usize = 400;

#[test]
fn no_source_file_is_too_long_to_read() {
    for package in packages() {
        let folders =
            ["src", "tests", "benches", "examples"].map(|folder| dir(&package).join(folder));
        let folders = folders.iter().filter(|folder| folder.is_dir());
        for (path, code) in folders.flat_map(|folder| sources(folder)) {
            let lines = code.lines().count();
            let is_generated = code.contains("// This file is @generated");
            assert!(
                is_generated || lines <= LONGEST,
                "{} has {lines} lines",
                path.display()
            );
        }
    }
}

/// What would let a panic into production code.
const PANICS: [&str; 4] = ["unwrap_used", "expect_used", "panic", "indexing_slicing"];

#[test]
fn every_package_refuses_panics() {
    let workspace = fs::read_to_string(workspace_root().join("Cargo.toml")).unwrap();
    for lint in PANICS {
        // The gate denies warnings: `docker_tests_must_run…` and its neighbours in xtask test its steps.
        assert!(
            workspace.contains(&format!("\n{lint} = \"warn\"\n")),
            "{lint}"
        );
    }
    for package in packages() {
        let manifest = fs::read_to_string(text(&package, "manifest_path")).unwrap();
        assert!(
            manifest.contains("\n[lints]\nworkspace = true\n"),
            "{}",
            text(&package, "name")
        );
    }
}

#[test]
fn the_promised_test_targets_are_there() {
    // `cargo test --test integration_plugins`, and `cargo test --lib services`.
    let packages = packages();
    let facade = packages.iter().find(|it| text(it, "name") == "clnrm");
    let targets = facade.unwrap()["targets"].as_array().unwrap();
    let has = |kind: &str, name: &str| {
        let is_it = |it: &&Value| text(it, "name") == name && it["kind"][0] == kind;
        targets.iter().any(|it| is_it(&it))
    };
    assert!(has("test", "integration_plugins") && has("lib", "clnrm"));
    let services = fs::read_to_string(workspace_root().join("src/services.rs")).unwrap();
    assert!(!tests(&services).is_empty());
}

/// `#[test]` and `#[tokio::test]` functions of a file.
fn tests(code: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in code.lines().map(str::trim) {
        let function = line.strip_prefix("async fn ").or(line.strip_prefix("fn "));
        match function {
            Some(rest) if is_test => {
                names.push(rest.split('(').next().unwrap());
                is_test = false;
            }
            _ => is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test"),
        }
    }
    names
}

#[test]
fn every_plugin_has_its_tests_and_its_edge_cases() {
    let plugins = packages().into_iter().map(|package| dir(&package));
    let plugins = plugins.filter(|dir| dir.parent().is_some_and(|it| it.ends_with("plugins")));
    let plugins = plugins.collect::<Vec<_>>();
    assert!(plugins.len() >= 3);
    for plugin in plugins {
        let sources = sources(&plugin);
        let names = sources.iter().flat_map(|(_, code)| tests(code));
        let names = names.collect::<Vec<_>>();
        let place = plugin.display();
        assert!(names.len() >= 10, "{place} has {} tests", names.len());
        for case in [
            "startup_failure",
            "health_failure",
            "cleanup",
            "port_conflict",
            "invalid_config",
        ] {
            let is_there = names.iter().any(|name| name.starts_with(case));
            assert!(is_there, "{place} has no test `{case}_…`");
        }
    }
}

#[test]
fn every_test_that_the_evidence_names_is_there() {
    let root = workspace_root();
    let table = fs::read_to_string(root.join("docs/requirements.md")).unwrap();
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    let named = rows.skip(1).flat_map(|row| {
        let tests = row.split('|').nth(3).unwrap();
        let names = tests.split('`').skip(1).step_by(2);
        // A command or the name of a figure is no function.
        names.filter(|name| !name.contains(' '))
    });
    let places = [
        "cargo-clnrm",
        "clnrm-macros",
        "clnrm-runtime",
        "plugins",
        "examples",
        "tests",
        "src",
        "xtask",
    ];
    let code = places.iter().flat_map(|place| sources(&root.join(place)));
    let code = code.map(|(_, code)| code).collect::<String>();
    let missing = named
        .filter(|name| !code.contains(&format!("fn {name}(")))
        .collect::<Vec<_>>();
    assert_eq!(missing, Vec::<&str>::new());
}
