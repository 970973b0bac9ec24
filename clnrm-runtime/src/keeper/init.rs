//! The first process of a namespace: parent of the program, and of whatever
//! loses its parent there. Its end is the end of everything in the namespace.
//!
//! It is not the program itself, because signals that the first process of a
//! namespace does not handle never reach it.

use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Gid, Pid, PidfdFlags, Signal, Uid, WaitOptions, getpid, getppid, kill_process_group,
    pidfd_open, set_parent_process_death_signal, wait,
};

use super::channel::{receive, send};
use super::message::{Forward, Order, Report};
use super::shim::{Files, become_program};
use super::spawn::Exit;
use crate::error::{CleanroomError, Result};
use crate::sys::{self, Fork};

/// What the init writes when its namespace is complete.
const COMPLETE: &[u8] = b"complete";

/// Makes a namespace and the init of it, which starts the program of `order`.
/// Where that is not allowed it says why and gives the files back; nothing has
/// been made then.
pub(super) fn start(order: &Order, files: Files, socket: &OwnedFd) -> Result<(), (String, Files)> {
    let user = rustix::process::geteuid();
    let group = rustix::process::getegid();
    let (mut reader, mut writer) = match io::pipe() {
        Ok(pipe) => pipe,
        Err(error) => return Err((format!("no pipe: {error}"), files)),
    };
    match sys::fork_namespace(!user.is_root()) {
        Err(error) => Err((format!("no pid and ipc namespace: {error}"), files)),
        Ok(Fork::Parent(_)) => {
            drop(writer);
            let mut said = Vec::new();
            // An init that was killed has said nothing, which is no success.
            let _ = reader.read_to_end(&mut said);
            if said == COMPLETE {
                return Ok(());
            }
            Err((String::from_utf8_lossy(&said).into_owned(), files))
        }
        Ok(Fork::Child) => {
            drop(reader);
            let prepared = prepare(user, group);
            let said = prepared.as_ref().map_or_else(
                |error| format!("an incomplete namespace: {error}").into_bytes(),
                |_| COMPLETE.to_vec(),
            );
            // Who reads it takes silence for a failure as well.
            let _ = writer.write_all(&said);
            drop(writer);
            let Ok(pidfd) = prepared else {
                sys::exit_now(1)
            };
            let code = match serve(order, files, socket, pidfd) {
                Ok(()) => 0,
                Err(error) => {
                    let _ = send(socket, &Report::Failed(error), &[]);
                    1
                }
            };
            sys::exit_now(code)
        }
    }
}

/// Completes the namespace, and gives a hold on this process from outside.
fn prepare(user: Uid, group: Gid) -> io::Result<OwnedFd> {
    if !user.is_root() {
        // The one mapping that needs no privilege: everybody stays who they are.
        let same = |id: u32| format!("{id} {id} 1");
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/gid_map", same(group.as_raw()))?;
        fs::write("/proc/self/uid_map", same(user.as_raw()))?;
    }
    Ok(pidfd_open(getpid(), PidfdFlags::empty())?)
}

/// Starts the program, and stays until it ends or the keeper does.
fn serve(order: &Order, files: Files, socket: &OwnedFd, pidfd: OwnedFd) -> Result<()> {
    send(socket, &Report::Init, &[pidfd])?;
    let cannot = |error: io::Error| {
        CleanroomError::container_error("a namespace cannot be served").with_source(error)
    };
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| cannot(error.into()))?;
    let events = sys::child_events().map_err(cannot)?;
    let (reader, writer) = io::pipe().map_err(cannot)?;
    let program = match sys::fork().map_err(cannot)? {
        Fork::Child => {
            drop(reader);
            start_program(order, files, writer)
        }
        Fork::Parent(program) => program,
    };
    // What it writes to must end when it ends, not when this process does.
    drop((files, writer));
    let pid = await_program(reader)?;
    let pidfd = pidfd_open(program, PidfdFlags::empty()).map_err(|error| cannot(error.into()))?;
    send(socket, &Report::Running { pid }, &[pidfd])?;
    let exit = watch(program, &events, socket).map_err(cannot)?;
    match exit {
        Some(exit) => send(socket, &Report::Exited(exit), &[]),
        None => Ok(()),
    }
}

/// In the program's own process: says which pid it has outside, then runs it.
fn start_program(order: &Order, files: Files, mut writer: PipeWriter) -> ! {
    let started = || {
        // `/proc` is the keeper's: there this process has the pid that it has
        // for the keeper.
        let pid = fs::read_link("/proc/self").map_err(|error| {
            CleanroomError::container_error("`/proc` cannot be read").with_source(error)
        })?;
        // Its reader is the parent, which binds this process's life to its own.
        let _ = writeln!(writer, "{}", pid.display());
        become_program(order, files, getppid())
    };
    let Err(error) = started();
    let _ = serde_json::to_writer(&mut writer, &error);
    sys::exit_now(127)
}

/// Waits until the program runs; gives its pid outside.
fn await_program(mut reader: PipeReader) -> Result<u32> {
    let mut said = String::new();
    reader.read_to_string(&mut said).map_err(|error| {
        CleanroomError::container_error("a namespace cannot be served").with_source(error)
    })?;
    let (pid, failure) = said.split_once('\n').unwrap_or(("", &said));
    if !failure.is_empty() {
        return Err(serde_json::from_str(failure).unwrap_or_else(|error| {
            CleanroomError::internal_error("a program's failure makes no sense").with_source(error)
        }));
    }
    pid.parse()
        .map_err(|_| CleanroomError::container_error("a program ended before it was started"))
}

/// Reaps what ends and passes signals on, until the program has ended. `None`
/// is that the keeper has.
fn watch(program: Pid, events: &OwnedFd, socket: &OwnedFd) -> io::Result<Option<Exit>> {
    loop {
        let mut ready = [
            PollFd::new(events, PollFlags::IN),
            PollFd::new(socket, PollFlags::IN),
        ];
        retry_on_intr(|| poll(&mut ready, None))?;
        let [child, keeper] = ready.map(|ready| !ready.revents().is_empty());
        if child {
            // What it says about the one child is not all there may be.
            let _ = rustix::io::read(events, &mut [0_u8; 512]);
            while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
                if pid == program {
                    return Ok(Exit::of(status));
                }
            }
        }
        if keeper {
            match receive(socket)?.map(|incoming| incoming.parse::<Forward>()) {
                Some(Ok(forward)) => pass_on(program, &forward)?,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(None),
            }
        }
    }
}

fn pass_on(program: Pid, forward: &Forward) -> io::Result<()> {
    let signal = forward.signal.to_rustix();
    let sent = if forward.everything {
        sys::signal_everything(signal)
    } else {
        kill_process_group(program, signal).map_err(io::Error::from)
    };
    match sent {
        // It has ended, and is reaped next.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => Ok(()),
        result => result,
    }
}
