//! A cargo project outside the workspace, as a user's would be, written and built once for all tests.
//!
//! It lies in the workspace's target directory, and so does what is built of it. The command runs elsewhere, with
//! `--manifest-path`: below the checkout cargo would take the workspace's own alias `clnrm` for it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What the command and its cargo get of our own environment.
const KEPT: [&str; 11] = [
    "CARGO_HOME",
    "HOME",
    "LD_LIBRARY_PATH",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "RUST_BACKTRACE",
    "TMPDIR",
    "USER",
    "XDG_RUNTIME_DIR",
];

/// The project, built.
#[derive(Debug)]
pub(crate) struct Project {
    dir: PathBuf,
}

impl Project {
    /// The one that all tests of this process share. The first who asks waits for its build.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Project> = OnceLock::new();
        SHARED.get_or_init(|| {
            let project = Self {
                dir: target().join("tests/command"),
            };
            project.make();
            project
        })
    }

    /// Its manifest.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.sources().join("Cargo.toml")
    }

    /// `cargo`, with the command first in `PATH` as an installed one is, and with nothing of this test in its
    /// environment. `through` is a program, with its arguments, that becomes another.
    pub(crate) fn cargo(&self, through: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path: Vec<_> = std::iter::once(self.dir.join("bin"))
            .chain(std::env::split_paths(&path))
            .collect();
        let kept = |(name, _): &(OsString, OsString)| {
            name.to_str()
                .is_some_and(|name| KEPT.contains(&name) || name.starts_with("DOCKER_"))
        };
        let mut words = through.iter().map(OsString::from).chain([cargo]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .env_clear()
            .envs(std::env::vars_os().filter(kept))
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("CARGO_TARGET_DIR", self.dir.join("target"))
            .env("CARGO_NET_OFFLINE", "true")
            .env("NO_COLOR", "1");
        command
    }

    /// Makes the command ask a binary of its services, which it remembers.
    pub(crate) fn forget(&self, target: &str) {
        let dir = self.dir.join("target/clnrm/describe");
        let Ok(remembered) = fs::read_dir(dir) else {
            return;
        };
        let start = format!("{target}-");
        for entry in remembered {
            let path = entry.unwrap().path();
            if path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(&start)
            {
                // Another run may be writing it anew.
                let _ = fs::remove_file(path);
            }
        }
    }

    fn sources(&self) -> PathBuf {
        self.dir.join("project")
    }

    /// Writes it and builds it. Other processes may want to do so as well: one at a time.
    fn make(&self) {
        fs::create_dir_all(self.sources()).unwrap();
        let lock = File::create(self.dir.join("lock")).unwrap();
        lock.lock().unwrap();
        copy(
            &workspace().join("cargo-clnrm/tests/command/project"),
            &self.sources(),
        );
        write(&self.manifest(), manifest().as_bytes());
        self.copy_lock_file();
        self.link_command();
        // `cargo metadata`, which the command asks, wants the packages of other platforms too. This is the one step
        // that may need a registry, and whatever leads there.
        self.must(&["fetch"], |cargo| {
            cargo
                .envs(std::env::vars_os())
                .env_remove("CARGO_NET_OFFLINE")
        });
        self.must(&["test", "--no-run"], |cargo| cargo);
    }

    /// Runs cargo on it, which must succeed.
    fn must(&self, args: &[&str], configure: impl FnOnce(&mut Command) -> &mut Command) {
        let mut cargo = self.cargo(&[]);
        cargo.args(args).args(["--quiet", "--manifest-path"]);
        let output = configure(cargo.arg(self.manifest())).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo {args:?} failed\n{stderr}");
    }

    /// The workspace's, so that nothing is resolved. Cargo takes out what the project does not need, and what it
    /// was made of is kept beside it.
    fn copy_lock_file(&self) {
        let ours = fs::read(workspace().join("Cargo.lock")).unwrap();
        let origin = self.dir.join("Cargo.lock");
        let lock = self.sources().join("Cargo.lock");
        if !lock.exists() || fs::read(&origin).is_ok_and(|origin| origin != ours) {
            write(&lock, &ours);
        }
        write(&origin, &ours);
    }

    fn link_command(&self) {
        let command = Path::new(env!("CARGO_BIN_EXE_cargo-clnrm"));
        let link = self.dir.join("bin/cargo-clnrm");
        if fs::read_link(&link).is_ok_and(|to| to == command) {
            return;
        }
        fs::create_dir_all(self.dir.join("bin")).unwrap();
        let draft = self.dir.join("bin/draft");
        let _ = fs::remove_file(&draft);
        symlink(command, &draft).unwrap();
        fs::rename(&draft, &link).unwrap();
    }
}

fn manifest() -> String {
    let root = workspace().display().to_string();
    format!(
        "[package]\nname = \"sample\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\
         description = \"two\\nlines\"\nlicense-file = \"src/lib.rs\"\nreadme = \"src/lib.rs\"\n\n\
         [dev-dependencies]\nclnrm = {{ path = \"{root}\" }}\n\
         clnrm-runtime = {{ path = \"{root}/clnrm-runtime\" }}\n\
         futures-util = {{ version = \"0.3\", default-features = false }}\n\
         redis = {{ version = \"1\", default-features = false }}\n\
         tokio = {{ version = \"1\", features = [\"rt\", \"signal\"] }}\n\n\
         [workspace]\n\n\
         [profile.dev]\ndebug = \"line-tables-only\"\n\n[profile.dev.package.\"*\"]\ndebug = false\n"
    )
}

/// Makes `to` what `from` is; files that are the same keep their time, by which cargo judges.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
            remove_strangers(&entry.path(), &target);
        } else {
            write(&target, &fs::read(entry.path()).unwrap());
        }
    }
}

/// Removes from `to` what is not in `from` any more: cargo would build it.
fn remove_strangers(from: &Path, to: &Path) {
    for entry in fs::read_dir(to).unwrap() {
        let entry = entry.unwrap();
        if !from.join(entry.file_name()).exists() {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn write(path: &Path, content: &[u8]) {
    if fs::read(path).is_ok_and(|there| there == content) {
        return;
    }
    fs::write(path, content).unwrap();
}

fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap().to_owned()
}

/// The target directory that this test was built in: `<target>/<profile>/deps/<test>`.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}
