//! What an engine refuses: its words recognised, said better, and what to do about them.

use std::error::Error as _;
use std::io;
use std::sync::LazyLock;

use regex::Regex;
use testcontainers::bollard::errors::Error as EngineError;

use super::refuse::About;

/// What an engine refuses, as far as its words can be recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody answers.
    Silent,
    /// The socket may not be opened.
    Forbidden,
    /// It does not answer in time.
    Slow,
    /// There is no such image here.
    ImageMissing,
    /// The image's name is malformed.
    BadReference,
    /// The image's program is for another kind of machine.
    ExecFormat,
    /// The program to run is not in the image.
    ProgramMissing(String),
    /// The program to run is there but may not be executed.
    NotExecutable(String),
    /// A port of the host is taken.
    PortTaken(Option<u16>),
    /// The disk of the engine is full.
    NoSpace,
    /// The network is gone.
    NetworkMissing,
    /// There are more networks than addresses for them.
    NoAddresses,
    /// A mounted path does not exist on the host.
    PathMissing(String),
    /// The user is not in the image.
    UserMissing(String),
    /// The name is taken.
    NameTaken,
    /// There is no such container, or nothing at that path in it.
    Gone,
    /// Something else.
    Other,
}

impl Refusal {
    pub(super) fn of(error: &EngineError) -> Self {
        match error {
            EngineError::DockerResponseServerError {
                status_code,
                message,
            } => Self::of_answer(*status_code, message),
            EngineError::DockerStreamError { error } => Self::of_answer(500, error),
            EngineError::RequestTimeoutError => Self::Slow,
            _ => Self::of_transport(error),
        }
    }

    /// Looks for the words of dockerd, containerd, runc and Podman.
    pub(super) fn of_answer(status: u16, message: &str) -> Self {
        let has = |words: &str| message.contains(words);
        if has("no space left on device") {
            Self::NoSpace
        } else if has("port is already allocated") || has("address already in use") {
            Self::PortTaken(capture(&HOST_PORT, message).and_then(|port| port.parse().ok()))
        } else if has("exec format error") {
            Self::ExecFormat
        } else if has("executable file not found") || has("OCI runtime") && has("no such file") {
            Self::ProgramMissing(capture(&PROGRAM, message).unwrap_or_default())
        } else if has("OCI runtime") && has("permission denied") {
            Self::NotExecutable(capture(&PROGRAM, message).unwrap_or_default())
        } else if has("o such image") || has("manifest unknown") || has("image not known") {
            Self::ImageMissing
        } else if has("invalid reference format") {
            Self::BadReference
        } else if has("source path does not exist") {
            Self::PathMissing(capture(&BIND_SOURCE, message).unwrap_or_default())
        } else if has("unable to find user") {
            Self::UserMissing(capture(&USER, message).unwrap_or_default())
        } else if has("non-overlapping IPv4 address pool") || has("address pools have been fully") {
            Self::NoAddresses
        } else if has("network") && has("not found") {
            Self::NetworkMissing
        } else if status == 409 && has("already in use") {
            Self::NameTaken
        } else if status == 404 {
            Self::Gone
        } else {
            Self::Other
        }
    }

    fn of_transport(error: &EngineError) -> Self {
        // bollard shows some of the errors that it holds and not others.
        let mut next: Option<&(dyn std::error::Error + 'static)> = match error {
            EngineError::SocketNotFoundError(_) => return Self::Silent,
            EngineError::IOError { err } => Some(err),
            EngineError::HyperLegacyError { err } => Some(err),
            _ => error.source(),
        };
        while let Some(error) = next {
            match error.downcast_ref::<io::Error>().map(io::Error::kind) {
                Some(io::ErrorKind::PermissionDenied) => return Self::Forbidden,
                Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                    return Self::Silent;
                }
                _ => next = error.source(),
            }
        }
        Self::Other
    }

    /// What happened, when it can be said better than the engine does.
    pub(super) fn message(&self, about: &About) -> Option<String> {
        let image = about.image.as_deref().unwrap_or("of the service");
        Some(match self {
            Self::Silent => "no container engine answers".to_owned(),
            Self::Forbidden => "the container engine's socket may not be opened".to_owned(),
            Self::Slow => "the container engine does not answer in time".to_owned(),
            Self::ImageMissing => format!("image `{image}` is not present"),
            Self::BadReference => format!("`{image}` is no image reference"),
            Self::ExecFormat => {
                format!("the program of image `{image}` is for another kind of machine")
            }
            Self::ProgramMissing(program) => format!("image `{image}` has no program `{program}`"),
            Self::NotExecutable(program) => {
                format!("`{program}` in image `{image}` cannot be executed")
            }
            Self::PortTaken(Some(port)) => format!("port {port} of this host is taken"),
            Self::PortTaken(None) => "a port of this host is taken".to_owned(),
            Self::NoSpace => "the container engine has no space left".to_owned(),
            Self::NetworkMissing => "its network is gone".to_owned(),
            Self::NoAddresses => {
                "the container engine has no addresses left for a network".to_owned()
            }
            Self::PathMissing(path) => format!("mounted path `{path}` does not exist on the host"),
            Self::UserMissing(user) => format!("image `{image}` has no user `{user}`"),
            Self::NameTaken => "its container's name is taken".to_owned(),
            Self::Gone => "there is no such container, or nothing there".to_owned(),
            Self::Other => return None,
        })
    }

    pub(super) fn hint(&self, about: &About) -> Option<String> {
        let image = about.image.as_deref().unwrap_or("IMAGE");
        Some(match self {
            Self::Silent => {
                "start the engine, set DOCKER_HOST, or run with `--backend process`".to_owned()
            }
            Self::Forbidden => "add yourself to the group that owns the socket (`sudo usermod -aG docker $USER`, then log in anew), or use a rootless engine".to_owned(),
            Self::Slow => "look at the engine's own log; restart it".to_owned(),
            Self::ImageMissing => format!(
                "run `docker pull {image}`, or map the name to an image that is here under `[images]` in clnrm.toml"
            ),
            Self::BadReference => {
                "write it as `[host[:port]/]name:tag`, in lower case".to_owned()
            }
            Self::ExecFormat => "pull the image for this machine's processor, or check the first line of its script".to_owned(),
            Self::ProgramMissing(_) => {
                "check `command` and `entrypoint`: the first word is looked up in the image's PATH".to_owned()
            }
            Self::NotExecutable(_) => "name a program, and give its file the mode 0755".to_owned(),
            Self::PortTaken(_) => "leave out the host's port: a free one is chosen, and the handle says which".to_owned(),
            Self::NoSpace => "make room: `docker system df` says what takes it, `docker system prune` removes what is unused".to_owned(),
            Self::NetworkMissing => "somebody else removed it; do not prune networks while tests run".to_owned(),
            Self::NoAddresses => "remove unused networks with `docker network prune`, or give the engine more `default-address-pools`".to_owned(),
            Self::PathMissing(_) => "make it first; a relative path means the declaring crate's directory".to_owned(),
            Self::UserMissing(_) => "name a user of the image, or write a number".to_owned(),
            Self::NameTaken => "run `cargo clnrm clean`".to_owned(),
            Self::Gone | Self::Other => return None,
        })
    }
}

type Pattern = LazyLock<Option<Regex>>;
static HOST_PORT: Pattern = LazyLock::new(|| Regex::new(r"[0-9\]]:(\d+)(?: failed)?: ").ok());
static PROGRAM: Pattern = LazyLock::new(|| Regex::new(r#"exec: "([^"]*)""#).ok());
static BIND_SOURCE: Pattern = LazyLock::new(|| Regex::new(r"path does not exist: (\S+)").ok());
static USER: Pattern = LazyLock::new(|| Regex::new(r"unable to find user ([^:]+)").ok());

fn capture(pattern: &Pattern, text: &str) -> Option<String> {
    let captures = pattern.as_ref()?.captures(text)?;
    Some(captures.get(1)?.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, message: &str, expected: &Refusal) {
        assert_eq!(&Refusal::of_answer(status, message), expected, "{message}");
    }

    /// Word for word from dockerd 20.10 with runc 1.1, but where marked.
    #[test]
    fn the_engines_words_are_recognised() {
        let oci = |rest: &str| {
            format!(
                "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: {rest}: unknown"
            )
        };
        let endpoint = "driver failed programming external connectivity on endpoint x (ab12)";
        check(
            500,
            &format!("{endpoint}: Bind for 127.0.0.1:18098 failed: port is already allocated"),
            &Refusal::PortTaken(Some(18098)),
        );
        check(
            500,
            &format!(
                "{endpoint}: Error starting userland proxy: listen tcp4 127.0.0.1:18099: bind: address already in use"
            ),
            &Refusal::PortTaken(Some(18099)),
        );
        check(
            400,
            &oci(r#"exec: "nosuch": executable file not found in $PATH"#),
            &Refusal::ProgramMissing("nosuch".to_owned()),
        );
        check(
            400,
            &oci(r#"exec: "/x/y": stat /x/y: no such file or directory"#),
            &Refusal::ProgramMissing("/x/y".to_owned()),
        );
        check(
            400,
            &oci(r#"exec: "./etc": permission denied"#),
            &Refusal::NotExecutable("./etc".to_owned()),
        );
        // From newer versions of runc: 1.1 leaves it to the container's log.
        check(
            400,
            &oci(r#"exec: "/x": exec format error"#),
            &Refusal::ExecFormat,
        );
        check(404, "No such image: postgres:99", &Refusal::ImageMissing);
        check(
            400,
            "invalid reference format: repository name (library/Bad) must be lowercase",
            &Refusal::BadReference,
        );
        check(
            400,
            r#"invalid mount config for type "bind": bind source path does not exist: /nonexist"#,
            &Refusal::PathMissing("/nonexist".to_owned()),
        );
        check(
            400,
            "unable to find user nouser: no matching entries in passwd file",
            &Refusal::UserMissing("nouser".to_owned()),
        );
        check(404, "network nonet not found", &Refusal::NetworkMissing);
        // From Podman 4.3.
        check(
            500,
            "container create: unable to find network with name or ID x: network not found",
            &Refusal::NetworkMissing,
        );
        check(
            404,
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
            &Refusal::NoAddresses,
        );
        check(
            409,
            r#"Conflict. The container name "/x" is already in use by container "ab12"."#,
            &Refusal::NameTaken,
        );
        check(404, "No such container: x", &Refusal::Gone);
        check(500, "Minimum memory limit allowed is 6MB", &Refusal::Other);
        check(
            500,
            "failed to register layer: Error processing tar file(exit status 1): write /usr/lib/x: no space left on device",
            &Refusal::NoSpace,
        );
    }

    #[test]
    fn a_socket_that_may_not_be_opened_is_not_an_engine_that_is_off() {
        let of = |kind| {
            Refusal::of(&EngineError::IOError {
                err: io::Error::from(kind),
            })
        };
        assert_eq!(of(io::ErrorKind::PermissionDenied), Refusal::Forbidden);
        assert_eq!(of(io::ErrorKind::ConnectionRefused), Refusal::Silent);
        assert_eq!(of(io::ErrorKind::NotFound), Refusal::Silent);
    }
}
