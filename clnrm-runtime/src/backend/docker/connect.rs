//! Opens a connection to the first engine that answers, and says which one it is.

use std::time::Duration;

use testcontainers::bollard::{API_DEFAULT_VERSION, Docker, errors::Error as EngineError};
use testcontainers::core::client::docker_client_instance;
use testcontainers::core::error::ClientError;
use tokio::time::timeout;

use super::find::{Candidate, Environment, candidates};
use super::refusal::Refusal;
use super::refuse::chain;
use crate::error::{CleanroomError, Result};

/// How long an engine may take to answer a ping.
const PING: Duration = Duration::from_secs(5);

/// Seconds that any other request may take: testcontainers' own limit.
const REQUEST_SECONDS: u64 = 120;

/// How containers are made on an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    /// By testcontainers, which goes to this engine by itself.
    Testcontainers,
    /// By the same requests through bollard, as testcontainers can be told of no
    /// other engine than the environment's.
    Bollard,
}

/// An engine that answers.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub(super) docker: Docker,
    pub(super) address: String,
    pub(super) maker: Maker,
}

/// Tries the addresses in order.
///
/// # Errors
/// When none answers; the error says what each said.
pub(super) async fn connect(around: &Environment) -> Result<Connection> {
    first_of(candidates(around)?).await
}

async fn first_of(candidates: Vec<Candidate>) -> Result<Connection> {
    let mut tried = Vec::new();
    let mut worst = Refusal::Silent;
    for candidate in candidates {
        match open(&candidate).await {
            Ok(connection) => return Ok(connection),
            Err((refusal, why)) => {
                tried.push(format!("{} ({}): {why}", candidate.address, candidate.from));
                if refusal != Refusal::Silent {
                    worst = refusal;
                }
            }
        }
    }
    if tried.is_empty() {
        tried.push("no socket of Docker or Podman in the usual places".to_owned());
    }
    let hint = match worst {
        Refusal::Forbidden => {
            "add yourself to the group that owns the socket (`sudo usermod -aG docker $USER`, then log in anew), or use a rootless engine"
        }
        Refusal::Slow => "look at the engine's own log; restart it",
        _ => "start the engine, set DOCKER_HOST, or run with `--backend process`",
    };
    Err(
        CleanroomError::container_error("no container engine answers")
            .with_context("tried", tried.join("\n"))
            .with_hint(hint),
    )
}

async fn open(candidate: &Candidate) -> Result<Connection, (Refusal, String)> {
    let explain = |error: EngineError| (Refusal::of(&error), chain(&error));
    let docker = if candidate.is_testcontainers_own {
        docker_client_instance()
            .await
            .map_err(|error| match error {
                ClientError::Init(error) => explain(error),
                other => (Refusal::Other, other.to_string()),
            })?
    } else {
        client(candidate).map_err(explain)?
    };
    match timeout(PING, docker.ping()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Err(explain(error)),
        Err(_) => return Err((Refusal::Slow, format!("no answer within {PING:?}"))),
    }
    Ok(Connection {
        docker,
        address: candidate.address.clone(),
        maker: match candidate.is_testcontainers_own {
            true => Maker::Testcontainers,
            false => Maker::Bollard,
        },
    })
}

fn client(candidate: &Candidate) -> Result<Docker, EngineError> {
    let address = candidate.address.as_str();
    match (&candidate.certificates, address.split_once("://")) {
        (_, Some(("unix", _))) => {
            Docker::connect_with_unix(address, REQUEST_SECONDS, API_DEFAULT_VERSION)
        }
        (Some(directory), Some(("tcp" | "https", _))) => Docker::connect_with_ssl(
            address,
            &directory.join("key.pem"),
            &directory.join("cert.pem"),
            &directory.join("ca.pem"),
            REQUEST_SECONDS,
            API_DEFAULT_VERSION,
        ),
        (None, Some(("tcp" | "http", _))) => {
            Docker::connect_with_http(address, REQUEST_SECONDS, API_DEFAULT_VERSION)
        }
        _ => Err(EngineError::UnsupportedURISchemeError {
            uri: address.to_owned(),
        }),
    }
}

/// An engine, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    /// Name and version, for example `Docker 20.10.24`.
    pub(super) version: String,
    /// What tells it apart from every other.
    pub(super) identity: String,
    /// Whether it is Podman.
    pub(super) is_podman: bool,
    /// Whether the loopback ports that it publishes are ours too.
    pub(super) is_local: bool,
}

/// Asks the engine what it is.
pub(super) async fn describe(connection: &Connection) -> Result<Description, EngineError> {
    let (version, info) = tokio::try_join!(connection.docker.version(), connection.docker.info())?;
    let parts = version.components.unwrap_or_default();
    let is_podman = parts.iter().any(|part| part.name.contains("Podman"));
    let name = if is_podman { "Podman" } else { "Docker" };
    let number = version
        .version
        .unwrap_or_else(|| "of no version".to_owned());
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    // Podman makes up another id for each answer.
    let identity = match info.id.clone() {
        Some(id) if !is_podman && !id.is_empty() => id,
        _ => format!("{}:{}", part(&info.name), part(&info.docker_root_dir)),
    };
    Ok(Description {
        version: format!("{name} {number}"),
        identity,
        is_podman,
        is_local: is_local(
            &connection.address,
            in_container(),
            info.name.as_deref(),
            &host_name(),
        ),
    })
}

/// An engine whose socket was mounted into our container publishes on the
/// loopback of its own host and not on ours. One that runs on the very host that
/// we are (in the same container, or with the host's network) has our name.
fn is_local(address: &str, in_container: bool, engines_name: Option<&str>, our_name: &str) -> bool {
    address.starts_with("unix://") && (!in_container || engines_name == Some(our_name))
}

fn in_container() -> bool {
    let marks = ["/.dockerenv", "/run/.containerenv"];
    marks.iter().any(|mark| std::path::Path::new(mark).exists())
}

fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_local_where_its_loopback_is_ours() {
        let socket = "unix:///var/run/docker.sock";
        assert!(is_local(socket, false, Some("any"), "us"));
        assert!(
            is_local(socket, true, Some("us"), "us"),
            "beside us in one container"
        );
        assert!(
            !is_local(socket, true, Some("host"), "us"),
            "a mounted socket"
        );
        assert!(!is_local(socket, true, None, "us"));
        assert!(!is_local("tcp://10.0.0.7:2375", false, Some("us"), "us"));
    }

    /// Asks `address`, past testcontainers, which reads the real DOCKER_HOST.
    async fn refused(address: &str) -> (Refusal, String) {
        let candidate = Candidate {
            address: address.to_owned(),
            from: "test".to_owned(),
            certificates: None,
            is_testcontainers_own: false,
        };
        open(&candidate).await.unwrap_err()
    }

    /// A socket that an engine left: a child that another test is just starting may still have it.
    fn leave(path: &std::path::Path) {
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).unwrap();
    }

    #[tokio::test]
    async fn nobody_at_an_address_is_told_from_an_address_that_is_none() {
        let directory = tempfile::TempDir::new().unwrap();
        let stale = directory.path().join("docker.sock");
        leave(&stale);
        let port = crate::backend::process::port::reserve().unwrap();
        for address in [
            "unix:///nonexistent/docker.sock".to_owned(),
            format!("unix://{}", stale.display()),
            format!("tcp://127.0.0.1:{port}"),
        ] {
            let (refusal, why) = refused(&address).await;
            assert_eq!(refusal, Refusal::Silent, "{address}: {why}");
        }
        let (refusal, why) = refused("ftp://x").await;
        assert_eq!(refusal, Refusal::Other);
        assert!(why.contains("ftp://x"), "{why}");
    }

    #[tokio::test]
    async fn what_was_tried_is_said() {
        let directory = tempfile::TempDir::new().unwrap();
        let socket = directory.path().join("podman/podman.sock");
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        leave(&socket);
        let around = Environment {
            runtime: Some(directory.path().to_owned()),
            context: Some("default".to_owned()),
            ..Environment::default()
        };
        let candidates = candidates(&around).unwrap().into_iter();
        let ours = candidates.filter(|candidate| candidate.address.contains("podman/podman.sock"));
        let error = first_of(ours.collect()).await.unwrap_err();
        let tried = error.context("tried").unwrap();
        assert!(tried.contains("podman.sock (its usual place): "), "{tried}");
        assert!(error.hint().unwrap().starts_with("start the engine"));
        let error = first_of(Vec::new()).await.unwrap_err();
        assert!(error.context("tried").unwrap().starts_with("no socket"));
    }
}
