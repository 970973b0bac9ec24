//! Finds and removes what runs left that nobody takes care of any more.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{
    DRAFT, EngineMark, LOCK, OWNER, PREFIX, cannot, owner, remove, remove_shared_memory, temp,
};
use crate::error::Result;
use crate::keeper::process;
use crate::label::Owner;
use crate::service::RunId;

/// How long the directory of a run may be without its owner's name: it is made
/// in a moment, unless its maker is stopped.
const BEING_MADE: Duration = Duration::from_secs(3600);

/// A run whose owner and keeper are gone.
///
/// It holds the run's lock, so that two sweeps do not meet.
#[derive(Debug)]
pub struct StaleRun {
    id: RunId,
    owner: Owner,
    dir: PathBuf,
    _lock: FreeLock,
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

    /// The engine on which it has something, or was about to.
    #[must_use]
    pub fn engine(&self) -> Option<EngineMark> {
        EngineMark::of(&self.dir)
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
        let swept = if run.engine().is_some() {
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
    _lock: FreeLock,
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
    directories(temp, foreign_run)
}

fn foreign_run(dir: &Path, us: &Owner) -> Option<ForeignRun> {
    let (id, owner) = of_this_user(dir, us)?;
    if owner.is_near(us) {
        return None;
    }
    let begun = fs::metadata(dir.join(OWNER)).and_then(|it| it.modified());
    Some(ForeignRun {
        id,
        dir: dir.to_owned(),
        begun: begun.ok()?,
        _lock: free_lock(dir)?,
    })
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
    directories(temp, stale_run)
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

/// What `look` finds among the directories of runs, ordered by id, as their names are.
pub(super) fn directories<T>(
    temp: &Path,
    look: impl Fn(&Path, &Owner) -> Option<T>,
) -> Result<Vec<T>> {
    let us = owner::current()?;
    let entries = fs::read_dir(temp).map_err(|error| cannot("read", temp, error))?;
    let mut dirs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    dirs.sort();
    Ok(dirs.iter().filter_map(|dir| look(dir, &us)).collect())
}

/// Whose a run's directory is that belongs to this user.
pub(super) fn of_this_user(dir: &Path, us: &Owner) -> Option<(RunId, Owner)> {
    let (id, _) = directory_of_this_user(dir, us)?;
    let owner = serde_json::from_slice(&fs::read(dir.join(OWNER)).ok()?).ok()?;
    Some((id, owner))
}

fn directory_of_this_user(dir: &Path, us: &Owner) -> Option<(RunId, Metadata)> {
    let id = dir.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    let metadata = dir.symlink_metadata().ok()?;
    // Anybody may make directories in `/tmp`, with any text in them.
    (metadata.is_dir() && metadata.uid() == us.uid).then(|| (RunId::new(id), metadata))
}

/// The directory of a run that was killed while it made it, or while it
/// removed the last of it: it says of no owner, and holds nothing.
#[derive(Debug)]
pub struct UnbegunRun {
    id: RunId,
    dir: PathBuf,
    _lock: Option<FreeLock>,
}

impl UnbegunRun {
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

    /// Removes its directory.
    ///
    /// # Errors
    /// When something of it is still there.
    pub fn remove(self) -> Result<()> {
        remove(&self.dir)
    }
}

/// The directories that this user has of runs that never began, ordered by id.
/// One that is younger than an hour may just be being made.
///
/// # Errors
/// When the directory of the runs cannot be read.
pub fn unbegun_runs() -> Result<Vec<UnbegunRun>> {
    unbegun_runs_in(&temp())
}

fn unbegun_runs_in(temp: &Path) -> Result<Vec<UnbegunRun>> {
    directories(temp, unbegun_run)
}

fn unbegun_run(dir: &Path, us: &Owner) -> Option<UnbegunRun> {
    let (id, metadata) = directory_of_this_user(dir, us)?;
    // Somebody else's directory may begin with the same letters.
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if id.as_str().len() != RunId::LEN || !id.as_str().bytes().all(is_digit) {
        return None;
    }
    let age = metadata.modified().ok()?.elapsed().ok()?;
    let holds_nothing = || {
        let mut entries = fs::read_dir(dir).ok()?;
        let ours = |name: &OsStr| name == LOCK || name == DRAFT;
        Some(entries.all(|entry| entry.is_ok_and(|entry| ours(&entry.file_name()))))
    };
    if age < BEING_MADE || !holds_nothing()? {
        return None;
    }
    let lock = match dir.join(LOCK).exists() {
        true => Some(free_lock(dir)?),
        false => None,
    };
    Some(UnbegunRun {
        id,
        dir: dir.to_owned(),
        _lock: lock,
    })
}

/// The lock of a run that nobody held. It is given up at its drop, though a child that another thread is just starting
/// has the file too, until its program is loaded.
#[derive(Debug)]
struct FreeLock(File);

impl Drop for FreeLock {
    fn drop(&mut self) {
        // What refuses this gives it up when the file is closed.
        let _ = self.0.unlock();
    }
}

/// The lock of a run, if nobody holds it.
fn free_lock(dir: &Path) -> Option<FreeLock> {
    let lock = File::options().write(true).open(dir.join(LOCK)).ok()?;
    match lock.try_lock() {
        Ok(()) => Some(FreeLock(lock)),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(dir: &Path, age: Duration) {
        let dir = File::open(dir).unwrap();
        dir.set_modified(SystemTime::now() - age).unwrap();
    }

    #[test]
    fn what_never_became_a_run_is_found_after_an_hour() {
        let temp = tempfile::tempdir().unwrap();
        let make = |name: &str, files: &[&str], old: bool| {
            let dir = temp.path().join(name);
            fs::create_dir(&dir).unwrap();
            for file in files {
                fs::write(dir.join(file), "").unwrap();
            }
            age(&dir, BEING_MADE / if old { 1 } else { 2 });
            dir
        };
        let locked = make("clnrm-0000000000000001", &[LOCK], true);
        let lock = File::open(locked.join(LOCK)).unwrap();
        lock.lock().unwrap();
        make("clnrm-0000000000000002", &[LOCK, DRAFT], false);
        make("clnrm-0000000000000003", &[LOCK, "photos"], true);
        make("clnrm-photos-here", &[], true);
        make("clnrm-000000000000000g", &[], true);
        make("clnrm-0000000000000004", &[LOCK, OWNER], true);
        make("clnrm-0000000000000005", &[LOCK, DRAFT], true);
        make("clnrm-0000000000000006", &[], true);
        let found = || {
            let runs = unbegun_runs_in(temp.path()).unwrap().into_iter();
            runs.map(|run| (run.id().to_string(), run))
        };
        let ids: Vec<_> = found().map(|(id, _)| id).collect();
        assert_eq!(ids, ["0000000000000005", "0000000000000006"]);
        lock.unlock().unwrap();
        let ids: Vec<_> = found()
            .map(|(id, run)| (id, run.remove().unwrap()))
            .collect();
        assert_eq!(ids.len(), 3, "{ids:?}");
        assert_eq!(found().count(), 0);
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 5);
    }

    #[test]
    fn a_lock_is_given_up_though_a_child_still_has_the_file() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path();
        let file = File::create_new(dir.join(LOCK)).unwrap();
        let lock = free_lock(dir).unwrap();
        let _of_the_child = lock.0.try_clone().unwrap();
        drop((file, lock));
        assert!(free_lock(dir).is_some());
    }

    #[test]
    fn a_run_that_begins_is_never_one_that_did_not() {
        let temp = tempfile::tempdir().unwrap();
        let run = super::super::Run::begin_in(temp.path()).unwrap();
        age(run.dir(), BEING_MADE * 2);
        assert!(unbegun_runs_in(temp.path()).unwrap().is_empty());
    }
}
