//! Where the services of a run are, and whether they can be there on this machine.

use std::io::{self, Write};
use std::process::{Command, Stdio};

/// What runs services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Process,
    Docker,
}

impl Backend {
    /// Whether it is there. A test that skips says so loudly, which is an error where Docker is required.
    pub(crate) fn is_there(self) -> bool {
        let images = ["clnrm-test/postgres:15", "clnrm-test/redis:7"];
        let missing = match self {
            Self::Process => return true,
            Self::Docker => images.iter().find_map(|image| {
                docker(&["image", "inspect", "--format", "{{.Id}}", image]).err()
            }),
        };
        let Some(error) = missing else { return true };
        let required = std::env::var_os("CLNRM_REQUIRE_DOCKER").is_some_and(|value| value == "1");
        assert!(
            !required,
            "CLNRM_REQUIRE_DOCKER=1, and {error} (hint: run `cargo xtask images`)"
        );
        // Unlike a print, this is not captured: that a test checks nothing must be seen.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED, as docker is not there: {error} (hint: run `cargo xtask images`)"
        );
        false
    }

    /// Makes a command use it.
    pub(crate) fn choose(self, command: &mut Command) {
        match self {
            Self::Process => command
                .env("CLNRM_BACKEND", "process")
                .env("DOCKER_HOST", "unix:///nonexistent"),
            Self::Docker => command.env("CLNRM_BACKEND", "docker"),
        };
    }
}

/// What `docker` prints, without the last newline, or why it failed.
pub(crate) fn docker(args: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Makes each of the functions, which take a [`Backend`], a test on each of both.
macro_rules! on_each_backend {
    ($($name:ident),+ $(,)?) => {
        mod on_process {
            $(#[test]
            fn $name() {
                super::$name($crate::backend::Backend::Process);
            })+
        }

        mod on_docker {
            $(#[test]
            fn $name() {
                if $crate::backend::Backend::Docker.is_there() {
                    super::$name($crate::backend::Backend::Docker);
                }
            })+
        }
    };
}
pub(crate) use on_each_backend;
