//! A cargo project that lives as long as a test, outside the workspace, as a user's would.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

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
             [dependencies]\n{dependencies}\n[workspace]\n\
             [profile.dev]\ndebug = \"line-tables-only\"\n[profile.dev.package.\"*\"]\ndebug = false\n"
        );
        let project = Self {
            dir: tempfile::tempdir().expect("a directory for a project"),
        };
        project.write("Cargo.toml", &manifest);
        let lock = fs::read_to_string(root.join("Cargo.lock")).expect("the workspace's lock file");
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
        command.output().expect("cargo runs")
    }
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
