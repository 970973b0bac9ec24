//! The gate: sees what this machine has, installs what is missing, runs the steps, and looks for what they left behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::audit::Audit;
use crate::error::{Error, Result};
use crate::image;
use crate::package::{self, Need};
use crate::shell::{Cmd, say, took};
use crate::step::{Deny, Step, Surroundings, steps};

/// How the gate is run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Leave out the documentation, the features, the release build, the shop and the images. Docker tests run if their
    /// images are there.
    #[arg(long)]
    fast: bool,
}

/// The servers that the tests run as processes, and the Debian packages that bring them.
const SERVERS: [Need; 2] = [
    Need {
        program: "postgres",
        package: "postgresql",
    },
    Need {
        program: "redis-server",
        package: "redis-server",
    },
];

/// How long what the tests started may take to end by itself once they have.
const GRACE: Duration = Duration::from_secs(5);

/// What the names of the gate's own temporary directories start with; a process id follows.
const TEMPORARY: &str = "cx-";

/// Runs every step, and stops at the first that fails.
///
/// # Errors
///
/// What is missing, the step that failed, or what the tests left behind.
pub(crate) fn run(options: &Options) -> Result<()> {
    package::ensure(&SERVERS)?;
    if !package::is_there("cargo-nextest") {
        say("cargo-nextest is not installed: the tests that need it say so and check nothing");
    }
    let engine = engine();
    if let Some(engine) = &engine
        && !options.fast
    {
        image::build_stale(engine)?;
    }
    let workspace = Workspace::load()?;
    let around = Surroundings {
        fast: options.fast,
        docker: engine.is_some() && !options.fast,
        deny: deny(),
        features: workspace.features,
    };
    // Everything temporary goes to a directory of this run, where what the tests left can be told from what others did.
    let temporary = temporary()?;
    say(format_args!(
        "temporary files are below {}",
        temporary.path().display()
    ));
    let audit = Audit::begin(temporary.path(), &workspace.target, engine.is_some())?;
    for (step, is_last) in with_last(steps(&around)) {
        run_step(&step, temporary.path(), is_last)?;
    }
    let leftovers = audit.leftovers(GRACE)?;
    temporary
        .close()
        .map_err(Error::io("remove the temporary files of the tests"))?;
    if leftovers.is_empty() {
        Ok(())
    } else {
        Err(Error::Leftovers(leftovers))
    }
}

/// After the last step nothing more is said: the output ends with the test runner's own closing line.
fn run_step(step: &Step, temporary: &Path, is_last: bool) -> Result<()> {
    let start = Instant::now();
    say(format_args!("==> {}", step.name));
    step.cmd()
        .env("TMPDIR", temporary)
        .env("CLNRM_TMPDIR", temporary)
        .show()
        .run()?;
    if !is_last {
        say(format_args!("    {} took {}", step.name, took(start)));
    }
    Ok(())
}

fn with_last(steps: Vec<Step>) -> impl Iterator<Item = (Step, bool)> {
    let count = steps.len();
    steps
        .into_iter()
        .enumerate()
        .map(move |(index, step)| (step, index + 1 == count))
}

fn engine() -> Option<image::Engine> {
    match image::engine() {
        Ok(engine) => {
            say(format_args!("container engine {} answers", engine.version));
            Some(engine)
        }
        Err(error) => {
            say(format_args!(
                "{error}\nwarning: the Docker tests are skipped"
            ));
            None
        }
    }
}

fn deny() -> Deny {
    if Cmd::cargo(["deny", "--version"]).read().is_err() {
        say("cargo-deny is not installed: licences and advisories are not checked");
        Deny::Absent
    } else if let Err(error) = Cmd::cargo(["deny", "fetch", "db"]).read() {
        say(format_args!("the advisories are not checked: {error}"));
        Deny::Offline
    } else {
        Deny::Full
    }
}

/// What cargo says of this workspace.
#[derive(Debug)]
struct Workspace {
    features: Vec<String>,
    target: PathBuf,
}

impl Workspace {
    fn load() -> Result<Self> {
        let cmd = Cmd::cargo(["metadata", "--no-deps", "--format-version", "1"]);
        let command = cmd.to_string();
        let metadata =
            serde_json::from_str(&cmd.read()?).map_err(|source| Error::Json { command, source })?;
        let target = metadata_text(&metadata, "target_directory").into();
        Ok(Self {
            features: features(&metadata)?,
            target,
        })
    }
}

fn metadata_text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The features of the facade but for `default`, which every other step has on.
fn features(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let facade = packages
        .into_iter()
        .find(|package| metadata_text(package, "name") == "clnrm");
    let features = facade
        .and_then(|facade| facade.get("features")?.as_object())
        .ok_or(Error::NoPackage("clnrm"))?;
    Ok(features
        .keys()
        .filter(|name| *name != "default")
        .cloned()
        .collect())
}

/// A short path, since sockets are made below it, which servers under other users may reach and write to. Those of
/// gates that were killed go first.
pub(crate) fn temporary() -> Result<tempfile::TempDir> {
    let parent = std::env::temp_dir();
    for stale in abandoned(&parent) {
        // Another user's is not ours to remove.
        let _ = fs::remove_dir_all(stale);
    }
    let prefix = format!("{TEMPORARY}{}-", std::process::id());
    let failed = || Error::io(format!("make a directory in `{}`", parent.display()));
    let directory = tempfile::Builder::new()
        .prefix(&prefix)
        .rand_bytes(3)
        .tempdir_in(&parent)
        .map_err(failed())?;
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).map_err(failed())?;
    Ok(directory)
}

/// The temporary directories of gates that do not run any more.
fn abandoned(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()));
    entries
        .filter(|path| owner(path).is_some_and(|pid| !Path::new("/proc").join(pid).exists()))
        .collect()
}

/// The process id in the name of a gate's temporary directory.
fn owner(path: &Path) -> Option<String> {
    let (pid, _) = path
        .file_name()?
        .to_str()?
        .strip_prefix(TEMPORARY)?
        .split_once('-')?;
    pid.parse::<u32>().ok().map(|pid| pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_the_facades_but_for_default() {
        let metadata = serde_json::json!({ "packages": [
            { "name": "clnrm-redis", "features": { "other": [] } },
            { "name": "clnrm", "features": { "redis": [], "default": ["redis"], "generic": [] } },
        ]});
        assert_eq!(features(&metadata).unwrap(), ["generic", "redis"]);
    }

    #[test]
    fn a_workspace_without_the_facade_is_an_error() {
        let error = features(&serde_json::json!({ "packages": [] })).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cargo knows no package `clnrm` in this workspace"
        );
    }

    #[test]
    fn only_the_last_step_is_the_last() {
        let marked = with_last(steps(&Surroundings::default()));
        let last: Vec<_> = marked
            .filter(|(_, is_last)| *is_last)
            .map(|(step, _)| step.name)
            .collect();
        assert_eq!(last, ["tests"]);
    }

    #[test]
    fn directories_of_ended_gates_are_abandoned() {
        let parent = tempfile::tempdir().unwrap();
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        let name = |pid| format!("{TEMPORARY}{pid}-abc");
        for name in [
            name(std::process::id()),
            name(ended.id()),
            "cx-x-1".to_owned(),
            "other".to_owned(),
        ] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        assert_eq!(
            abandoned(parent.path()),
            [parent.path().join(name(ended.id()))]
        );
    }
}
