//! Where the dynamic libraries of a build are: cargo names these directories to the tests that it runs.
//!
//! The tests of a macro crate need the compiler's own, others what a build script has made.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cargo_metadata::BuildScript;
use clnrm_runtime::program::cargo;
use tokio::process::Command;

/// The variable that the loader of this system reads.
const VARIABLE: &str = if cfg!(target_os = "macos") {
    "DYLD_FALLBACK_LIBRARY_PATH"
} else {
    "LD_LIBRARY_PATH"
};

/// The directories of a build, in the order in which they are searched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Libraries(Vec<PathBuf>);

impl Libraries {
    /// Adds what a build script says, of it what lies below `target_dir`:
    /// the system's own directories are searched anyway.
    pub(super) fn add_script(&mut self, script: &BuildScript, target_dir: &Path) {
        for path in &script.linked_paths {
            // `native=/path`, or the path alone.
            let path = path.as_str();
            let path = Path::new(path.split_once('=').map_or(path, |(_, path)| path));
            if path.starts_with(target_dir) {
                self.add(path.to_owned());
            }
        }
    }

    /// Adds a directory, once.
    pub(super) fn add(&mut self, dir: PathBuf) {
        if !self.0.contains(&dir) {
            self.0.push(dir);
        }
    }

    /// The variable for a binary at `path`, before what it is in `present`.
    pub(super) fn variable(
        &self,
        path: &Path,
        present: Option<OsString>,
    ) -> Option<(String, String)> {
        let beside = path.ancestors().skip(1).take(2).map(Path::to_owned);
        let present = present.unwrap_or_default();
        let present = std::env::split_paths(&present).filter(|dir| !dir.as_os_str().is_empty());
        let dirs = self.0.iter().cloned().chain(beside).chain(present);
        let value = std::env::join_paths(dirs).ok()?.into_string().ok()?;
        Some((VARIABLE.to_owned(), value))
    }

    /// What the variable is in our own environment.
    pub(super) fn present() -> Option<OsString> {
        std::env::var_os(VARIABLE)
    }
}

/// The directory of the compiler's own libraries; none where it cannot be asked.
pub(super) async fn of_the_compiler() -> Option<PathBuf> {
    let rustc = std::env::var_os("RUSTC").map(PathBuf::from);
    let beside_cargo = || {
        let cargo = PathBuf::from(cargo().get_program());
        Some(cargo.parent()?.join("rustc")).filter(|path| path.is_file())
    };
    let rustc = rustc.or_else(beside_cargo);
    let mut command = Command::new(rustc.unwrap_or_else(|| "rustc".into()));
    command
        .args(["--print", "target-libdir"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let dir = PathBuf::from(text.trim_end());
    (output.status.success() && dir.is_absolute()).then_some(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_has_what_cargo_puts_there() {
        let script = serde_json::from_value(serde_json::json!({
            "package_id": "a", "linked_libs": [], "cfgs": [], "env": [], "out_dir": "/t/out",
            "linked_paths": ["native=/t/out/lib", "/t/other", "native=/usr/lib"],
        }));
        let mut libraries = Libraries::default();
        libraries.add_script(&script.unwrap(), Path::new("/t"));
        libraries.add("/rust/lib".into());
        libraries.add("/rust/lib".into());
        let path = Path::new("/t/debug/deps/it");
        let of = |present: Option<&str>| libraries.variable(path, present.map(OsString::from));
        let ours = "/t/out/lib:/t/other:/rust/lib:/t/debug/deps:/t/debug";
        assert_eq!(of(None).unwrap().1, ours);
        assert_eq!(of(Some("")).unwrap().1, ours);
        assert_eq!(of(Some("/opt/lib")).unwrap().1, format!("{ours}:/opt/lib"));
    }
}
