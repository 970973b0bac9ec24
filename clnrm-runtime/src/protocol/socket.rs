//! The coordinator's socket: a short path, closed to other users at both ends.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::net::{UnixListener, UnixStream};

use crate::error::{CleanroomError, Result};

/// The kernel takes 108 bytes on Linux and 104 on macOS, the end included.
pub const MAX_SOCKET_PATH_BYTES: usize = 100;

/// Listens at `path`, which only this user can open.
///
/// # Errors
/// When the path is too long or taken, or its directory does not exist.
///
/// # Panics
/// Outside a tokio runtime.
pub fn bind(path: &Path) -> Result<UnixListener> {
    let length = path.as_os_str().as_bytes().len();
    if length >= MAX_SOCKET_PATH_BYTES {
        return Err(CleanroomError::validation_error(format!(
            "the path of the coordinator's socket has {length} bytes, the limit is {MAX_SOCKET_PATH_BYTES}"
        ))
        .with_context("path", path.display())
        .with_hint("set `CLNRM_TMPDIR` to a shorter directory"));
    }
    let refused = |error: io::Error| {
        CleanroomError::protocol_error(format!("cannot listen at `{}`", path.display()))
            .with_source(error)
    };
    let listener = UnixListener::bind(path).map_err(refused)?;
    // Between the two calls the directory, 0700, is what keeps others out.
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(refused)?;
    Ok(listener)
}

/// The next connection of a process of this user; those of others are closed.
///
/// # Errors
/// When the kernel cannot give one.
pub async fn accept(listener: &UnixListener) -> io::Result<UnixStream> {
    loop {
        let (stream, _) = listener.accept().await?;
        if is_our_own(&stream)? {
            return Ok(stream);
        }
        tracing::warn!("another user dialled the coordinator's socket, and was refused");
    }
}

/// Whether the process at the other end runs as this user: the kernel says so.
///
/// # Errors
/// When the kernel does not know.
pub fn is_our_own(stream: &UnixStream) -> io::Result<bool> {
    Ok(stream.peer_cred()?.uid() == rustix::process::geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn only_this_user_can_open_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _listener = bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_says_what_to_set() {
        let dir = tempfile::tempdir().unwrap();
        let error = bind(&dir.path().join("x".repeat(100))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        assert_eq!(
            error.hint(),
            Some("set `CLNRM_TMPDIR` to a shorter directory")
        );
    }

    #[tokio::test]
    async fn a_connection_of_this_user_is_accepted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = bind(&path).unwrap();
        let (accepted, dialled) = tokio::join!(accept(&listener), UnixStream::connect(&path));
        assert!(is_our_own(&accepted.unwrap()).unwrap());
        assert!(is_our_own(&dialled.unwrap()).unwrap());
    }
}
