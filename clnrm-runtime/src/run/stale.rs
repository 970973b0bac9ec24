//! Finds and removes what runs left that nobody takes care of any more.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{LOCK, OWNER, PREFIX, cannot, owner, remove, remove_shared_memory, temp};
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

    /// Kills the processes that are left of it, and removes its directory.
    /// What backends other than `process` hold of it is theirs to sweep.
    ///
    /// # Errors
    /// When something of it is still there.
    pub fn remove(self) -> Result<()> {
        process::kill_run(&self.id)?;
        remove_shared_memory(&self.dir);
        remove(&self.dir)
    }
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
    let id = dir.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    let metadata = dir.symlink_metadata().ok()?;
    // Anybody may make directories in `/tmp`, with any text in them.
    if !metadata.is_dir() || metadata.uid() != us.uid {
        return None;
    }
    let owner: Owner = serde_json::from_slice(&fs::read(dir.join(OWNER)).ok()?).ok()?;
    if !owner.is_near(us) {
        return None;
    }
    let lock = File::options().write(true).open(dir.join(LOCK)).ok()?;
    match lock.try_lock() {
        Ok(()) => Some(StaleRun {
            id: RunId::new(id),
            owner,
            dir: dir.to_owned(),
            _lock: lock,
        }),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}
