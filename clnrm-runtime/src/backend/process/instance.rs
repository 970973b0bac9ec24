//! One instance: its processes, from the first start to the removal of its directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt as _;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, timeout};

use super::directory::Directory;
use super::life::{Life, Running};
use super::log::Log;
use super::ports::{Taken, says_taken};
use super::user::Account;
use super::{environment, exec, family, socket};
use crate::backend::{CreateRequest, ExecOutput, Inspection, Started, Stats};
use crate::error::{CleanroomError, Result};
use crate::keeper::{Child, Keeper, Signal, Spawn, Stdio, Target};
use crate::service::{InstanceId, ProcessSpec, Stop};

/// How long killed processes may take to go.
const FAREWELL: Duration = Duration::from_secs(5);

/// One instance.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) id: InstanceId,
    pub(super) directory: Directory,
    pub(super) log: Log,
    request: CreateRequest,
    process: ProcessSpec,
    program: PathBuf,
    keeper: Keeper,
    /// Held while its state is being changed.
    work: Arc<tokio::sync::Mutex<()>>,
    life: Mutex<Life>,
}

impl Instance {
    /// An instance whose directory is there and holds nothing yet.
    ///
    /// # Errors
    /// When the directory or the log cannot be made.
    pub(super) fn new(
        id: InstanceId,
        directory: Directory,
        request: CreateRequest,
        process: ProcessSpec,
        program: PathBuf,
        keeper: Keeper,
    ) -> Result<Self> {
        directory.make()?;
        let log = Log::create(&directory.log())
            .map_err(|error| error.with_removal(crate::run::remove(directory.root())))?;
        Ok(Self {
            id,
            log,
            directory,
            request,
            process,
            program,
            keeper,
            work: Arc::default(),
            life: Mutex::default(),
        })
    }

    /// Waits until nobody changes it, and keeps it so.
    pub(super) async fn hold(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.work).lock_owned().await
    }

    /// Starts it. One that runs already stays as it is. A `shy` program cannot
    /// bind a reserved port.
    ///
    /// # Errors
    /// When a port is taken, a template names what is not there, or the
    /// program cannot be started.
    pub(super) async fn start(&self, shy: bool) -> Result<Started> {
        let _work = self.hold().await;
        if self.child().is_some_and(|child| child.exit().is_none()) {
            return Ok(self.started());
        }
        self.life().ports.reserve(&self.request.spec.ports, shy)?;
        let spawn = self.spawn()?;
        let (sources, [stdout, stderr]) = self.log.begin()?;
        let stdio = Stdio {
            stdin: None,
            stdout,
            stderr,
        };
        let ends = sources.ends().map_err(no_files)?;
        let since = SystemTime::now();
        let child = self.keeper.spawn(spawn, stdio).await?;
        // Nothing is awaited from here on: who cancels a start finds the child.
        let ended = {
            let child = child.clone();
            async move { child.wait().await }
        };
        let log = tokio::spawn(self.log.clone().take(sources, ended));
        self.life().running = Some(Running {
            child,
            since,
            paused: false,
            log,
            ends,
        });
        Ok(self.started())
    }

    /// Asks it to stop, and kills it after the grace. One that does not run
    /// stays as it is.
    ///
    /// # Errors
    /// When it does not end.
    pub(super) async fn stop(&self, stop: Stop) -> Result<()> {
        let _work = self.hold().await;
        let Some(child) = self.child() else {
            return Ok(());
        };
        if child.exit().is_none() {
            // Who cannot be asked is not waited for: it is killed, or has ended
            // with its keeper.
            match self.ask(&child, stop).await {
                Ok(()) => drop(timeout(stop.grace, child.wait()).await),
                Err(error) => tracing::debug!(%error, instance = %self.id, "cannot be asked"),
            }
            self.kill(&child).await?;
            self.log.settle().await;
            self.life().ports.reserve_again();
        }
        Ok(())
    }

    async fn ask(&self, child: &Child, stop: Stop) -> Result<()> {
        // What is frozen hears nothing.
        self.freeze(child, false).await?;
        child.signal(stop.signal.into(), Target::Process).await
    }

    /// Ends it, and removes everything of it.
    ///
    /// # Errors
    /// When something of it is still there.
    pub(super) async fn remove(&self) -> Result<()> {
        // Who waits for it to stop politely holds it until it has ended.
        self.kill_child().await?;
        let _work = self.hold().await;
        // And who was starting it has done so by now.
        self.kill_child().await?;
        self.life().running = None;
        let dir = self.directory.root().to_owned();
        let mut pause = tokio::time::interval(Duration::from_millis(10));
        let begun = Instant::now();
        loop {
            pause.tick().await;
            let dir = dir.clone();
            let removed = tokio::task::spawn_blocking(move || {
                crate::run::remove_shared_memory(&dir);
                crate::run::remove(&dir)
            });
            match removed.await {
                Ok(Ok(())) => return Ok(()),
                // Who was killed may still be writing its last file.
                Ok(Err(_)) if begun.elapsed() < FAREWELL => {}
                Ok(Err(error)) => return Err(error),
                Err(error) => {
                    let ended = CleanroomError::internal_error("a removal ended");
                    return Err(ended.with_source(error));
                }
            }
        }
    }

    async fn kill_child(&self) -> Result<()> {
        match self.child() {
            Some(child) => self.kill(&child).await,
            None => Ok(()),
        }
    }

    /// Kills all that is left of it, and waits for its end.
    async fn kill(&self, child: &Child) -> Result<()> {
        let killed = async {
            let sent = child.signal(Signal::Kill, Target::Tree).await;
            let ended = child.wait().await;
            sent.and(ended.map(drop))
        };
        match timeout(FAREWELL, killed).await {
            Ok(Ok(())) => Ok(()),
            // Without a keeper it has no child any more.
            Ok(Err(error)) => {
                tracing::debug!(%error, instance = %self.id, "killed by its keeper's end");
                Ok(())
            }
            Err(_) => Err(CleanroomError::timeout_error(format!(
                "`{}` does not end, {} s after it was killed",
                self.id,
                FAREWELL.as_secs()
            ))
            .with_context("pid", child.pid())),
        }
    }

    /// Stops or continues every process of it.
    ///
    /// # Errors
    /// When it does not run.
    pub(super) async fn pause(&self, paused: bool) -> Result<()> {
        let _work = self.hold().await;
        let child = self.alive()?;
        self.freeze(&child, paused).await
    }

    async fn freeze(&self, child: &Child, paused: bool) -> Result<()> {
        let signal = if paused { Signal::Stop } else { Signal::Cont };
        if paused || self.life().running.as_ref().is_some_and(|it| it.paused) {
            child.signal(signal, Target::Tree).await?;
        }
        if let Some(running) = &mut self.life().running {
            running.paused = paused;
        }
        Ok(())
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    pub(super) fn inspect(&self) -> Inspection {
        self.life().inspect()
    }

    /// Runs a command in its environment and directory, as its user.
    ///
    /// # Errors
    /// When the instance does not run, or the command cannot be started.
    pub(super) async fn exec(&self, command: &[String]) -> Result<ExecOutput> {
        self.alive()?;
        let mut spawn = self.spawn()?;
        let Some((name, args)) = command.split_first() else {
            return Err(CleanroomError::validation_error("the command is empty"));
        };
        let program = environment::resolve(name, &spawn.workdir, &spawn.env);
        spawn.program = program.ok_or_else(|| {
            CleanroomError::validation_error(format!("there is no command `{name}`"))
                .with_context("PATH", path(&spawn))
                .with_hint("name it by its path, or install it")
        })?;
        spawn.args = args.iter().map(Into::into).collect();
        spawn.isolate = false;
        exec::run(&self.keeper, spawn).await
    }

    pub(super) fn stats(&self) -> Result<Stats> {
        Ok(family::usage(self.alive()?.pid()))
    }

    /// Whether who listens on `port` is a process of it.
    pub(super) fn owns_port(&self, port: u16) -> bool {
        let Some(child) = self.child() else {
            return false;
        };
        let leader = child.pid();
        // Mostly it is the leader itself, and its family need not be gathered.
        socket::is_of(port, [leader]) || socket::is_of(port, family::of(leader))
    }

    /// Why it ended by itself, if its log says that a port was taken: an error
    /// that is transient where the port was ours to choose.
    pub(super) async fn explain_exit(&self) -> Option<Taken> {
        let since = self.life().running.as_ref()?.since;
        self.log.settle().await;
        let mut lines = self.log.lines(Some(since), false);
        while let Some(line) = lines.next().await {
            if line.ok().is_some_and(|line| says_taken(&line.text)) {
                return self.life().ports.taken(&self.request.spec.ports);
            }
        }
        None
    }

    /// Waits until the log of an instance that has ended is whole.
    pub(super) async fn settle(&self) {
        if self.child().is_some_and(|child| child.exit().is_some()) {
            self.log.settle().await;
        }
    }

    /// Leaves what runs to the keeper, and its log too.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub(super) async fn leave(&self) -> Result<()> {
        let _work = self.hold().await;
        let files = {
            let life = self.life();
            let Some(running) = life.running.as_ref() else {
                return Ok(());
            };
            running.log.abort();
            let [out, err] = &running.ends;
            let copies = || Ok([out.try_clone()?, err.try_clone()?, self.log.file()?]);
            copies().map_err(no_files)?
        };
        self.keeper.take_log(files).await
    }

    /// One line for people.
    pub(super) fn describe(&self) -> String {
        let pid = self.inspect().pid;
        let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        let dir = self.directory.root().display();
        format!("process instance `{}`{pid} in `{dir}`", self.id)
    }

    fn spawn(&self) -> Result<Spawn> {
        let around = environment::surroundings(&self.directory, self.life().ports.numbers());
        let request = &self.request;
        let env = environment::env(
            &self.process,
            &self.program,
            request,
            &self.directory,
            &around,
        )?;
        let workdir = self.process.workdir.clone();
        Ok(Spawn {
            program: self.program.clone(),
            args: environment::args(&self.process.args, request, &around)?,
            env,
            workdir: workdir.unwrap_or_else(|| self.directory.root().to_owned()),
            user: self.directory.account().map(Account::to_user),
            isolate: true,
        })
    }

    fn started(&self) -> Started {
        Started {
            endpoints: self.life().ports.endpoints(),
            inner: BTreeMap::new(),
        }
    }

    fn alive(&self) -> Result<Child> {
        let child = self.child().filter(|child| child.exit().is_none());
        child.ok_or_else(|| {
            CleanroomError::container_error(format!("instance `{}` does not run", self.id))
        })
    }

    fn child(&self) -> Option<Child> {
        self.life().child()
    }

    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_files(error: std::io::Error) -> CleanroomError {
    CleanroomError::container_error("cannot hold the pipes of a log").with_source(error)
}

fn path(spawn: &Spawn) -> String {
    let path = spawn.env.get(std::ffi::OsStr::new("PATH"));
    path.map_or_else(String::new, |path| path.to_string_lossy().into_owned())
}
