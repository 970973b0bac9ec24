//! The entry before `main`: a binary that was started as a keeper or as a shim
//! never gets there.

use std::ffi::{CStr, OsString};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::{SocketType, sockopt};

use super::{limit, server, shim};
use crate::error::{CleanroomError, Result};
use crate::sys;

/// Makes the own binary a keeper.
pub(super) const KEEPER_VARIABLE: &str = "CLNRM_KEEPER";
/// Makes the own binary a shim.
pub(super) const SHIM_VARIABLE: &str = "CLNRM_SHIM";

/// What engine clients read, and what the dynamic linker needs to load the own
/// binary once more.
const KEPT: [&str; 6] = [
    "CONTAINER_HOST",
    "HOME",
    "LD_LIBRARY_PATH",
    "PATH",
    "RUST_BACKTRACE",
    "XDG_RUNTIME_DIR",
];
const KEPT_PREFIXES: [&str; 2] = ["DOCKER_", "TESTCONTAINERS_"];

static ENTERED: AtomicBool = AtomicBool::new(false);

/// What every process of this binary calls before `main`.
pub(crate) fn enter() {
    ENTERED.store(true, Ordering::Relaxed);
    if std::env::var_os(KEEPER_VARIABLE).is_some() {
        let code = run(KEEPER_VARIABLE, c"clnrm-keeper", server::main);
        sys::exit_now(code);
    }
    if std::env::var_os(SHIM_VARIABLE).is_some() {
        let code = run(SHIM_VARIABLE, c"clnrm-shim", |socket| shim::main(&socket));
        sys::exit_now(code);
    }
}

/// Refuses to start a keeper out of a binary that would not become one: it
/// would do whatever else it does.
pub(super) fn check() -> Result<()> {
    if ENTERED.load(Ordering::Relaxed) {
        return Ok(());
    }
    Err(CleanroomError::internal_error(
        "this binary cannot be its own keeper: the entry before `main` did not run",
    ))
}

/// The environment of a keeper and its shims.
pub(super) fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    let kept = std::env::vars_os().filter(|(name, _)| {
        let kept = KEPT.iter().any(|kept| name == kept);
        let prefixes = KEPT_PREFIXES.iter();
        kept || prefixes
            .map(|prefix| prefix.as_bytes())
            .any(|prefix| name.as_bytes().starts_with(prefix))
    });
    kept.chain(limit::variable())
}

fn run(variable: &str, name: &CStr, main: fn(OwnedFd) -> Result<()>) -> i32 {
    let result = socket(variable).and_then(|socket| {
        // It only helps to tell processes apart.
        let _ = rustix::thread::set_name(name);
        main(socket)
    });
    let Err(error) = result else { return 0 };
    // For the keeper this is its log; where that is gone, nobody reads it.
    let _ = writeln!(std::io::stderr(), "{error:?}");
    96
}

/// The connection to who started this, which is standard input.
fn socket(variable: &str) -> Result<OwnedFd> {
    if sockopt::socket_type(std::io::stdin()) != Ok(SocketType::SEQPACKET) {
        return Err(CleanroomError::validation_error(format!(
            "`{variable}` is set, but standard input leads to no keeper"
        ))
        .with_hint(format!("unset `{variable}`: it is not for people")));
    }
    sys::take_stdin().map_err(|error| {
        CleanroomError::internal_error("cannot take standard input").with_source(error)
    })
}
