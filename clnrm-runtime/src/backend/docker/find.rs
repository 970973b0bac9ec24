//! Where a container engine may answer: environment, contexts, and the sockets of Docker and Podman.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::{CleanroomError, Result};

/// What of the process's surroundings says where the engine is.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    /// `DOCKER_HOST`.
    pub(super) host: Option<String>,
    /// `DOCKER_CONTEXT`.
    pub(super) context: Option<String>,
    /// The directory of Docker's configuration: `DOCKER_CONFIG`, or `~/.docker`.
    pub(super) config: Option<PathBuf>,
    /// The home directory.
    pub(super) home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`, or `/run/user/<uid>`.
    pub(super) runtime: Option<PathBuf>,
}

impl Environment {
    /// The surroundings of this process.
    pub(super) fn of_this_process() -> Self {
        let var = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = var("HOME").map(PathBuf::from);
        let uid = rustix::process::getuid().as_raw();
        Self {
            host: var("DOCKER_HOST"),
            context: var("DOCKER_CONTEXT"),
            config: var("DOCKER_CONFIG")
                .map(PathBuf::from)
                .or_else(|| Some(home.as_ref()?.join(".docker"))),
            runtime: var("XDG_RUNTIME_DIR")
                .map(PathBuf::from)
                .or_else(|| Some(format!("/run/user/{uid}").into())),
            home,
        }
    }
}

/// An address at which an engine may answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// `unix:///…`, `tcp://…`.
    pub(super) address: String,
    /// Where the address comes from, for messages.
    pub(super) from: String,
    /// The directory with `ca.pem`, `cert.pem` and `key.pem`, where a context has one.
    pub(super) certificates: Option<PathBuf>,
    /// Whether testcontainers' own client goes there by itself.
    pub(super) is_testcontainers_own: bool,
}

/// The addresses to try, best first. One that was asked for is the only one.
///
/// The order is that of Docker's command line, then the rootless sockets, then
/// Podman's: `DOCKER_CONTEXT`, `DOCKER_HOST`, the current context, sockets.
///
/// # Errors
/// When a context is named that does not exist or cannot be used.
pub(super) fn candidates(around: &Environment) -> Result<Vec<Candidate>> {
    // The context `default` means what would hold without contexts.
    let asked = around.context.as_deref().filter(|name| *name != DEFAULT);
    if let Some(name) = asked {
        return Ok(vec![of_context(around, name, "DOCKER_CONTEXT")?]);
    }
    if let Some(host) = &around.host {
        return Ok(vec![Candidate {
            address: host.clone(),
            from: "DOCKER_HOST".to_owned(),
            certificates: None,
            is_testcontainers_own: true,
        }]);
    }
    let current = match &around.context {
        Some(_) => None,
        None => current_context(around).filter(|name| !name.is_empty() && name != DEFAULT),
    };
    match current {
        Some(name) => Ok(vec![of_context(
            around,
            &name,
            "the current Docker context",
        )?]),
        None => Ok(sockets(around)),
    }
}

/// Docker's name for no context at all.
const DEFAULT: &str = "default";

/// The sockets that exist. testcontainers takes the first of the first four.
fn sockets(around: &Environment) -> Vec<Candidate> {
    let below = |base: &Option<PathBuf>, path: &str| Some(base.as_ref()?.join(path));
    let theirs = [
        Some(PathBuf::from("/var/run/docker.sock")),
        below(&around.runtime, ".docker/run/docker.sock"),
        below(&around.home, ".docker/run/docker.sock"),
        below(&around.home, ".docker/desktop/docker.sock"),
    ];
    let ours = [
        below(&around.runtime, "docker.sock"),
        below(&around.runtime, "podman/podman.sock"),
        Some(PathBuf::from("/run/podman/podman.sock")),
    ];
    let first = theirs.iter().flatten().find(|path| path.exists()).cloned();
    let all = theirs.into_iter().chain(ours).flatten();
    let present = all.filter(|path| path.exists());
    present
        .map(|path| Candidate {
            address: format!("unix://{}", path.display()),
            from: "its usual place".to_owned(),
            certificates: None,
            is_testcontainers_own: first.as_ref() == Some(&path),
        })
        .collect()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    current_context: Option<String>,
}

fn current_context(around: &Environment) -> Option<String> {
    let text = std::fs::read_to_string(around.config.as_ref()?.join("config.json")).ok()?;
    serde_json::from_str::<Config>(&text).ok()?.current_context
}

/// `contexts/meta/<sha256 of the name>/meta.json`, as Docker's command line writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    endpoints: MetaEndpoints,
}

#[derive(Debug, Deserialize)]
struct MetaEndpoints {
    docker: MetaEndpoint,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetaEndpoint {
    host: String,
}

fn of_context(around: &Environment, name: &str, from: &str) -> Result<Candidate> {
    let refuse = |why: String| {
        CleanroomError::validation_error(format!("{from} is `{name}`: {why}")).with_hint(
            "`docker context ls` lists those that exist; `docker context use default` goes back",
        )
    };
    let config = around
        .config
        .as_deref()
        .ok_or_else(|| refuse("there is no home directory to look for it in".to_owned()))?;
    let digest = hex(&Sha256::digest(name.as_bytes()));
    let contexts = config.join("contexts");
    let path = contexts.join("meta").join(&digest).join("meta.json");
    let meta: Meta =
        read(&path).map_err(|why| refuse(format!("cannot read its definition: {why}")))?;
    let address = meta.endpoints.docker.host;
    if address.starts_with("ssh://") {
        return Err(refuse(format!("`{address}` is reached by ssh, which is not supported"))
            .with_hint("forward its socket, for example `ssh -L /tmp/docker.sock:/var/run/docker.sock HOST`, and set DOCKER_HOST"));
    }
    let certificates = contexts.join("tls").join(&digest).join("docker");
    Ok(Candidate {
        address,
        from: format!("{from} (`{name}`)"),
        certificates: certificates.is_dir().then_some(certificates),
        is_testcontainers_own: false,
    })
}

fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn around(dir: &TempDir) -> Environment {
        Environment {
            config: Some(dir.path().join(".docker")),
            home: Some(dir.path().to_owned()),
            runtime: Some(dir.path().join("run")),
            ..Environment::default()
        }
    }

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn context(dir: &TempDir, name: &str, host: &str) {
        let digest = hex(&Sha256::digest(name.as_bytes()));
        let meta = dir.path().join(".docker/contexts/meta").join(digest);
        fs::create_dir_all(&meta).unwrap();
        let text = format!(
            r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
        );
        fs::write(meta.join("meta.json"), text).unwrap();
    }

    fn addresses(around: &Environment) -> Vec<String> {
        let all = candidates(around).unwrap().into_iter();
        // What this machine itself has in `/var/run` and `/run` is not ours to know.
        all.map(|candidate| candidate.address)
            .filter(|address| !address.contains("///run/") && !address.contains("///var/run/"))
            .collect()
    }

    #[test]
    fn docker_host_is_the_only_one_when_it_is_set() {
        let dir = TempDir::new().unwrap();
        let mut around = around(&dir);
        around.host = Some("unix:///nonexistent".to_owned());
        let all = candidates(&around).unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].address, "unix:///nonexistent");
        assert!(all[0].is_testcontainers_own);
    }

    #[test]
    fn the_current_context_comes_before_the_sockets_and_after_docker_host() {
        let dir = TempDir::new().unwrap();
        let mut around = around(&dir);
        context(&dir, "colima", "unix:///colima.sock");
        fs::write(
            dir.path().join(".docker/config.json"),
            r#"{"currentContext":"colima"}"#,
        )
        .unwrap();
        touch(&dir.path().join("run/docker.sock"));
        assert_eq!(addresses(&around), ["unix:///colima.sock"]);
        around.host = Some("tcp://127.0.0.1:1".to_owned());
        assert_eq!(addresses(&around), ["tcp://127.0.0.1:1"]);
        around.context = Some("colima".to_owned());
        assert_eq!(addresses(&around), ["unix:///colima.sock"]);
    }

    #[test]
    fn rootless_and_podman_sockets_are_found() {
        let dir = TempDir::new().unwrap();
        let around = around(&dir);
        touch(&dir.path().join("run/podman/podman.sock"));
        touch(&dir.path().join("run/docker.sock"));
        touch(&dir.path().join(".docker/run/docker.sock"));
        let unix = |path: &str| format!("unix://{}", dir.path().join(path).display());
        assert_eq!(
            addresses(&around),
            [
                unix(".docker/run/docker.sock"),
                unix("run/docker.sock"),
                unix("run/podman/podman.sock"),
            ]
        );
        let podman = candidates(&around).unwrap().into_iter();
        let mut podman =
            podman.filter(|candidate| candidate.address.ends_with("podman/podman.sock"));
        assert!(!podman.next().unwrap().is_testcontainers_own);
    }

    #[test]
    fn a_context_that_cannot_be_used_is_an_error() {
        let dir = TempDir::new().unwrap();
        let mut around = around(&dir);
        around.context = Some("gone".to_owned());
        let error = candidates(&around).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("DOCKER_CONTEXT is `gone`: cannot read its definition"),
            "{error}"
        );
        context(&dir, "far", "ssh://me@there");
        around.context = Some("far".to_owned());
        let error = candidates(&around).unwrap_err();
        assert!(
            error.message().contains("ssh, which is not supported"),
            "{error}"
        );
        around.context = Some("default".to_owned());
        assert!(candidates(&around).is_ok());
    }
}
