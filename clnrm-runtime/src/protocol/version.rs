//! Two versions that meet, and the command that makes them one.

use std::error::Error;
use std::fmt;
use std::path::Path;

use super::wire;
use crate::error::CleanroomError;

/// The version of the protocol: of its messages and of the documents in them.
pub const VERSION: u32 = 2;

/// The release of this crate, for people.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// What one end of a connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// [`VERSION`] of it.
    pub protocol: u32,
    /// [`RELEASE`] of it.
    pub release: String,
}

impl Version {
    /// This process's.
    #[must_use]
    pub fn own() -> Self {
        Self {
            protocol: VERSION,
            release: RELEASE.to_owned(),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, release } = self;
        write!(f, "clnrm {release} with protocol {protocol}")
    }
}

/// A test binary and a `cargo clnrm` that do not understand each other.
///
/// It is the source of the [`CleanroomError`] that it becomes, so that the
/// coordinator can tell it from other errors: it exits with 92.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the test binary has {binary}, `cargo clnrm` has {coordinator}")]
pub struct Skew {
    /// The test binary's end.
    pub binary: Version,
    /// The coordinator's end.
    pub coordinator: Version,
    /// The command that installs the `cargo clnrm` of the test binary's release.
    pub install: String,
}

impl Skew {
    /// What a coordinator of this version makes of a caller.
    ///
    /// # Errors
    /// The skew, when the caller speaks another version.
    pub fn check_hello(hello: &wire::HelloRequest) -> Result<(), Self> {
        if hello.version == VERSION {
            return Ok(());
        }
        Err(Self {
            binary: Version {
                protocol: hello.version,
                release: hello.release.clone(),
            },
            coordinator: Version::own(),
            install: hello.install.clone(),
        })
    }

    /// What a test binary of this version makes of the coordinator.
    ///
    /// # Errors
    /// The skew, when the coordinator speaks another version.
    pub fn check_welcome(welcome: &wire::Welcome) -> Result<(), Self> {
        if welcome.version == VERSION {
            return Ok(());
        }
        Err(Self {
            binary: Version::own(),
            coordinator: Version {
                protocol: welcome.version,
                release: welcome.release.clone(),
            },
            install: install_command(),
        })
    }

    /// The skew that `error` stands for, if it does.
    #[must_use]
    pub fn of(error: &CleanroomError) -> Option<&Self> {
        error.source()?.downcast_ref()
    }
}

impl From<Skew> for CleanroomError {
    fn from(skew: Skew) -> Self {
        Self::protocol_error("the test binary and `cargo clnrm` are of different versions")
            .with_hint(format!("install the one that matches: `{}`", skew.install))
            .with_source(skew)
    }
}

/// The command that installs the `cargo clnrm` that this crate belongs to:
/// from the very sources that this crate was compiled from.
#[must_use]
pub fn install_command() -> String {
    install_from(Path::new(env!("CARGO_MANIFEST_DIR")), RELEASE)
}

/// A registry's sources lie in `registry/src/<registry>/<crate>-<version>`,
/// each crate by itself; a checkout has the subcommand beside this crate.
fn install_from(manifest_dir: &Path, release: &str) -> String {
    let is_package = |dir: &Path| dir.ends_with("registry/src");
    if manifest_dir.ancestors().any(is_package) {
        return format!("cargo install --locked cargo-clnrm@{release}");
    }
    let beside = manifest_dir
        .parent()
        .unwrap_or(manifest_dir)
        .join("cargo-clnrm");
    let path = beside.display().to_string();
    // A POSIX shell takes everything between single quotes as it is.
    format!(
        "cargo install --locked --path '{}'",
        path.replace('\'', r"'\''")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_installs_from_where_the_runtime_came() {
        let of = |dir: &str| install_from(Path::new(dir), "2.1.0");
        assert_eq!(
            of("/src/clnrm/clnrm-runtime"),
            "cargo install --locked --path '/src/clnrm/cargo-clnrm'"
        );
        assert_eq!(
            of("/it's/clnrm-runtime"),
            r"cargo install --locked --path '/it'\''s/cargo-clnrm'"
        );
        assert_eq!(
            of("/home/u/.cargo/registry/src/index/clnrm-runtime-2.1.0"),
            "cargo install --locked cargo-clnrm@2.1.0"
        );
    }

    #[test]
    fn a_skew_says_both_versions_and_the_command() {
        let hello = wire::HelloRequest {
            version: VERSION + 1,
            release: "2.1.0".to_owned(),
            install: "cargo install --locked cargo-clnrm@2.1.0".to_owned(),
            pid: 1,
        };
        let error = CleanroomError::from(Skew::check_hello(&hello).unwrap_err());
        assert_eq!(Skew::of(&error).unwrap().binary.release, "2.1.0");
        let report = error.report().replace(RELEASE, "[ours]");
        insta::assert_snapshot!(report, @r"
        the test binary and `cargo clnrm` are of different versions: the test binary has clnrm 2.1.0 with protocol 3, `cargo clnrm` has clnrm [ours] with protocol 2
          hint: install the one that matches: `cargo install --locked cargo-clnrm@2.1.0`
        ");
    }

    #[test]
    fn another_error_is_no_skew() {
        let error = CleanroomError::protocol_error("x").with_source(fmt::Error);
        assert_eq!(Skew::of(&error), None);
    }

    #[test]
    fn the_same_version_is_no_skew() {
        let welcome = wire::Welcome {
            version: VERSION,
            release: "another".to_owned(),
            error_json: None,
        };
        assert_eq!(Skew::check_welcome(&welcome), Ok(()));
    }
}
