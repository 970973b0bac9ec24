//! Finds and removes what runs left that nobody takes care of any more.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{ENGINE, LOCK, OWNER, PREFIX, cannot, owner, remove, remove_shared_memory, temp};
use crate::error::Result;
use crate::keeper::process;
use crate::label::Owner;
use crate::service::RunId;

/// A run whose owner and keeper are gone.
///
/// It holds the run's lock, so that two sweeps do not meet.
#[derive(Debug)]
pub struct StaleRun {
    id: RunId,
    owner: Owner,
    dir: PathBuf,
    _lock: File,
}

impl StaleRun {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Who owned it.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether it had something on an engine, or had begun to.
    #[must_use]
    pub fn uses_engine(&self) -> bool {
        self.dir.join(ENGINE).exists()
    }

    /// Kills the processes that are left of it, and removes its directory.
    /// What backends other than `process` hold of it is theirs to sweep.
    ///
    /// # Errors
    /// When something of it is still there.
    pub fn remove(self) -> Result<()> {
        self.kill()?;
        remove(&self.dir)
    }

    fn kill(&self) -> Result<()> {
        process::kill_run(&self.id)?;
        remove_shared_memory(&self.dir);
        Ok(())
    }
}

/// Removes what earlier runs left that were killed together with their keeper.
/// What had something on an engine loses its processes and keeps its
/// directory, by which a run that asks the engine finds the rest.
///
/// What cannot be removed is left to `cargo clnrm clean`, which says why.
pub fn sweep_stale() {
    for run in stale_runs().unwrap_or_default() {
        let id = run.id().clone();
        let swept = if run.uses_engine() {
            run.kill()
        } else {
            run.remove()
        };
        if let Err(error) = swept {
            tracing::warn!(run = %id, error = %error.report(), "cannot remove what an earlier run left");
        }
    }
}

/// The directory of a run whose owner was another boot, pid namespace or user
/// id: whether it lives cannot be told, but nobody holds its lock.
#[derive(Debug)]
pub struct ForeignRun {
    id: RunId,
    dir: PathBuf,
    begun: SystemTime,
    _lock: File,
}

impl ForeignRun {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// When it began.
    #[must_use]
    pub fn begun(&self) -> SystemTime {
        self.begun
    }

    /// Removes its directory. No process is touched: they are not ours.
    ///
    /// # Errors
    /// When something of it is still there.
    pub fn remove(self) -> Result<()> {
        remove(&self.dir)
    }
}

/// The directories of runs that this user has and whose owners are not near, ordered by id.
///
/// # Errors
/// When the directory of the runs cannot be read.
pub fn foreign_runs() -> Result<Vec<ForeignRun>> {
    foreign_runs_in(&temp())
}

pub(super) fn foreign_runs_in(temp: &Path) -> Result<Vec<ForeignRun>> {
    let us = owner::current()?;
    let entries = fs::read_dir(temp).map_err(|error| cannot("read", temp, error))?;
    let mut runs: Vec<ForeignRun> = entries
        .filter_map(std::result::Result::ok)
        .filter_map(|entry| {
            let dir = entry.path();
            let (id, owner) = of_this_user(&dir, &us)?;
            if owner.is_near(&us) {
                return None;
            }
            let begun = fs::metadata(dir.join(OWNER)).and_then(|it| it.modified());
            Some(ForeignRun {
                id,
                begun: begun.ok()?,
                _lock: free_lock(&dir)?,
                dir,
            })
        })
        .collect();
    runs.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(runs)
}

/// The runs of this user, this boot and this pid namespace that nobody holds
/// the lock of, ordered by id.
///
/// # Errors
/// When the directory of the runs cannot be read.
pub fn stale_runs() -> Result<Vec<StaleRun>> {
    stale_runs_in(&temp())
}

pub(super) fn stale_runs_in(temp: &Path) -> Result<Vec<StaleRun>> {
    let us = owner::current()?;
    let entries = fs::read_dir(temp).map_err(|error| cannot("read", temp, error))?;
    let mut runs: Vec<StaleRun> = entries
        .filter_map(std::result::Result::ok)
        .filter_map(|entry| stale_run(&entry.path(), &us))
        .collect();
    runs.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(runs)
}

/// A directory that cannot be read or understood is not ours to touch.
fn stale_run(dir: &Path, us: &Owner) -> Option<StaleRun> {
    let (id, owner) = of_this_user(dir, us)?;
    if !owner.is_near(us) {
        return None;
    }
    Some(StaleRun {
        id,
        owner,
        dir: dir.to_owned(),
        _lock: free_lock(dir)?,
    })
}

/// Whose a run's directory is that belongs to this user.
pub(super) fn of_this_user(dir: &Path, us: &Owner) -> Option<(RunId, Owner)> {
    let id = dir.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    let metadata = dir.symlink_metadata().ok()?;
    // Anybody may make directories in `/tmp`, with any text in them.
    if !metadata.is_dir() || metadata.uid() != us.uid {
        return None;
    }
    let owner = serde_json::from_slice(&fs::read(dir.join(OWNER)).ok()?).ok()?;
    Some((RunId::new(id), owner))
}

/// The lock of a run, if nobody holds it.
fn free_lock(dir: &Path) -> Option<File> {
    let lock = File::options().write(true).open(dir.join(LOCK)).ok()?;
    match lock.try_lock() {
        Ok(()) => Some(lock),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}
