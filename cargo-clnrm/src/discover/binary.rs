//! A test binary: what cargo says of it, and how cargo would run it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use cargo_metadata::{Artifact, BuildScript, Metadata, Package, PackageId, TargetKind};
use clnrm_runtime::CleanroomError;

use super::doctest::has_doctests;
use super::manifest::harnessless;
use super::{Built, Libraries, Runner};

/// A binary that cargo builds for tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestBinary {
    /// nextest's binary id: `pkg`, `pkg::it`, `pkg::bin/x`, `pkg::example/x`.
    pub id: String,
    /// The package's name.
    pub package: String,
    /// The package, as cargo's messages name it.
    pub package_id: PackageId,
    /// The target's name.
    pub target: String,
    /// What kind of target it is.
    pub kind: TestKind,
    /// The executable.
    pub path: PathBuf,
    /// The directory of the package: where the tests run.
    pub dir: PathBuf,
    /// Whether it has libtest's harness, so that it can be asked for its tests.
    pub harness: bool,
    /// Whether it is of a library that has documentation tests.
    pub doctests: bool,
    /// The environment that cargo gives tests at run time. It is whole once
    /// it has [what the build made](Self::complete).
    pub env: BTreeMap<String, OsString>,
    /// What cargo would run it by. Known when it is [complete](Self::complete).
    pub runner: Option<Runner>,
}

/// What kind of target a test binary is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TestKind {
    /// Unit tests of the library.
    Lib,
    /// Unit tests of a binary.
    Bin,
    /// An integration test.
    Test,
    /// The tests of an example.
    Example,
    /// The tests of a benchmark.
    Bench,
}

impl TestKind {
    /// The word of filters and ids.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lib => "lib",
            Self::Bin => "bin",
            Self::Test => "test",
            Self::Example => "example",
            Self::Bench => "bench",
        }
    }

    fn of(kinds: &[TargetKind]) -> Self {
        let has = |kind: &TargetKind| kinds.contains(kind);
        match () {
            () if has(&TargetKind::Test) => Self::Test,
            () if has(&TargetKind::Bin) => Self::Bin,
            () if has(&TargetKind::Example) => Self::Example,
            () if has(&TargetKind::Bench) => Self::Bench,
            () => Self::Lib,
        }
    }
}

impl TestBinary {
    /// The test binary of an artifact, if it is one: built for tests, with an
    /// executable, of a package that cargo was asked about.
    #[must_use]
    pub fn of(artifact: &Artifact, metadata: &Metadata) -> Option<Self> {
        if !artifact.profile.test {
            return None;
        }
        let path = artifact.executable.clone()?.into_std_path_buf();
        let package = package_of(artifact, metadata)?;
        let kind = TestKind::of(&artifact.target.kind);
        let (name, target) = (package.name.to_string(), artifact.target.name.clone());
        let id = match kind {
            TestKind::Lib => name.clone(),
            TestKind::Test => format!("{name}::{target}"),
            other => format!("{name}::{}/{target}", other.as_str()),
        };
        let dir = package.manifest_path.parent()?.as_std_path().to_owned();
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap_or_default();
        let named = (kind != TestKind::Lib).then(|| target.clone());
        let harness = !harnessless(&manifest).contains(&(kind, named));
        let sources = artifact
            .target
            .src_path
            .parent()
            .map(|dir| dir.as_std_path());
        let doctests =
            kind == TestKind::Lib && artifact.target.doctest && sources.is_some_and(has_doctests);
        let env = package_env(package, dir.display().to_string());
        Some(Self {
            id,
            package: name,
            package_id: package.id.clone(),
            target,
            kind,
            path,
            dir,
            harness,
            doctests,
            env,
            runner: None,
        })
    }

    /// Adds to its environment what the build has made: all programs of the
    /// workspace, as a service of one package may be a program of another, the
    /// libraries, and what the package's build script says. What cargo's
    /// configuration says comes last and replaces none of that, as in cargo.
    pub fn complete(&mut self, built: &Built) {
        for ((owner, name), path) in &built.programs.0 {
            if *owner == self.package {
                let own = format!("CARGO_BIN_EXE_{name}");
                self.env.insert(own, path.into());
            }
            let variable = clnrm_runtime::config::bin_variable(owner, name);
            self.env.insert(variable, path.into());
        }
        let script = built.scripts.0.get(&self.package_id).into_iter().flatten();
        self.add(script.cloned());
        self.add(built.libraries.variable(&self.path, Libraries::present()));
        self.add(built.config.env.clone());
        self.runner = built.config.runner.clone();
    }

    /// Adds variables that are not there yet.
    fn add(&mut self, variables: impl IntoIterator<Item = (String, OsString)>) {
        for (name, value) in variables {
            self.env.entry(name).or_insert(value);
        }
    }

    /// What runs it with `args`: a program and all arguments of that.
    #[must_use]
    pub fn command(&self, args: impl IntoIterator<Item = OsString>) -> (PathBuf, Vec<OsString>) {
        match &self.runner {
            None => (self.path.clone(), args.into_iter().collect()),
            Some(Runner { program, args: own }) => {
                let path = self.path.clone().into_os_string();
                let all = own.iter().cloned().chain([path]).chain(args);
                (program.clone(), all.collect())
            }
        }
    }

    /// Says of an error of its start by what it was to be run.
    #[must_use]
    pub fn explain(&self, error: CleanroomError) -> CleanroomError {
        let Some(runner) = &self.runner else {
            return error;
        };
        error
            .with_context("test binary", self.path.display())
            .with_hint(format!(
                "`{}` is the `runner` of cargo's configuration (`target.….runner`, `CARGO_TARGET_…_RUNNER`): mend it there",
                runner.program.display()
            ))
    }
}

/// What the build scripts of a build say: the variables of each package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scripts(BTreeMap<PackageId, Vec<(String, OsString)>>);

impl Scripts {
    /// Adds what one says. Of a package whose script ran twice, for the host
    /// and for the target, the last counts, as for nextest.
    pub(super) fn add(&mut self, script: &BuildScript) {
        let out_dir = script.out_dir.clone().into_std_path_buf();
        let out_dir = ("OUT_DIR".to_owned(), out_dir.into_os_string());
        // Cargo lets the last win that a script says of one variable.
        let said = script.env.iter().rev();
        let said = said.map(|(name, value)| (name.clone(), value.into()));
        let variables = std::iter::once(out_dir).chain(said).collect();
        self.0.insert(script.package_id.clone(), variables);
    }
}

/// The programs of a workspace that a build made: where they are, by package
/// and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Programs(BTreeMap<(String, String), PathBuf>);

impl Programs {
    /// Adds the program of an artifact, if it is one.
    pub(super) fn add(&mut self, artifact: &Artifact, metadata: &Metadata) {
        if artifact.profile.test || !artifact.target.kind.contains(&TargetKind::Bin) {
            return;
        }
        if let Some(package) = package_of(artifact, metadata)
            && let Some(path) = artifact.executable.clone()
        {
            let key = (package.name.to_string(), artifact.target.name.clone());
            self.0.insert(key, path.into_std_path_buf());
        }
    }
}

fn package_of<'a>(artifact: &Artifact, metadata: &'a Metadata) -> Option<&'a Package> {
    let mut packages = metadata.packages.iter();
    packages.find(|package| package.id == artifact.package_id)
}

/// What cargo sets for tests at run time, besides what it compiled in.
fn package_env(package: &Package, dir: String) -> BTreeMap<String, OsString> {
    let version = &package.version;
    let file = |path: &Option<cargo_metadata::camino::Utf8PathBuf>| {
        path.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    let pairs = [
        ("CARGO_MANIFEST_DIR", dir),
        ("CARGO_MANIFEST_PATH", package.manifest_path.to_string()),
        ("CARGO_PKG_NAME", package.name.to_string()),
        ("CARGO_PKG_VERSION", version.to_string()),
        ("CARGO_PKG_VERSION_MAJOR", version.major.to_string()),
        ("CARGO_PKG_VERSION_MINOR", version.minor.to_string()),
        ("CARGO_PKG_VERSION_PATCH", version.patch.to_string()),
        ("CARGO_PKG_VERSION_PRE", version.pre.to_string()),
        ("CARGO_PKG_AUTHORS", package.authors.join(":")),
        (
            "CARGO_PKG_DESCRIPTION",
            package.description.clone().unwrap_or_default(),
        ),
        (
            "CARGO_PKG_HOMEPAGE",
            package.homepage.clone().unwrap_or_default(),
        ),
        (
            "CARGO_PKG_REPOSITORY",
            package.repository.clone().unwrap_or_default(),
        ),
        (
            "CARGO_PKG_LICENSE",
            package.license.clone().unwrap_or_default(),
        ),
        ("CARGO_PKG_LICENSE_FILE", file(&package.license_file)),
        ("CARGO_PKG_README", file(&package.readme)),
        (
            "CARGO_PKG_RUST_VERSION",
            package
                .rust_version
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}
