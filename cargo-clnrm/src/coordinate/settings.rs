//! What a run is asked to do: flags over the environment over clnrm.toml over defaults.

use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use cargo_metadata::Metadata;
use clnrm_runtime::config::{Config, Profile};
use clnrm_runtime::plan::Preference;
use clnrm_runtime::{CleanroomError, Result};

use crate::cli::{PlanArgs, RunArgs};
use crate::report::Target;

/// Why a run ended before its tests: the code, and what to tell, if it has not been told.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// What to tell.
    pub error: Option<CleanroomError>,
}

impl Ended {
    /// Cargo cannot say what the workspace is.
    pub(crate) fn without_metadata(error: CleanroomError) -> Self {
        Self {
            code: crate::exit::METADATA_FAILED,
            error: Some(error),
        }
    }
}

impl From<CleanroomError> for Ended {
    fn from(error: CleanroomError) -> Self {
        Self {
            code: crate::exit::of(&error),
            error: Some(error),
        }
    }
}

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file, the environment and the flags, put together.
    pub config: Config,
    /// The name of the profile.
    pub profile: String,
    /// Tests at once.
    pub threads: usize,
    /// Attempts of each test.
    pub attempts: u32,
    /// Whether the first failure ends the run.
    pub fail_fast: bool,
    /// Reports to write.
    pub reports: Vec<Target>,
}

impl Settings {
    /// Reads the configuration of the workspace and applies the flags.
    ///
    /// # Errors
    /// When it is malformed, stands in a member's manifest, or has no such profile.
    pub fn of_plan(args: &PlanArgs, workspace: &Metadata) -> Result<Self> {
        refuse_of_members(workspace)?;
        let root = workspace.workspace_root.as_std_path();
        let mut config = Config::find(root, |name| std::env::var(name).ok())?;
        let profile = profile(&config, args.profile.as_deref(), root)?;
        config.backend = match (args.backend, std::env::var_os("CLNRM_BACKEND")) {
            (Some(backend), _) => backend,
            (None, None) => profile.backend.unwrap_or(config.backend),
            (None, Some(_)) => config.backend,
        };
        config.offline |= args.tests.offline;
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            threads: profile.test_threads.map_or(cores, NonZero::get),
            attempts: attempts(profile.retries.unwrap_or(0)),
            fail_fast: profile.fail_fast.unwrap_or(false),
            reports: profile
                .report
                .iter()
                .map(|text| target(text))
                .collect::<Result<_>>()?,
            profile: args.profile.clone().unwrap_or_else(|| "default".to_owned()),
            config,
        })
    }

    /// As [`Settings::of_plan`], with the flags of `test`.
    ///
    /// # Errors
    /// As [`Settings::of_plan`].
    pub fn of_run(args: &RunArgs, workspace: &Metadata) -> Result<Self> {
        let mut settings = Self::of_plan(&args.plan, workspace)?;
        settings.threads = args.test_threads.unwrap_or(settings.threads);
        if args.no_capture {
            settings.threads = 1;
        }
        settings.attempts = args.retries.map_or(settings.attempts, attempts);
        settings.fail_fast = !args.no_fail_fast && (args.fail_fast || settings.fail_fast);
        settings.reports.extend(args.report.iter().cloned());
        Ok(settings)
    }

    /// How long the parts of a test may take: limit, slow, grace.
    #[must_use]
    pub fn times(&self) -> (Duration, Duration, Duration) {
        let timeouts = &self.config.timeouts;
        (timeouts.test, timeouts.slow, timeouts.grace)
    }

    /// The backend that is preferred.
    #[must_use]
    pub fn preference(&self) -> Preference {
        self.config.backend
    }
}

/// A run is of the whole workspace: what a member says for itself would be
/// passed over in silence.
fn refuse_of_members(workspace: &Metadata) -> Result<()> {
    let root = workspace.workspace_root.join("Cargo.toml");
    let packages = workspace.workspace_packages().into_iter();
    let mut strays =
        packages.filter(|it| it.manifest_path != root && it.metadata.get("clnrm").is_some());
    match strays.next() {
        None => Ok(()),
        Some(stray) => Err(CleanroomError::validation_error(format!(
            "`[package.metadata.clnrm]` of package `{}` holds for no run",
            stray.name
        ))
        .with_context("manifest", &stray.manifest_path)
        .with_hint(format!(
            "move it to `[workspace.metadata.clnrm]` of `{root}`, or to a `clnrm.toml` beside that"
        ))),
    }
}

/// The first and the retries. Nobody waits for more than can be counted.
fn attempts(retries: u32) -> u32 {
    retries.saturating_add(1)
}

fn profile(config: &Config, name: Option<&str>, root: &Path) -> Result<Profile> {
    let Some(name) = name else {
        return Ok(config.profile.get("default").cloned().unwrap_or_default());
    };
    config.profile.get(name).cloned().ok_or_else(|| {
        let known = config
            .profile
            .keys()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let known = if known.is_empty() {
            "there is none yet".to_owned()
        } else {
            format!("there are {known}")
        };
        let hint = if is_cargos(name, root) {
            let short = if name == "release" { "`--release` or " } else { "" };
            format!("cargo's profile of that name is {short}`--cargo-profile {name}`; of clnrm.toml {known}")
        } else {
            format!("add `[profile.{name}]` to clnrm.toml; {known}")
        };
        CleanroomError::validation_error(format!("no profile is called `{name}`")).with_hint(hint)
    })
}

/// Whether cargo has a profile of that name: one of its own, or one of the root manifest.
fn is_cargos(name: &str, root: &Path) -> bool {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).ok();
    let manifest = manifest.and_then(|text| text.parse::<toml::Table>().ok());
    let named = |manifest: &toml::Table| manifest.get("profile")?.get(name).map(drop);
    ["dev", "release", "test", "bench"].contains(&name)
        || manifest.as_ref().and_then(named).is_some()
}

fn target(text: &str) -> Result<Target> {
    text.parse().map_err(|error: crate::report::NotATarget| {
        CleanroomError::validation_error("a profile has a malformed report").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cargo_metadata::MetadataCommand;
    use clap::Parser;

    use super::*;
    use crate::cli::{Cargo, CargoCommand, Clnrm, Command};

    #[test]
    fn as_many_retries_as_can_be_named_are_as_many_attempts() {
        let dir = tempfile::tempdir().unwrap();
        let package = "[package]\nname = \"small\"\nedition = \"2024\"\n[workspace]\n";
        fs::create_dir(dir.path().join("src")).unwrap();
        fs::write(dir.path().join("src/lib.rs"), "").unwrap();
        fs::write(dir.path().join("Cargo.toml"), package).unwrap();
        let check = |config: &str, flags: &[&str], attempts: u32| {
            fs::write(dir.path().join("clnrm.toml"), config).unwrap();
            let words = [&["cargo", "clnrm", "test"], flags].concat();
            let CargoCommand::Clnrm(Clnrm { command, .. }) = Cargo::parse_from(words).command;
            let Command::Test(args) = command else {
                panic!("{command:?}");
            };
            let mut metadata = MetadataCommand::new();
            metadata.current_dir(dir.path()).no_deps();
            let settings = Settings::of_run(&args, &metadata.exec().unwrap()).unwrap();
            assert_eq!(settings.attempts, attempts);
        };
        check("", &[], 1);
        check("", &["--retries", "2"], 3);
        check("", &["--retries", "4294967295"], u32::MAX);
        check("[profile.default]\nretries = 4294967295\n", &[], u32::MAX);
    }

    #[test]
    fn a_profile_of_cargos_is_not_asked_for_in_our_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("Cargo.toml"), "[profile.tuned]\n").unwrap();
        let hint = |name| {
            let error = profile(&Config::default(), Some(name), dir.path()).unwrap_err();
            error.hint().unwrap().to_owned()
        };
        assert!(hint("release").contains("`--release` or `--cargo-profile release`"));
        assert!(hint("tuned").contains("`--cargo-profile tuned`"));
        assert!(hint("ci").contains("add `[profile.ci]` to clnrm.toml"));
    }

    #[test]
    fn the_configuration_of_a_member_is_refused_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let member = dir.path().join("member");
        fs::create_dir_all(member.join("src")).unwrap();
        fs::write(member.join("src/lib.rs"), "").unwrap();
        fs::write(
            dir.path().join("Cargo.toml"),
            "[workspace]\nmembers = [\"member\"]\n[workspace.metadata.clnrm]\noffline = true\n",
        )
        .unwrap();
        let check = |more: &str| {
            let manifest = format!("[package]\nname = \"member\"\nedition = \"2024\"\n{more}");
            fs::write(member.join("Cargo.toml"), manifest).unwrap();
            let mut command = MetadataCommand::new();
            command.current_dir(dir.path()).no_deps();
            refuse_of_members(&command.exec().unwrap())
        };
        check("").unwrap();
        let error = check("[package.metadata.clnrm]\noffline = true\n").unwrap_err();
        assert_eq!(
            error.message(),
            "`[package.metadata.clnrm]` of package `member` holds for no run"
        );
        let manifest = error.context("manifest").unwrap();
        assert!(manifest.ends_with("member/Cargo.toml"), "{manifest}");
    }
}
