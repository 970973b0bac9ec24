//! Cargo's own flags: which packages and targets are built, and how.

use std::path::PathBuf;

use clap::Args;

const PACKAGES: &str = "Package selection";
const TARGETS: &str = "Target selection";
const BUILD: &str = "Build options";

/// What cargo builds. The flags are cargo's, by the same names.
#[derive(Debug, Clone, Default, Args)]
pub struct Selection {
    /// Package to test.
    #[arg(short, long, value_name = "SPEC", help_heading = PACKAGES)]
    pub package: Vec<String>,
    /// Test all packages of the workspace.
    #[arg(long, help_heading = PACKAGES)]
    pub workspace: bool,
    /// Leave packages out.
    #[arg(long, value_name = "SPEC", requires = "workspace", help_heading = PACKAGES)]
    pub exclude: Vec<String>,
    /// Only the library's unit tests.
    #[arg(long, help_heading = TARGETS)]
    pub lib: bool,
    /// Only the unit tests of binaries.
    #[arg(long, help_heading = TARGETS)]
    pub bins: bool,
    /// Only the unit tests of this binary.
    #[arg(long, value_name = "NAME", help_heading = TARGETS)]
    pub bin: Vec<String>,
    /// Only integration tests and unit tests.
    #[arg(long, help_heading = TARGETS)]
    pub tests: bool,
    /// Only this integration test.
    #[arg(long, value_name = "NAME", help_heading = TARGETS)]
    pub test: Vec<String>,
    /// Only the tests of examples.
    #[arg(long, help_heading = TARGETS)]
    pub examples: bool,
    /// Only the tests of this example.
    #[arg(long, value_name = "NAME", help_heading = TARGETS)]
    pub example: Vec<String>,
    /// Only the tests of benchmarks.
    #[arg(long, help_heading = TARGETS)]
    pub benches: bool,
    /// Only the tests of this benchmark.
    #[arg(long, value_name = "NAME", help_heading = TARGETS)]
    pub bench: Vec<String>,
    /// All targets.
    #[arg(long, help_heading = TARGETS)]
    pub all_targets: bool,
    /// Features to activate, separated by spaces or commas.
    #[arg(short = 'F', long, value_name = "FEATURES", help_heading = BUILD)]
    pub features: Vec<String>,
    /// Activate all features.
    #[arg(long, help_heading = BUILD)]
    pub all_features: bool,
    /// Do not activate the `default` feature.
    #[arg(long, help_heading = BUILD)]
    pub no_default_features: bool,
    /// Build with optimisations.
    #[arg(short, long, help_heading = BUILD)]
    pub release: bool,
    /// Cargo's profile to build with; `--profile` is clnrm's.
    #[arg(long, value_name = "PROFILE", help_heading = BUILD)]
    pub cargo_profile: Option<String>,
    /// Jobs of the build; `-j` is the tests'.
    #[arg(long, value_name = "N", help_heading = BUILD)]
    pub build_jobs: Option<String>,
    /// Build for this target triple.
    #[arg(long, value_name = "TRIPLE", help_heading = BUILD)]
    pub target: Option<String>,
    /// Directory of everything that is generated.
    #[arg(long, value_name = "DIRECTORY", help_heading = BUILD)]
    pub target_dir: Option<PathBuf>,
    /// Path to the Cargo.toml.
    #[arg(long, value_name = "PATH", help_heading = BUILD)]
    pub manifest_path: Option<PathBuf>,
    /// Refuse to change Cargo.lock.
    #[arg(long, help_heading = BUILD)]
    pub locked: bool,
    /// Refuse to change Cargo.lock and to use the network.
    #[arg(long, help_heading = BUILD)]
    pub frozen: bool,
}

impl Selection {
    /// Whether `cargo test` would run documentation tests: it does unless
    /// targets are named.
    #[must_use]
    pub fn runs_doctests(&self) -> bool {
        let lists = [&self.bin, &self.test, &self.example, &self.bench];
        let kinds = [self.lib, self.bins, self.tests, self.examples, self.benches];
        !(self.all_targets || kinds.contains(&true)) && lists.into_iter().all(Vec::is_empty)
    }

    /// The arguments of `cargo test --no-run` that mean the same.
    #[must_use]
    pub fn to_cargo(&self) -> Vec<String> {
        self.flags("--profile", "--jobs")
    }

    /// The flags as they were given to us.
    pub(super) fn to_flags(&self) -> Vec<String> {
        self.flags("--cargo-profile", "--build-jobs")
    }

    /// The flags; cargo and we have other names for two of them.
    fn flags(&self, profile: &str, jobs: &str) -> Vec<String> {
        let mut args = Vec::new();
        for (flag, set) in [
            ("--workspace", self.workspace),
            ("--lib", self.lib),
            ("--bins", self.bins),
            ("--tests", self.tests),
            ("--examples", self.examples),
            ("--benches", self.benches),
            ("--all-targets", self.all_targets),
            ("--all-features", self.all_features),
            ("--no-default-features", self.no_default_features),
            ("--release", self.release),
            ("--locked", self.locked),
            ("--frozen", self.frozen),
        ] {
            args.extend(set.then(|| flag.to_owned()));
        }
        for (flag, values) in [
            ("--package", &self.package),
            ("--exclude", &self.exclude),
            ("--bin", &self.bin),
            ("--test", &self.test),
            ("--example", &self.example),
            ("--bench", &self.bench),
            ("--features", &self.features),
        ] {
            args.extend(
                values
                    .iter()
                    .flat_map(|value| [flag.to_owned(), value.clone()]),
            );
        }
        let path = |path: &PathBuf| path.display().to_string();
        for (flag, value) in [
            (profile, self.cargo_profile.clone()),
            (jobs, self.build_jobs.clone()),
            ("--target", self.target.clone()),
            ("--target-dir", self.target_dir.as_ref().map(path)),
            ("--manifest-path", self.manifest_path.as_ref().map(path)),
        ] {
            args.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
        }
        args
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_names_benchmarks_wants_no_doctests() {
        let named = Selection {
            bench: vec!["speed".to_owned()],
            benches: true,
            ..Selection::default()
        };
        assert_eq!(named.to_cargo(), ["--benches", "--bench", "speed"]);
        assert!(!named.runs_doctests() && Selection::default().runs_doctests());
    }

    #[test]
    fn flags_keep_their_meaning_and_profile_its_own_name() {
        let selection = Selection {
            package: vec!["a".to_owned(), "b".to_owned()],
            cargo_profile: Some("ci".to_owned()),
            lib: true,
            ..Selection::default()
        };
        assert_eq!(
            selection.to_cargo(),
            [
                "--lib",
                "--package",
                "a",
                "--package",
                "b",
                "--profile",
                "ci"
            ]
        );
    }
}
