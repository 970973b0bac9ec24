//! `clnrm.toml`, or the same in the root manifest, and what may override it: the environment, then flags.

pub mod duration;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::error::{CleanroomError, Result};
use crate::plan::Preference;

/// The file's name, at the root of the workspace.
pub const FILE: &str = "clnrm.toml";

/// What a run is configured with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// `auto`, `docker` or `process`.
    pub backend: Preference,
    /// Image names and the names to use instead: exact, or a prefix that ends in `/*`.
    pub images: BTreeMap<String, String>,
    /// Programs by name, and the paths to use.
    pub programs: BTreeMap<String, PathBuf>,
    /// The user that servers run as which refuse root.
    pub run_as: Option<String>,
    /// Whether downloads are forbidden.
    pub offline: bool,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Named sets of settings for `--profile`.
    pub profile: BTreeMap<String, Profile>,
}

/// Deadlines of a run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Timeouts {
    /// How long the body of a test may take that says nothing itself.
    #[serde(deserialize_with = "duration::positive")]
    pub test: Duration,
    /// After how long a test is reported as slow.
    #[serde(deserialize_with = "duration::positive")]
    pub slow: Duration,
    /// How long tests may take to end when they are asked to.
    #[serde(with = "duration")]
    pub grace: Duration,
    /// How long a pull may go without a byte.
    #[serde(deserialize_with = "duration::positive")]
    pub pull: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            test: Duration::from_secs(300),
            slow: Duration::from_secs(60),
            grace: Duration::from_secs(5),
            pull: Duration::from_secs(30),
        }
    }
}

/// Settings of `cargo clnrm test` under a name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Profile {
    /// Tests at once.
    pub test_threads: Option<NonZero<usize>>,
    /// Further attempts of a test that failed.
    pub retries: Option<u32>,
    /// Whether the first failure ends the run.
    pub fail_fast: Option<bool>,
    /// The backend.
    pub backend: Option<Preference>,
    /// Reports to write, as `--report` takes them.
    pub report: Vec<String>,
}

impl Config {
    /// Reads the text of a `clnrm.toml`.
    ///
    /// # Errors
    /// A key that is not known, or a value that makes no sense, with its line.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|error| malformed(&error, file))
    }

    /// Reads the configuration of the workspace that `dir` is in, and applies
    /// the environment: its `clnrm.toml`, or `[workspace.metadata.clnrm]` or
    /// `[package.metadata.clnrm]` of its root manifest.
    ///
    /// # Errors
    /// As [`Config::parse`], when a file or a variable cannot be read, and when
    /// there is more than one place.
    pub fn find(dir: &Path, env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut found = Vec::new();
        let file = dir.ancestors().map(|dir| dir.join(FILE));
        if let Some(file) = file.into_iter().find(|file| file.is_file()) {
            let config = Self::parse(&read(&file)?, &file)?;
            found.push((format!("`{}`", file.display()), config));
        }
        if let Some((file, manifest)) = root_manifest(dir)? {
            let places = [
                ("[workspace.metadata.clnrm]", manifest.workspace),
                ("[package.metadata.clnrm]", manifest.package),
            ];
            for (place, table) in places {
                if let Some(config) = table.and_then(|table| table.metadata.clnrm) {
                    found.push((format!("`{place}` of `{}`", file.display()), config));
                }
            }
        }
        let mut found = found.into_iter();
        let first = found.next();
        if let (Some((one, _)), Some((other, _))) = (&first, found.next()) {
            return Err(CleanroomError::validation_error(
                "the configuration is in more than one place",
            )
            .with_context("one", one)
            .with_context("other", other)
            .with_hint("put all of it into one of them"));
        }
        let config = first.map(|(_, config)| config).unwrap_or_default();
        config.with_env(env)
    }

    /// Applies `CLNRM_BACKEND`, `CLNRM_OFFLINE` and `CLNRM_RUN_AS`.
    ///
    /// # Errors
    /// When a variable has a value that makes no sense.
    pub fn with_env(mut self, env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if let Some(backend) = env("CLNRM_BACKEND") {
            self.backend = backend
                .parse()
                .map_err(|error: CleanroomError| error.with_context("from", "CLNRM_BACKEND"))?;
        }
        if let Some(offline) = env("CLNRM_OFFLINE") {
            self.offline = match offline.as_str() {
                "1" | "true" => true,
                "" | "0" | "false" => false,
                other => {
                    return Err(CleanroomError::validation_error(format!(
                        "`{other}` is neither true nor false"
                    ))
                    .with_context("from", "CLNRM_OFFLINE")
                    .with_hint("set it to `1` or `0`"));
                }
            };
        }
        self.run_as = env("CLNRM_RUN_AS").or(self.run_as);
        Ok(self)
    }
}

/// What of a `Cargo.toml` is ours.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Manifest {
    workspace: Option<Part>,
    package: Option<Part>,
}

/// `[workspace]` or `[package]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    metadata: Metadata,
}

/// What tools find in it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    clnrm: Option<Config>,
}

/// The manifest of the workspace that `dir` is in, or of its package, where
/// that is in none.
fn root_manifest(dir: &Path) -> Result<Option<(PathBuf, Manifest)>> {
    let mut nearest = None;
    for file in dir.ancestors().map(|dir| dir.join("Cargo.toml")) {
        if !file.is_file() {
            continue;
        }
        let manifest: Manifest =
            toml::from_str(&read(&file)?).map_err(|error| malformed(&error, &file))?;
        let is_root = manifest.workspace.is_some();
        let found = (file, manifest);
        if is_root {
            return Ok(Some(found));
        }
        nearest.get_or_insert(found);
    }
    Ok(nearest)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        CleanroomError::validation_error(format!("cannot read `{}`", file.display()))
            .with_source(error)
    })
}

fn malformed(error: &toml::de::Error, file: &Path) -> CleanroomError {
    let message = error.message();
    let wrapped = CleanroomError::validation_error(format!("`{}` is malformed", file.display()))
        .with_context("at", error.to_string().trim_end());
    match suggestion(message) {
        Some(known) => wrapped.with_hint(format!("did you mean `{known}`?")),
        None => wrapped,
    }
}

/// serde says ``unknown field `x`, expected one of `a`, `b```: the nearest of them.
fn suggestion(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = message
        .starts_with("unknown field")
        .then(|| quoted.next())??;
    quoted
        .map(|known| (strsim::jaro_winkler(unknown, known), known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// The variable that says where the coordinator's build put a binary of the
/// workspace: `CLNRM_BIN_EXE_<package>_<name>`.
#[must_use]
pub fn bin_variable(package: &str, name: &str) -> String {
    let word = |text: &str| text.replace('-', "_").to_uppercase();
    format!("CLNRM_BIN_EXE_{}_{}", word(package), word(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let text = r#"
            backend = "docker"
            run-as = "postgres"
            offline = true
            [images]
            "postgres:15" = "clnrm-test/postgres:15"
            [programs]
            postgres = "/opt/pg/bin/postgres"
            [timeouts]
            test = "2m"
            slow = "500ms"
            [profile.ci]
            test-threads = 4
            retries = 2
            fail-fast = false
            report = ["junit=target/junit.xml"]
        "#;
        let config = Config::parse(text, Path::new(FILE)).unwrap();
        assert_eq!(config.backend, Preference::Docker);
        assert_eq!(config.images["postgres:15"], "clnrm-test/postgres:15");
        assert_eq!(
            (
                config.timeouts.test.as_secs(),
                config.timeouts.slow.as_millis()
            ),
            (120, 500)
        );
        assert_eq!(config.profile["ci"].retries, Some(2));
    }

    #[test]
    fn an_unknown_key_says_its_line_and_what_was_meant() {
        let error =
            Config::parse("backend = \"auto\"\nofline = true\n", Path::new(FILE)).unwrap_err();
        insta::assert_snapshot!(error.to_string());
    }

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_root_manifest_may_hold_it() {
        let dir = tempfile::tempdir().unwrap();
        let member = dir.path().join("member");
        std::fs::create_dir(&member).unwrap();
        let root = dir.path().join("Cargo.toml");
        let package = "[package]\nname = \"a\"\n[package.metadata.other]\nx = 1\n";
        std::fs::write(member.join("Cargo.toml"), package).unwrap();
        let find = |table: &str| {
            std::fs::write(&root, table).unwrap();
            Config::find(&member, none)
        };
        assert_eq!(find("[workspace]\n").unwrap(), Config::default());
        let config = find("[workspace.metadata.clnrm]\noffline = true\n").unwrap();
        assert!(config.offline);
        let config = find("[workspace]\n[package.metadata.clnrm]\noffline = true\n").unwrap();
        assert!(config.offline);
        let error = find("[workspace.metadata.clnrm]\n\nofline = true\n").unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `offline`?"));
        assert!(error.context("at").unwrap().contains("line 3"), "{error:?}");
    }

    #[test]
    fn two_places_are_an_error_that_names_both() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "offline = true\n").unwrap();
        let manifest = "[workspace.metadata.clnrm]\noffline = true\n";
        std::fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
        let error = Config::find(dir.path(), none).unwrap_err();
        assert!(error.context("one").unwrap().contains("clnrm.toml"));
        assert!(
            error
                .context("other")
                .unwrap()
                .contains("workspace.metadata")
        );
    }

    #[test]
    fn a_malformed_duration_says_how_to_write_one() {
        let error = Config::parse("[timeouts]\ntest = \"2 days\"\n", Path::new(FILE)).unwrap_err();
        let expected = "`2 days` is no duration: write `500ms`, `30s` or `2m`";
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn a_zero_that_would_run_nothing_is_refused_in_its_place() {
        for line in [
            "timeouts.test = \"0s\"",
            "timeouts.slow = \"0ms\"",
            "timeouts.pull = \"0m\"",
            "profile.ci.test-threads = 0",
        ] {
            let error = Config::parse(&format!("\n{line}\n"), Path::new(FILE)).unwrap_err();
            assert!(error.context("at").unwrap().contains("line 2"), "{error:?}");
        }
        assert!(Config::parse("timeouts.grace = \"0s\"", Path::new(FILE)).is_ok());
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let env = |name: &str| (name == "CLNRM_BACKEND").then(|| "process".to_owned());
        let config = Config {
            backend: Preference::Docker,
            ..Config::default()
        };
        assert_eq!(
            config.clone().with_env(env).unwrap().backend,
            Preference::Process
        );
        let bad = |name: &str| (name == "CLNRM_OFFLINE").then(|| "maybe".to_owned());
        assert_eq!(
            config.with_env(bad).unwrap_err().context("from"),
            Some("CLNRM_OFFLINE")
        );
    }
}
