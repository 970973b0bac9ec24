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

/// The directories of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Libraries {
    /// What build scripts say, in the order in which it is searched.
    scripts: Vec<PathBuf>,
    /// The compiler's own, searched after what was built.
    compiler: Option<PathBuf>,
}

impl Libraries {
    /// Adds what a build script says, of it what lies below `target_dir`:
    /// the system's own directories are searched anyway.
    pub(super) fn add_script(&mut self, script: &BuildScript, target_dir: &Path) {
        for path in &script.linked_paths {
            // `native=/path`, or the path alone.
            let path = path.as_str();
            let path = Path::new(path.split_once('=').map_or(path, |(_, path)| path));
            if path.starts_with(target_dir) && !self.scripts.iter().any(|dir| dir == path) {
                self.scripts.push(path.to_owned());
            }
        }
    }

    /// Adds the directory of the compiler's own.
    pub(super) fn add_compiler(&mut self, dir: PathBuf) {
        self.compiler = Some(dir);
    }

    /// The variable for a binary at `path`, before what it is in `present`.
    pub(super) fn variable(
        &self,
        path: &Path,
        present: Option<OsString>,
    ) -> Option<(String, OsString)> {
        let mut beside: Vec<_> = path
            .ancestors()
            .skip(1)
            .take(2)
            .map(Path::to_owned)
            .collect();
        // Cargo has `debug` before `debug/deps`.
        beside.reverse();
        let present = present.unwrap_or_default();
        let present = std::env::split_paths(&present).filter(|dir| !dir.as_os_str().is_empty());
        let scripts = self.scripts.iter().cloned();
        let built = scripts.chain(beside).chain(self.compiler.clone());
        let value = std::env::join_paths(built.chain(present)).ok()?;
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
        libraries.add_compiler("/rust/lib".into());
        let path = Path::new("/t/debug/deps/it");
        let of = |present: Option<&str>| libraries.variable(path, present.map(OsString::from));
        let ours = "/t/out/lib:/t/other:/t/debug:/t/debug/deps:/rust/lib";
        assert_eq!(of(None).unwrap().1, ours);
        assert_eq!(of(Some("")).unwrap().1, ours);
        let all = format!("{ours}:/opt/lib");
        assert_eq!(of(Some("/opt/lib")).unwrap().1, *all);
    }
}
