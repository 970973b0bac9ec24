//! The system calls that neither std nor rustix offers safely, and the entry
//! before `main`. The one module with unsafe code; it decides nothing.

#![allow(
    unsafe_code,
    reason = "each block says why it is sound; everything else is rustix"
)]

use std::ffi::c_int;
use std::fs;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::io::unix::AsyncFd;

// SAFETY: what runs here uses std before `main`, which std does not promise to
// support. It needs of it the environment, allocation, files and threads'
// locals, none of which `main` sets up; the arguments, which std takes in a
// constructor of its own, it does not read. Its priority puts it before the
// constructors of users, so that a keeper or a shim runs none of them.
#[ctor::ctor(unsafe, priority = early)]
fn before_main() {
    crate::keeper::enter();
}

/// Makes the program that `command` starts the leader of a new session.
pub(crate) fn new_session(command: &mut Command) {
    let lead = || rustix::process::setsid().map(drop).map_err(io::Error::from);
    // SAFETY: between fork and exec this makes one system call, which is safe
    // for signal handlers and allocates nothing.
    unsafe { command.pre_exec(lead) };
}

/// Gives the program that `command` starts another soft limit of open files.
/// Where that is refused it keeps ours.
pub(crate) fn limit_open_files(command: &mut Command, soft: u64) {
    let lower = move || {
        let limit = Rlimit {
            current: Some(soft),
            ..getrlimit(Resource::Nofile)
        };
        let _ = setrlimit(Resource::Nofile, limit);
        Ok(())
    };
    // SAFETY: between fork and exec this makes two system calls, which are safe
    // for signal handlers, and allocates nothing.
    unsafe { command.pre_exec(lower) };
}

/// Watches a file, by the reactor of the runtime that this is called in.
pub(crate) fn watch(file: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` keeps one and the same file open until it is
    // dropped, which the `AsyncFd` does after taking it off the reactor.
    unsafe { AsyncFd::register(file) }.map_err(io::Error::from)
}

/// Ends this process now: no destructors, no exit functions, no buffers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` has no requirements, and nothing of this process is
    // looked at afterwards.
    unsafe { libc::_exit(code) }
}

/// Has every signal do what it does by default, and blocks none.
pub(crate) fn default_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: SIG_DFL is a valid disposition. The call fails, without an
        // effect, for signals that cannot be changed or that libc reserves.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: a zeroed signal set is valid memory for `sigemptyset` to fill,
    // and the old set is not asked for.
    unsafe {
        let mut none = zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Ignores the signals that ask a process to end, and SIGPIPE.
pub(crate) fn ignore_requests_to_end() {
    for signal in [
        libc::SIGPIPE,
        libc::SIGINT,
        libc::SIGTERM,
        libc::SIGHUP,
        libc::SIGQUIT,
    ] {
        // SAFETY: SIG_IGN is a valid disposition for each of these.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Takes the socket that is standard input, and puts `/dev/null` there. Every
/// other file from 3 on, inherited from who knows where, is closed.
///
/// For a process at its very start only: nobody else may own a file yet.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    let open: Vec<c_int> = fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in open {
        // SAFETY: no code of this process has opened a file that is still
        // open; closing what is not open, as the directory just read, is an
        // error without an effect.
        unsafe { libc::close(fd) };
    }
    let taken = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
    let null = fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    // SAFETY: both are open; standard input has no owner in Rust, and its
    // buffer is empty because nobody has read it.
    let result = unsafe { libc::dup2(null.as_raw_fd(), 0) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(taken)
}

/// Signals every process that this one can see and may signal, but for itself.
/// For the first process of a pid namespace: elsewhere that is everything.
pub(crate) fn signal_everything(signal: Signal) -> io::Result<()> {
    if rustix::process::getpid() != Pid::INIT {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // SAFETY: `kill` touches no memory of this process.
    match unsafe { libc::kill(-1, signal.as_raw()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Which process one is after a fork.
pub(crate) enum Fork {
    /// The new one.
    Child,
    /// The old one, with the pid of the new one.
    Parent(Pid),
}

/// Forks. For a process with one thread only, so that the child may go on as
/// any process may.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: shims have one thread, so that no lock can be held by a thread
    // that does not exist in the child.
    forked(unsafe { libc::fork() }.into())
}

/// Forks a sibling: its parent is this process's parent. It is the first
/// process of a new pid and ipc namespace, in a new user namespace if `user`.
pub(crate) fn fork_namespace(user: bool) -> io::Result<Fork> {
    let mut flags = libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_PARENT | libc::SIGCHLD;
    if user {
        flags |= libc::CLONE_NEWUSER;
    }
    // SAFETY: without CLONE_VM and with no stack this is a fork: the child has
    // a copy of everything, and this process has one thread. All other
    // arguments are zero, whatever their order on this architecture. libc's
    // idea of the thread's id is stale in the child, which forks once more by
    // libc before it runs a program, and uses no threads itself.
    forked(unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::c_long::from(flags),
            0_usize,
            0_usize,
            0_usize,
            0_usize,
        )
    })
}

fn forked(result: libc::c_long) -> io::Result<Fork> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    let pid = i32::try_from(result).ok().and_then(Pid::from_raw);
    Ok(pid.map_or(Fork::Child, Fork::Parent))
}

/// A file that is readable when a child of this process has changed. Blocks
/// SIGCHLD for the calling thread.
pub(crate) fn child_events() -> io::Result<OwnedFd> {
    // SAFETY: the zeroed set is initialised by `sigemptyset`; both calls get
    // pointers to it that live long enough; -1 asks for a new descriptor,
    // which nobody else owns.
    unsafe {
        let mut set = zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) < 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Removes a System V shared memory segment if it is the one that was made
/// under `key` by process `creator`, and nobody has it attached.
pub(crate) fn remove_segment(id: c_int, key: i64, creator: u32) -> bool {
    // SAFETY: the zeroed structure is valid and outlives the call that fills it.
    let (result, segment) = unsafe {
        let mut segment: libc::shmid_ds = zeroed();
        let result = libc::shmctl(id, libc::IPC_STAT, &raw mut segment);
        (result, segment)
    };
    let ours = result == 0
        && i64::from(segment.shm_perm.__key) == key
        && u32::try_from(segment.shm_cpid) == Ok(creator)
        && segment.shm_nattch == 0;
    // SAFETY: IPC_RMID takes no buffer.
    ours && unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) } == 0
}

static HOOKS: Mutex<Vec<fn()>> = Mutex::new(Vec::new());
static HOOKED: AtomicU32 = AtomicU32::new(0);

/// Runs `hook` when this process ends by returning from `main` or by `exit`,
/// the last hook first. A process forked off it does not run it.
pub(crate) fn at_exit(hook: fn()) -> io::Result<()> {
    let mut hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    let us = std::process::id();
    if HOOKED.load(Ordering::Relaxed) != us {
        // SAFETY: the function is safe, lives as long as the program, and does
        // not unwind.
        if unsafe { libc::atexit(run_hooks) } != 0 {
            return Err(io::Error::other("there is no room for exit functions"));
        }
        HOOKED.store(us, Ordering::Relaxed);
    }
    hooks.push(hook);
    Ok(())
}

extern "C" fn run_hooks() {
    if HOOKED.load(Ordering::Relaxed) != std::process::id() {
        return;
    }
    let next = || HOOKS.lock().unwrap_or_else(PoisonError::into_inner).pop();
    while let Some(hook) = next() {
        // A hook that panics has said so through the panic hook; the next one
        // still has its work to do.
        let _ = catch_unwind(AssertUnwindSafe(hook));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::Stdio;

    use super::*;

    const ENDING: &str = "CLNRM_TEST_ENDING";

    fn say(text: &str) {
        io::stdout().write_all(text.as_bytes()).unwrap();
    }

    /// Not a test of its own: the next one starts it.
    #[test]
    #[ignore = "another test starts it in a process of its own"]
    #[expect(clippy::exit, reason = "it is one of the ways to end")]
    fn ending() {
        let Ok(ending) = std::env::var(ENDING) else {
            return;
        };
        at_exit(|| say("@first")).unwrap();
        at_exit(|| panic!("a hook that panics keeps nobody from theirs")).unwrap();
        at_exit(|| say("@last")).unwrap();
        match ending.as_str() {
            "pass" => {}
            "fail" => panic!("on purpose"),
            "exit" => std::process::exit(3),
            "fork" => {
                if let Fork::Parent(pid) = fork().unwrap() {
                    rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())
                        .unwrap();
                } else {
                    // The copy ends as any program may; the hooks are not its own.
                    std::process::exit(0);
                }
            }
            _ => unreachable!(),
        }
    }

    #[test]
    fn exit_functions_run_once_however_a_process_ends() {
        for (ending, code) in [("pass", 0), ("fail", 101), ("exit", 3), ("fork", 0)] {
            let output = Command::new("/proc/self/exe")
                .args(["sys::tests::ending", "--exact", "--ignored", "--nocapture"])
                .env(ENDING, ending)
                .stderr(Stdio::null())
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(code), "{ending}");
            let said = String::from_utf8(output.stdout).unwrap();
            let hooks: Vec<&str> = said.split('@').skip(1).collect();
            assert_eq!(hooks, ["last", "first"], "{ending}: {said}");
        }
    }
}
