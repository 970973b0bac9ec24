//! The shim: what a child is before it is its program. It sets what the child
//! must have, and is replaced by the program; or it makes the namespace's init.

use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal, setsid};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::channel::{receive, send};
use super::init;
use super::limit;
use super::message::{Order, Report};
use super::spawn::{Spawn, User};
use crate::error::{CleanroomError, Result};
use crate::run::RUN_VARIABLE;
use crate::sys;

/// Tells the children of one keeper apart, in what detached from them too.
pub(super) const CHILD_VARIABLE: &str = "CLNRM_CHILD";

/// The standard files of a program.
#[derive(Debug)]
pub(super) struct Files {
    stdin: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// What a shim does. Returns only when it has nothing to do any more.
pub(super) fn main(socket: &OwnedFd) -> Result<()> {
    let incoming = receive(socket).map_err(|error| {
        CleanroomError::internal_error("a shim cannot hear its keeper").with_source(error)
    })?;
    // A keeper that ended in between wants nothing.
    let Some(mut incoming) = incoming else {
        return Ok(());
    };
    let order: Order = incoming.parse()?;
    let mut files = Files::take(&mut incoming.files)?;
    if order.spawn.isolate {
        files = match init::start(&order, files, socket) {
            Ok(()) => return Ok(()),
            Err((reason, files)) => {
                send(socket, &Report::Refused(reason), &[])?;
                files
            }
        };
    }
    let parent = i32::try_from(order.keeper).ok().and_then(Pid::from_raw);
    let Err(error) = become_program(&order, files, parent);
    // The socket is closed by a successful exec, and that is the success.
    send(socket, &Report::Failed(error), &[])
}

/// Turns this process into the program of `order`. `parent` is who must still
/// be its parent when its life is bound to the parent's.
pub(super) fn become_program(
    order: &Order,
    files: Files,
    parent: Option<Pid>,
) -> Result<Infallible, CleanroomError> {
    let spawn = &order.spawn;
    let cannot = |what: &str| {
        let message = format!("cannot start `{}`: {what}", spawn.program.display());
        move |error| CleanroomError::container_error(message).with_source(error)
    };
    setsid()
        .map_err(io::Error::from)
        .map_err(cannot("no session of its own"))?;
    let into = format!("cannot enter `{}`", spawn.workdir.display());
    std::env::set_current_dir(&spawn.workdir).map_err(cannot(&into))?;
    if let Some(user) = spawn.user {
        let into = format!("cannot become user {} of group {}", user.uid, user.gid);
        become_user(user).map_err(cannot(&into))?;
    }
    // Only now: a change of the user clears it.
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(io::Error::from)
        .map_err(cannot("cannot bind it to its keeper"))?;
    if getppid() != parent {
        return Err(CleanroomError::internal_error(
            "the keeper ended while it started a child",
        ));
    }
    sys::default_signals();
    limit::restore();
    Err(exec(order, files))
}

/// The real, effective and saved user, and one group.
fn become_user(user: User) -> io::Result<()> {
    let same_user = rustix::process::getuid().as_raw() == user.uid;
    let same_group = rustix::process::getgid().as_raw() == user.gid;
    if same_user && same_group {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_groups(&[gid])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

fn exec(order: &Order, files: Files) -> CleanroomError {
    let Spawn {
        program,
        args,
        env,
        user,
        ..
    } = &order.spawn;
    let error = Command::new(program)
        .args(args)
        .env_clear()
        .envs(env)
        .env(RUN_VARIABLE, order.run.as_str())
        .env(CHILD_VARIABLE, order.child.to_string())
        .stdin(files.stdin.map_or_else(Stdio::null, Stdio::from))
        .stdout(files.stdout)
        .stderr(files.stderr)
        .exec();
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    let message = format!("cannot start `{}`", program.display());
    let error = CleanroomError::container_error(message).with_source(error);
    match user {
        Some(user) if denied => error.with_hint(format!(
            "user {} must be able to reach and execute it, so every directory above it needs `chmod o+x`",
            user.uid
        )),
        _ => error,
    }
}

impl Files {
    /// In the order in which [`super::client`] sends them.
    fn take(files: &mut Vec<OwnedFd>) -> Result<Self> {
        let mut files = files.drain(..);
        match (files.next(), files.next(), files.next()) {
            (Some(stdout), Some(stderr), stdin) => Ok(Self {
                stdin,
                stdout,
                stderr,
            }),
            _ => Err(CleanroomError::protocol_error(
                "a child came without its standard files",
            )),
        }
    }
}
