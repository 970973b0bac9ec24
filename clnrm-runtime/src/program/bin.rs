//! Binaries of the workspace under test, built by cargo.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::process::Command;
use tokio::sync::Mutex;

use super::{cargo, found, missing};
use crate::config::bin_variable;
use crate::plan::ProgramProbe;

/// What this process has built, by package and name. Builds wait for each
/// other here, as they would in cargo.
#[derive(Debug, Default)]
pub(super) struct Built(Mutex<BTreeMap<(String, String), PathBuf>>);

/// Finds a binary: where the compiler or the coordinator knew it, else by
/// building it with `$CARGO`.
pub(super) async fn find(
    package: &str,
    name: &str,
    known: [Option<&Path>; 2],
    built: &Built,
) -> ProgramProbe {
    let handed = std::env::var_os(bin_variable(package, name)).map(PathBuf::from);
    let mut tried = Vec::new();
    for path in known.into_iter().flatten().chain(handed.as_deref()) {
        if path.is_file() {
            return found(path, None, "cargo", None);
        }
        tried.push(format!("`{}` does not exist", path.display()));
    }
    let mut built = built.0.lock().await;
    let key = (package.to_owned(), name.to_owned());
    if let Some(path) = built.get(&key) {
        return found(path, None, "cargo", None);
    }
    match build(None, package, name).await {
        Ok(path) => {
            let probe = found(&path, None, "cargo", None);
            built.insert(key, path);
            probe
        }
        Err(reason) => {
            tried.push(reason);
            missing(
                tried,
                format!("make `cargo build -p {package} --bin {name}` work"),
            )
        }
    }
}

/// Runs cargo, here or in `dir`, and reads where the binary is.
async fn build(dir: Option<&Path>, package: &str, name: &str) -> Result<PathBuf, String> {
    let dir = dir.unwrap_or(Path::new("."));
    let shown = format!("`cargo build -p {package} --bin {name}`");
    // No deadline: a first build takes as long as it takes, and the test that
    // waits for it has one.
    let output = Command::from(cargo())
        .current_dir(dir)
        .args(["build", "--package", package, "--bin", name])
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("{shown} cannot be run: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{shown} failed:\n{}", text.trim_end()));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    executable(&messages, name).ok_or_else(|| format!("{shown} built no binary `{name}`"))
}

/// The executable of the binary target `name` in cargo's messages.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
        target: Option<Target>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
        kind: Vec<String>,
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| {
            message.target.as_ref().is_some_and(|target| {
                target.name == name && target.kind.iter().any(|kind| kind == "bin")
            })
        })
        .find_map(|message| message.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_read_from_cargos_messages() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"name":"shop","kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"name":"shop","kind":["bin"]},"executable":"/t/debug/shop"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(messages, "shop"), Some("/t/debug/shop".into()));
        assert_eq!(executable(messages, "other"), None);
    }

    #[tokio::test]
    async fn a_known_path_is_taken_and_a_wrong_one_is_named() {
        let exe = std::env::current_exe().unwrap();
        let built = Built::default();
        let known = [Some(Path::new("/nonexistent/shop")), Some(exe.as_path())];
        let probe = find("clnrm-no-such-package", "shop", known, &built).await;
        assert!(matches!(probe, ProgramProbe::Found { path, .. } if path == exe));
        let known = [Some(Path::new("/nonexistent/shop")), None];
        let probe = find("clnrm-no-such-package", "shop", known, &built).await;
        let ProgramProbe::Missing { tried, .. } = probe else {
            panic!("{probe:?}")
        };
        assert_eq!(tried[0], "`/nonexistent/shop` does not exist");
        assert!(tried[1].contains("clnrm-no-such-package"), "{tried:?}");
    }

    #[tokio::test]
    async fn a_binary_is_built_by_cargo() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = "[package]\nname = \"tiny-bin\"\nedition = \"2024\"\n[workspace]\n";
        std::fs::create_dir(dir.path().join("src")).unwrap();
        std::fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
        std::fs::write(dir.path().join("src/main.rs"), "fn main() {}\n").unwrap();
        let path = dir.path().to_owned();
        let built = build(Some(&path), "tiny-bin", "tiny-bin").await.unwrap();
        assert!(built.is_file(), "{}", built.display());
    }
}
