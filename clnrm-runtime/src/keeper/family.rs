//! The children of the keeper, from their shim to their reaping.
//!
//! A child is reaped when its owner lets go of it: until then its pid, and the
//! group and session of that number, cannot pass to a stranger.

use std::collections::{BTreeMap, HashSet};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{
    Pid, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process, kill_process_group,
    pidfd_send_signal, waitid, waitpid,
};
use tokio::sync::mpsc;

use super::channel::{self, Channel};
use super::limit::limit_hint;
use super::message::{Forward, Number, Order, Reply, Report};
use super::spawn::{Exit, Isolation, Signal, Spawn, Target};
use super::{entry, process, shim};
use crate::error::{CleanroomError, Result};
use crate::service::RunId;
use crate::sys;

/// What happened to a child.
pub(super) enum Event {
    /// Its shim or its init says something.
    Report(Number, Report, Vec<OwnedFd>),
    /// Nobody will say anything more: the shim became the program, or the
    /// namespace has ended.
    Silence(Number),
}

/// All children, by the number of the request that made them.
pub(super) struct Family {
    run: RunId,
    children: BTreeMap<Number, Member>,
    events: mpsc::UnboundedSender<Event>,
    replies: mpsc::UnboundedSender<Reply>,
}

struct Member {
    place: Place,
    isolation: Isolation,
    /// It runs its program, and the owner knows.
    running: bool,
    exit: Option<Exit>,
    released: bool,
    control: Arc<Channel>,
}

enum Place {
    /// A child of this process: the shim, then the program.
    Here(Pid),
    /// Below the init of a namespace.
    Namespace {
        init: OwnedFd,
        program: Option<OwnedFd>,
        exit: Option<Exit>,
    },
}

impl Family {
    pub(super) fn new(
        run: RunId,
        events: mpsc::UnboundedSender<Event>,
        replies: mpsc::UnboundedSender<Reply>,
    ) -> Self {
        Self {
            run,
            children: BTreeMap::new(),
            events,
            replies,
        }
    }

    /// Starts a shim; what becomes of it is told by events.
    pub(super) fn spawn(&mut self, number: Number, spawn: Spawn, files: Vec<OwnedFd>) {
        let started = start_shim().map(|(pid, control)| {
            let control = Arc::new(control);
            let order = Order {
                run: self.run.clone(),
                child: number,
                keeper: std::process::id(),
                spawn,
            };
            let events = self.events.clone();
            tokio::spawn(converse(number, control.clone(), order, files, events));
            Member {
                place: Place::Here(pid),
                isolation: Isolation::None,
                running: false,
                exit: None,
                released: false,
                control,
            }
        });
        match started {
            Ok(member) => drop(self.children.insert(number, member)),
            Err(error) => self.reply(Reply::Failed { number, error }),
        }
    }

    /// Takes in what happened.
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Report(number, Report::Failed(error), _) => {
                // What is left of it is reaped as anybody's orphan is.
                self.children.remove(&number);
                self.reply(Reply::Failed { number, error });
            }
            Event::Report(number, report, mut files) => {
                let file = files.pop();
                if let Some(member) = self.children.get_mut(&number)
                    && let Some(pid) = member.hear(report, file)
                {
                    self.announce(number, pid);
                }
            }
            Event::Silence(number) => self.silence(number),
        }
        self.reap();
    }

    /// Reaps what has ended: children that nobody holds, and adopted orphans.
    pub(super) fn reap(&mut self) {
        let ended: Vec<(Number, Exit)> = self
            .children
            .iter()
            .filter(|(_, member)| member.running && member.exit.is_none())
            .filter_map(|(number, member)| Some((*number, member.look()?)))
            .collect();
        for (number, exit) in ended {
            self.ended(number, exit);
        }
        let held: HashSet<Pid> = self.children.values().filter_map(Member::here).collect();
        for pid in process::children() {
            if !held.contains(&pid) {
                // It may well be running: then this does nothing.
                let _ = waitpid(Some(pid), WaitOptions::NOHANG);
            }
        }
    }

    /// Lets go of a child: it is reaped once it has ended.
    pub(super) fn release(&mut self, number: Number) {
        if let Some(member) = self.children.get_mut(&number) {
            member.released = true;
            if member.exit.is_some() {
                self.children.remove(&number);
                self.reap();
            }
        }
    }

    /// Lets go of all.
    pub(super) fn release_all(&mut self) {
        let numbers: Vec<Number> = self.children.keys().copied().collect();
        for number in numbers {
            self.release(number);
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Signals a child. One that is gone needs none.
    pub(super) async fn signal(
        &self,
        number: Number,
        signal: Signal,
        target: Target,
    ) -> Result<()> {
        let Some(member) = self.children.get(&number) else {
            return Ok(());
        };
        let os = signal.to_rustix();
        let sent = match (&member.place, target) {
            (Place::Here(pid), Target::Process) => kill_process(*pid, os),
            (Place::Here(pid), Target::Group) => kill_process_group(*pid, os),
            (Place::Here(pid), Target::Tree) => process::signal_tree(*pid, os, |pid| {
                process::carries(pid, shim::CHILD_VARIABLE, &number.to_string())
            }),
            (
                Place::Namespace {
                    program: Some(program),
                    ..
                },
                Target::Process,
            ) => pidfd_send_signal(program, os),
            (Place::Namespace { init, .. }, Target::Tree) if signal == Signal::Kill => {
                pidfd_send_signal(init, os)
            }
            (Place::Namespace { .. }, _) => {
                let everything = target == Target::Tree;
                let forward = Forward { signal, everything };
                // An init that cannot be reached has ended, and all with it.
                let _ = member.control.send(&forward, &[]).await;
                Ok(())
            }
        };
        match sent {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(CleanroomError::container_error("cannot signal a child")
                .with_context("signal", format!("{signal:?}"))
                .with_source(error)),
        }
    }

    fn silence(&mut self, number: Number) {
        let Some(member) = self.children.get(&number) else {
            return;
        };
        match &member.place {
            Place::Here(pid) => {
                let pid = pid.as_raw_pid().unsigned_abs();
                self.announce(number, pid);
            }
            Place::Namespace { exit, .. } if member.running => {
                // An init that said nothing was killed, and the program by that.
                let exit = exit.unwrap_or(Exit::Signal(rustix::process::Signal::KILL.as_raw()));
                self.ended(number, exit);
            }
            Place::Namespace { .. } => {
                let error = CleanroomError::container_error("a namespace ended at once");
                self.children.remove(&number);
                self.reply(Reply::Failed { number, error });
            }
        }
    }

    /// Its program runs.
    fn announce(&mut self, number: Number, pid: u32) {
        if let Some(member) = self.children.get_mut(&number) {
            member.running = true;
            let isolation = member.isolation.clone();
            self.reply(Reply::Spawned {
                number,
                pid,
                isolation,
            });
        }
    }

    fn ended(&mut self, number: Number, exit: Exit) {
        self.reply(Reply::Exited {
            child: number,
            exit,
        });
        if let Some(member) = self.children.get_mut(&number) {
            member.exit = Some(exit);
            if member.released {
                self.children.remove(&number);
            }
        }
    }

    fn reply(&self, reply: Reply) {
        // Who writes them ends only with the owner.
        let _ = self.replies.send(reply);
    }
}

impl Member {
    /// Takes in a report. Gives the program's pid when it is that it runs.
    fn hear(&mut self, report: Report, file: Option<OwnedFd>) -> Option<u32> {
        match (report, file, &mut self.place) {
            (Report::Refused(reason), _, _) => self.isolation = Isolation::Refused(reason),
            (Report::Init, Some(init), place) => {
                self.isolation = Isolation::Namespaces;
                *place = Place::Namespace {
                    init,
                    program: None,
                    exit: None,
                };
            }
            (Report::Running { pid }, Some(file), Place::Namespace { program, .. }) => {
                *program = Some(file);
                return Some(pid);
            }
            (Report::Exited(ended), _, Place::Namespace { exit, .. }) => *exit = Some(ended),
            (report, ..) => tracing::warn!(?report, "a shim makes no sense"),
        }
        None
    }

    /// How it ended, if it is a child of this process that has. It stays what
    /// it is: nothing is reaped.
    fn look(&self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.here()?), options).ok()??;
        let code = status.exit_status().map(Exit::Code);
        code.or_else(|| status.terminating_signal().map(Exit::Signal))
    }

    fn here(&self) -> Option<Pid> {
        match self.place {
            Place::Here(pid) => Some(pid),
            Place::Namespace { .. } => None,
        }
    }
}

/// Starts the own binary as a shim.
fn start_shim() -> Result<(Pid, Channel)> {
    let cannot = |error: std::io::Error| {
        CleanroomError::container_error("cannot start a shim")
            .with_hint(limit_hint(&error))
            .with_source(error)
    };
    let (control, theirs) = channel::pair()?;
    let control = Channel::new(control)?;
    let shim = Command::new("/proc/self/exe")
        .arg0("clnrm-shim")
        .env_clear()
        .envs(entry::environment())
        .env(entry::SHIM_VARIABLE, "1")
        .stdin(theirs)
        .stdout(Stdio::null())
        .spawn()
        .map_err(cannot)?;
    // Dropping what std has of it neither ends nor reaps it.
    let pid = i32::try_from(shim.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| CleanroomError::internal_error("a shim has no pid"))?;
    Ok((pid, control))
}

/// Tells a shim what to do, and passes on what it and its init say.
async fn converse(
    number: Number,
    control: Arc<Channel>,
    order: Order,
    files: Vec<OwnedFd>,
    events: mpsc::UnboundedSender<Event>,
) {
    // The events' receiver ends only with the keeper.
    let tell = |event| drop(events.send(event));
    if let Err(error) = control.send(&order, &files).await {
        return tell(Event::Report(number, Report::Failed(error), Vec::new()));
    }
    // The program must be the only one to hold its files.
    drop(files);
    let mut init = None;
    while let Ok(Some(incoming)) = control.receive().await {
        match incoming.parse() {
            Ok(report) => {
                if let (Report::Init, Some(file)) = (&report, incoming.files.first()) {
                    init = file.try_clone().ok();
                }
                tell(Event::Report(number, report, incoming.files));
            }
            Err(error) => tell(Event::Report(number, Report::Failed(error), Vec::new())),
        }
    }
    // Its files are closed before what is in the namespace has ended.
    if let Some(Ok(init)) = init.map(sys::watch) {
        let _ = init.readable().await;
    }
    tell(Event::Silence(number));
}

/// Kills everything that descends from this process. `false` is that nothing
/// does any more.
pub(super) fn kill_descendants() -> bool {
    let left = process::descendants(&process::table(), &[getpid()]);
    for one in &left {
        if !one.zombie {
            // Whoever is left in the next round gets it again.
            let _ = process::signal(one, rustix::process::Signal::KILL);
        }
    }
    !left.is_empty()
}
