//! Runs that were kept for a look: their owner is gone, and their keeper stays until it is told to end.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

use super::stale::{directories, of_this_user};
use super::{cannot, temp};
use crate::error::{CleanroomError, Result};
use crate::keeper::process;
use crate::label::Owner;
use crate::service::RunId;

/// The file that says who keeps a run.
const KEPT: &str = "kept";

/// The process that keeps a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    keeper: u32,
    /// Its start time in clock ticks since boot.
    started: u64,
}

/// A run that goes on without its owner. Its keeper holds the lock.
#[derive(Debug)]
pub struct KeptRun {
    id: RunId,
    dir: PathBuf,
    mark: Mark,
}

impl KeptRun {
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

    /// Has its keeper remove everything of it, and blocks until that is done.
    ///
    /// # Errors
    /// When the keeper does not end, or leaves something.
    pub fn end(self) -> Result<()> {
        let keeper = pid(self.mark.keeper)?;
        process::end(keeper, self.mark.started, Signal::TERM)?;
        if self.dir.exists() {
            return Err(CleanroomError::container_error(format!(
                "the keeper of run `{}` did not remove everything",
                self.id
            ))
            .with_context("directory", self.dir.display())
            .with_hint("`keeper.log` in it says why; run `cargo clnrm clean` again"));
        }
        Ok(())
    }
}

/// Writes the mark.
pub(super) fn mark(dir: &Path, keeper: u32) -> Result<()> {
    let started = process::started(pid(keeper)?)
        .ok_or_else(|| CleanroomError::internal_error("the keeper has ended"))?;
    let path = dir.join(KEPT);
    let text = serde_json::to_vec(&Mark { keeper, started }).map_err(std::io::Error::from);
    text.and_then(|text| fs::write(&path, text))
        .map_err(|error| cannot("write", &path, error))
}

/// The runs of this user, this boot and this pid namespace that are kept, ordered by id.
///
/// # Errors
/// When the directory of the runs cannot be read.
pub fn kept_runs() -> Result<Vec<KeptRun>> {
    kept_runs_in(&temp())
}

fn kept_runs_in(temp: &Path) -> Result<Vec<KeptRun>> {
    directories(temp, kept_run)
}

/// One whose keeper is gone is stale, and no longer kept.
fn kept_run(dir: &Path, us: &Owner) -> Option<KeptRun> {
    let (id, owner) = of_this_user(dir, us)?;
    if !owner.is_near(us) {
        return None;
    }
    let mark: Mark = serde_json::from_slice(&fs::read(dir.join(KEPT)).ok()?).ok()?;
    process::lives(pid(mark.keeper).ok()?, mark.started).then(|| KeptRun {
        id,
        dir: dir.to_owned(),
        mark,
    })
}

fn pid(raw: u32) -> Result<Pid> {
    let pid = i32::try_from(raw).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| CleanroomError::internal_error(format!("`{raw}` is no process")))
}

#[cfg(test)]
mod tests {
    use super::super::Run;
    use super::*;

    #[test]
    fn a_run_is_kept_as_long_as_its_keeper_lives() {
        let temp = tempfile::tempdir().unwrap();
        let run = Run::begin_in(temp.path()).unwrap();
        assert!(kept_runs_in(temp.path()).unwrap().is_empty());
        run.keep(std::process::id()).unwrap();
        let kept = kept_runs_in(temp.path()).unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!((kept[0].id(), kept[0].dir()), (run.id(), run.dir()));
        let another = Mark {
            keeper: std::process::id(),
            started: 1,
        };
        let text = serde_json::to_vec(&another).unwrap();
        fs::write(run.dir().join(KEPT), text).unwrap();
        assert!(
            kept_runs_in(temp.path()).unwrap().is_empty(),
            "a reused pid"
        );
    }
}
