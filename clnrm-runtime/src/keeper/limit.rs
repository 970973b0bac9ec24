//! The limit of open files. A run needs several for each test at once, and gets as many as it may have; what it starts
//! has the limit that it was itself started with.

use std::ffi::OsString;
use std::io;
use std::process::Command;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::sys;

/// Tells a keeper and its shims what the limit was.
const VARIABLE: &str = "CLNRM_OPEN_FILES";

/// What it was before this process raised it.
static FORMER: OnceLock<u64> = OnceLock::new();

/// Raises this process's limit of open files as far as it may be raised. Before any [`Keeper`](super::Keeper) is started.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let Some(former) = limit.current else { return };
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where it is refused, the error of what needs a file too many says what to do.
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_ok() {
        let _ = FORMER.set(former);
    }
}

/// The variable for a keeper and its shims, where there is something to restore.
pub(super) fn variable() -> Option<(OsString, OsString)> {
    let ours = FORMER.get().map(|former| former.to_string().into());
    let value = ours.or_else(|| std::env::var_os(VARIABLE))?;
    Some((VARIABLE.into(), value))
}

/// Gives this process, a shim, the limit that its program is to have.
pub(super) fn restore() {
    let Some(former) = std::env::var(VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok())
    else {
        return;
    };
    let limit = Rlimit {
        current: Some(former),
        ..getrlimit(Resource::Nofile)
    };
    // Lowering it is always allowed.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Gives what a command starts without a keeper the limit that this process
/// was itself started with.
pub(crate) fn restore_for(command: &mut Command) {
    if let Some(former) = FORMER.get() {
        sys::limit_open_files(command, *former);
    }
}

/// Which limit an error is about that came when something was to be started.
#[must_use]
pub fn limit_hint(error: &io::Error) -> &'static str {
    let files = [Errno::MFILE, Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    if files.contains(&error.raw_os_error()) {
        "raise the limit of open files (`ulimit -n`), or run fewer tests at once (`-j`)"
    } else {
        "look at the limit of processes: `ulimit -u`"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hint_is_about_the_limit_that_was_met() {
        let hint = |errno: Errno| limit_hint(&errno.into());
        assert!(hint(Errno::MFILE).contains("ulimit -n"));
        assert!(hint(Errno::AGAIN).contains("ulimit -u"));
    }
}
