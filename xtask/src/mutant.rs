//! Replaces the bodies of the lifecycle by empty successes, one after the other, and sees that a test notices each.
//!
//! cargo-mutants does it, on a copy of the tree; `.cargo/mutants.toml` says what becomes of a body.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::gate;
use crate::image;
use crate::shell::{Cmd, say, workspace};

/// The program, which is also the package.
const PROGRAM: &str = "cargo-mutants";

/// The last version that makes none but the mutants that it is asked for: later ones delete fields too, which no filter
/// leaves out.
const VERSION: &str = "25.3.1";

/// Where the bodies are.
const FILES: [&str; 4] = [
    "clnrm-runtime/src/adapter.rs",
    "clnrm-runtime/src/backend/**/*.rs",
    "clnrm-runtime/src/engine/**/*.rs",
    "clnrm-runtime/src/lifecycle/**/*.rs",
];

/// Bodies that only an engine shows to do nothing.
const ON_ENGINES: &str = "clnrm-runtime/src/backend/docker/**";

/// What the tests on an engine put into the label of their owner, so that what they leave can be told from others'.
const OWNER: &str = "CLNRM_TEST_OWNER";

/// How the mutants are run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only of these files: `--file clnrm-runtime/src/engine/stop.rs`; a `*` stands for any name.
    #[arg(long, value_name = "GLOB")]
    file: Vec<String>,
    /// Passed on to cargo-mutants.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Runs cargo-mutants.
///
/// # Errors
///
/// When a mutant survives, or the tests fail without any.
pub(crate) fn run(options: &Options) -> Result<()> {
    let own = workspace().join("target/mutants");
    let files: Vec<&str> = match options.file.as_slice() {
        [] => FILES.into(),
        files => files.iter().map(String::as_str).collect(),
    };
    let cmd = Cmd::cargo_by(program(&own)?, ["mutants", "--package", "clnrm-runtime"])
        // What is not mutated is built once for all runs, and apart from everything else.
        .env("CARGO_TARGET_DIR", own.join("target"))
        .args([Path::new("--output"), &own])
        .args(files.iter().flat_map(|file| ["--file", file]));
    // What mutants leave in files is gone with this.
    let temporary = gate::temporary()?;
    let cmd = cmd
        .env("TMPDIR", temporary.path())
        .env("CLNRM_TMPDIR", temporary.path());
    let owner = format!("mutants-{}", std::process::id());
    let engine = needs_engine(&files).then(image::engine);
    let cmd = match &engine {
        Some(Ok(engine)) => {
            image::build_stale(engine)?;
            cmd.env("CLNRM_REQUIRE_DOCKER", "1").env(OWNER, &owner)
        }
        Some(Err(error)) => {
            say(format_args!("{error}\nwarning: {ON_ENGINES} is left out"));
            cmd.args(["--exclude", ON_ENGINES])
        }
        // The tests on an engine take longest, and look at nothing else.
        None => cmd.env("DOCKER_HOST", "unix:///nonexistent"),
    };
    let outcome = cmd.args(&options.arguments).show().run();
    if let Some(Ok(_)) = engine {
        remove(&owner)?;
    }
    let closed = temporary.close();
    outcome.and(closed.map_err(Error::io("remove the temporary files of the mutants")))
}

/// Whether bodies of the docker backend are among these files.
fn needs_engine(files: &[&str]) -> bool {
    let of_others = [
        "adapter",
        "backend/process",
        "backend/mod",
        "engine/",
        "lifecycle/",
    ];
    files
        .iter()
        .any(|file| !of_others.iter().any(|part| file.contains(part)))
}

/// The program in a directory below `own`, installed where it is missing.
fn program(own: &Path) -> Result<PathBuf> {
    let root = own.join(VERSION);
    let program = root.join("bin").join(PROGRAM);
    if !program.is_file() {
        let package = format!("{PROGRAM}@{VERSION}");
        let install = Cmd::cargo(["install", "--locked", &package, "--root"]);
        install.args([&root]).show().run()?;
    }
    Ok(program)
}

/// What removes nothing is what mutants are about: containers, then volumes and networks, that carry our owner's label.
fn remove(owner: &str) -> Result<()> {
    let label = r#"{{.Label "clnrm.owner"}}"#;
    for (kind, listing, removal) in [
        ("{{.Names}}", "ps --all", "rm --force --volumes"),
        ("{{.Name}}", "volume ls", "volume rm --force"),
        ("{{.Name}}", "network ls", "network rm"),
    ] {
        let list = Cmd::new("docker").args(listing.split(' '));
        let format = format!("{kind} {label}");
        let listed = list.args(["--filter", "label=clnrm.owner", "--format", &format]);
        for name in owned(&listed.read()?, owner) {
            let remove = Cmd::new("docker").args(removal.split(' '));
            remove.args([name]).read()?;
        }
    }
    Ok(())
}

/// The names of a listing of names and owners, whose owner begins with ours.
fn owned<'a>(listed: &'a str, owner: &str) -> Vec<&'a str> {
    let lines = listed.lines().filter_map(|line| line.split_once(' '));
    lines
        .filter(|(_, whose)| whose.split('/').next() == Some(owner))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_needed_unless_the_files_are_of_others() {
        assert!(needs_engine(&FILES));
        assert!(needs_engine(&["clnrm-runtime/src/backend/docker/stop.rs"]));
        assert!(needs_engine(&["**/stop.rs"]));
        let of_others = [
            "clnrm-runtime/src/engine/stop.rs",
            "clnrm-runtime/src/backend/process/**",
        ];
        assert!(!needs_engine(&of_others));
    }

    #[test]
    fn only_what_carries_our_label_is_removed() {
        let listed = "a mutants-7/0/0/9/0\nb mutants-77/0/0/9/0\nc test/0/0/9/0\nd \n";
        assert_eq!(owned(listed, "mutants-7"), ["a"]);
    }
}
