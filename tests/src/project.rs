//! A cargo project that lives as long as a test, outside the workspace, as a user's would.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The workspace's own, so that what it has built is used again.
const PROFILE: &str = "[profile.dev]\ndebug = \"line-tables-only\"\n\
                       [profile.dev.package.\"*\"]\ndebug = false\n";

/// A package with clnrm as a path dependency. It shares the target directory
/// and the lock file of the workspace, so that nothing is built or resolved twice.
#[derive(Debug)]
pub struct Project {
    dir: TempDir,
}

impl Project {
    /// A package called `name` of an `edition`, with `dependencies` as lines of
    /// its manifest; `{root}` in them is the workspace's directory.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn new(name: &str, edition: &str, dependencies: &str) -> Self {
        let root = workspace_root();
        let root_text = root.display().to_string();
        let dependencies = dependencies.replace("{root}", &root_text);
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"{edition}\"\npublish = false\n\
             [dependencies]\n{dependencies}\n[workspace]\n{PROFILE}"
        );
        let project = Self::empty();
        project.write("Cargo.toml", &manifest);
        project
    }

    /// A copy of the crate in `source`, a directory three levels below the
    /// workspace's, which its manifest's paths begin with.
    ///
    /// # Panics
    /// When it cannot be read or written.
    #[must_use]
    pub fn copy(source: &Path) -> Self {
        let project = Self::empty();
        for path in files(source) {
            let name = path.strip_prefix(source).expect("a file of the crate");
            let name = name.to_str().expect("a name in UTF-8");
            let text = fs::read_to_string(&path).expect("a file of the crate");
            let text = match name {
                "Cargo.toml" => {
                    let root = format!("{}/", workspace_root().display());
                    format!("{}\n{PROFILE}", text.replace("../../../", &root))
                }
                _ => text,
            };
            project.write(name, &text);
        }
        project
    }

    fn empty() -> Self {
        let project = Self {
            dir: tempfile::tempdir().expect("a directory for a project"),
        };
        let lock = workspace_root().join("Cargo.lock");
        let lock = fs::read_to_string(lock).expect("the workspace's lock file");
        project.write("Cargo.lock", &lock);
        project
    }

    /// The project's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file, and the directories above it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &str, contents: &str) {
        let path = self.path().join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a directory of a project");
        }
        fs::write(path, contents).expect("a file of a project");
    }

    /// Runs cargo there, offline.
    ///
    /// # Panics
    /// When there is no cargo.
    pub fn cargo(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
        let mut command = self.command(arguments);
        command.output().expect("cargo runs")
    }

    /// The command that runs cargo there, offline.
    #[must_use]
    pub fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(arguments)
            .current_dir(self.path())
            .env("CARGO_TARGET_DIR", target_dir())
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TERM_COLOR", "never");
        // What cargo told this test about its own package is none of the project's.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_BIN_EXE_") {
                command.env_remove(&name);
            }
        }
        command
    }
}

/// Every file below a directory.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory that is there");
    let paths = entries.map(|entry| entry.expect("an entry of a directory").path());
    let mut files = paths
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect::<Vec<_>>();
    files.sort();
    files
}

/// The directory of the workspace.
#[must_use]
pub fn workspace_root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// The target directory that this test was built in: `<target>/<profile>/deps/<test>`.
fn target_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let target = test
        .ancestors()
        .nth(3)
        .expect("a test is in a target directory");
    target.to_path_buf()
}
