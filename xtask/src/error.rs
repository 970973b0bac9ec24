//! Why a task failed, in words that name the command and the way out.

use std::io;
use std::process::ExitStatus;

/// The result of a task.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot run `{command}`: {source}")]
    Spawn { command: String, source: io::Error },
    #[error("`{command}` failed with {status}{output}")]
    Failed {
        command: String,
        status: ExitStatus,
        output: Tail,
    },
    #[error("`{command}` gave no answer within {seconds} s")]
    Silent { command: String, seconds: u64 },
    #[error("cannot {what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("cannot read the output of `{command}`: {source}")]
    Json {
        command: String,
        source: serde_json::Error,
    },
    #[error(
        "no container engine answers: {reason} (hint: `apt-get install docker.io`, start it with `systemctl start docker` \
         or `dockerd`, and check that `docker version` shows a server; `DOCKER_HOST` names an engine elsewhere)"
    )]
    NoEngine { reason: Box<Error> },
    #[error(
        "{programs} not found, and there is no `apt-get` to install {packages} with (hint: install them by hand)"
    )]
    NoApt { programs: String, packages: String },
    #[error(
        "cannot install {packages}, which needs root (hint: run `sudo apt-get install --no-install-recommends {packages}`)"
    )]
    NotRoot { packages: String },
    #[error(
        "cannot install {packages}: {reason} (hint: see that `apt-get update` works, then run \
         `apt-get install --no-install-recommends {packages}` by hand)"
    )]
    Apt {
        packages: String,
        reason: Box<Error>,
    },
    #[error("`{program}` is still missing after `apt-get` installed {package}")]
    StillMissing {
        program: &'static str,
        package: &'static str,
    },
    #[error("cannot build `{image}`: {reason}")]
    Image {
        image: &'static str,
        reason: Box<Error>,
    },
    #[error("cargo knows no package `{0}` in this workspace")]
    NoPackage(&'static str),
    #[error("the tests left behind:{}", bullets(.0))]
    Leftovers(Vec<String>),
}

impl Error {
    /// A failed file operation, to be used with `map_err`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// The last lines of a command's output, shown below its failure; empty where the output went to the terminal.
#[derive(Debug, Default)]
pub(crate) struct Tail(Vec<String>);

impl Tail {
    const LINES: usize = 20;

    pub(crate) fn of(output: &str) -> Self {
        let lines: Vec<_> = output
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        Self(
            lines
                .iter()
                .skip(lines.len().saturating_sub(Self::LINES))
                .map(|line| (*line).to_owned())
                .collect(),
        )
    }
}

impl std::fmt::Display for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, ", its last lines:\n    {}", self.0.join("\n    "))
        }
    }
}

fn bullets(items: &[String]) -> String {
    items.iter().map(|item| format!("\n  - {item}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_last_lines_that_say_something() {
        let output: String = (1..=30).map(|n| format!("line {n}\n\n")).collect();
        let tail = Tail::of(&output).to_string();
        assert!(
            tail.starts_with(", its last lines:\n    line 11\n    line 12\n"),
            "{tail}"
        );
        assert!(tail.ends_with("    line 30"), "{tail}");
        assert_eq!(Tail::of(" \n").to_string(), "");
    }

    #[test]
    fn leftovers_are_listed_one_a_line() {
        let error = Error::Leftovers(vec!["process 7".to_owned(), "container c".to_owned()]);
        assert_eq!(
            error.to_string(),
            "the tests left behind:\n  - process 7\n  - container c"
        );
    }
}
