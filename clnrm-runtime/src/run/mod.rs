//! One run: its id, its directory and its lock. It starts and stops nothing.
//!
//! Everything of a run lies in `<temp>/clnrm-<id>`, so that whoever comes later
//! can tell a run that lives from what a dead one left: `owner` says whose it is
//! and `lock` is held, by the owner and its keeper, as long as the run lives.

mod directory;
mod engine;
mod kept;
mod live;
mod owner;
mod stale;

pub use engine::EngineMark;
pub use kept::{KeptRun, kept_runs};
pub use live::live_runs;
pub(crate) use live::lives;
pub use stale::{
    ForeignRun, StaleRun, UnbegunRun, foreign_runs, stale_runs, sweep_stale, unbegun_runs,
};

pub(crate) use directory::{remove, remove_shared_memory};

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{CleanroomError, Result};
use crate::keeper::process;
use crate::label::{Label, Owner};
use crate::service::{InstanceKey, RunId};

/// The environment variable with the id of the run, in every process of it.
pub const RUN_VARIABLE: &str = "CLNRM_RUN";
/// The environment variable that moves the directories of runs.
pub const TEMP_VARIABLE: &str = "CLNRM_TMPDIR";

const PREFIX: &str = "clnrm-";
const LOCK: &str = "lock";
const OWNER: &str = "owner";
/// What becomes `owner`.
const DRAFT: &str = ".owner";
/// A socket's path has 107 bytes; what lies in a run's directory needs the rest.
const LONGEST: usize = 60;

/// A run that this process owns.
///
/// Dropping it gives up the lock and leaves the directory to the keeper, or to
/// the next run's sweep; [`Run::end`] is the way.
#[derive(Debug)]
pub struct Run {
    id: RunId,
    owner: Owner,
    dir: PathBuf,
    lock: File,
    attempts: AtomicU64,
}

impl Run {
    /// Makes a new run, with a directory in `$CLNRM_TMPDIR` or `/tmp`.
    ///
    /// # Errors
    /// When the directory cannot be made, or its path would be too long for the
    /// sockets in it.
    pub fn begin() -> Result<Self> {
        Self::begin_in(&temp())
    }

    pub(crate) fn begin_in(temp: &Path) -> Result<Self> {
        // The machine is not in order, and no service has any part in it.
        let unmade = |dir: &Path, error| {
            CleanroomError::validation_error(format!("cannot make `{}`", dir.display()))
                .with_source(error)
                .with_hint(format!(
                    "set `{TEMP_VARIABLE}` to a directory that you may write; it is `/tmp` when not set"
                ))
        };
        let owner = owner::current()?;
        let place = std::fs::metadata(temp);
        let place = place.map_err(|error| unmade(&temp.join(PREFIX), error))?;
        let id = new_id(&owner, &place)?;
        let dir = temp.join(format!("{PREFIX}{id}"));
        if !dir.is_absolute() || dir.as_os_str().len() > LONGEST {
            return Err(CleanroomError::validation_error(format!(
                "`{}` cannot hold the directories of runs",
                temp.display()
            ))
            .with_hint(format!(
                "set `{TEMP_VARIABLE}` to an absolute path of at most {} bytes, for example `/tmp`",
                LONGEST - PREFIX.len() - id.as_str().len() - 1
            )));
        }
        let made = DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(|error| unmade(&dir, error))?;
        let lock = fill(&dir, &owner).map_err(|error| {
            // The first error is the one to tell.
            let _ = std::fs::remove_dir_all(&dir);
            unmade(&dir, error)
        })?;
        Ok(Self {
            id,
            owner,
            dir,
            lock,
            attempts: AtomicU64::new(0),
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Who owns it: this process.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What one more attempt to start an instance carries.
    #[must_use]
    pub fn label(&self, service: &str, key: &InstanceKey) -> Label {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        Label {
            run: self.id.clone(),
            owner: self.owner.clone(),
            service: service.to_owned(),
            key: key.clone(),
            attempt: format!("{}-{attempt}", self.id),
        }
    }

    /// Kills every process that carries the run's id, and blocks until it has
    /// ended: for when the keeper died, and what detached from its children is
    /// nobody's any more. This process is not among them.
    ///
    /// # Errors
    /// When one does not end.
    pub fn kill_all(&self) -> Result<()> {
        process::kill_run(&self.id)
    }

    /// Removes its directory. Everything of the run must have been stopped.
    ///
    /// # Errors
    /// When something of the directory is still there.
    pub fn end(&self) -> Result<()> {
        remove(&self.dir)
    }

    /// Marks the run as one whose `keeper` stays when this process ends, until
    /// `cargo clnrm clean` ends it.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn keep(&self, keeper: u32) -> Result<()> {
        kept::mark(&self.dir, keeper)
    }

    /// The lock, for the keeper to hold it too.
    pub(crate) fn lock(&self) -> &File {
        &self.lock
    }
}

/// Makes what is in the directory of a run; gives the lock, which is held.
fn fill(dir: &Path, owner: &Owner) -> std::io::Result<File> {
    // Services run as other users where this one is root: they have to pass
    // through, but need not list.
    let mode = if owner.uid == 0 { 0o711 } else { 0o700 };
    std::fs::set_permissions(dir, Permissions::from_mode(mode))?;
    let lock = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(dir.join(LOCK))?;
    lock.lock()?;
    // Who sees `owner` also finds the lock taken: it is written last, at once.
    let draft = dir.join(DRAFT);
    File::create_new(&draft)?.write_all(&serde_json::to_vec(owner)?)?;
    std::fs::rename(&draft, dir.join(OWNER))?;
    Ok(lock)
}

/// Where the directories of runs lie.
fn temp() -> PathBuf {
    std::env::var_os(TEMP_VARIABLE)
        .filter(|value| !value.is_empty())
        .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from)
}

/// An id whose first half says from where its owner sees the locks of other
/// runs: `place` is the directory of the runs, which has one name in many mount
/// namespaces and may have many names in one.
fn new_id(owner: &Owner, place: &Metadata) -> Result<RunId> {
    let numbers = [owner.namespace, owner.uid.into(), place.dev(), place.ino()];
    let numbers = numbers.map(|number| number.to_string());
    let parts = std::iter::once(&owner.boot).chain(&numbers);
    let site = InstanceKey::of(parts.map(String::as_str)).to_string();
    let mut bytes = [0_u8; (RunId::LEN - RunId::SITE) / 2];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| cannot("read", Path::new("/dev/urandom"), error))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let site = site.get(..RunId::SITE).unwrap_or_default();
    Ok(RunId::new(format!("{site}{digits}")))
}

fn cannot(verb: &str, path: &Path, error: std::io::Error) -> CleanroomError {
    CleanroomError::container_error(format!("cannot {verb} `{}`", path.display()))
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::stale::{foreign_runs_in, stale_runs_in};
    use super::*;

    fn ids(temp: &Path) -> Vec<String> {
        let runs = stale_runs_in(temp).unwrap();
        runs.iter().map(|run| run.id().to_string()).collect()
    }

    /// Its owner is gone, and so is any child that another test is just starting, which would still have the lock.
    fn die(run: Run) {
        run.lock.unlock().unwrap();
        drop(run);
    }

    #[test]
    fn a_run_is_stale_once_nobody_holds_its_lock() {
        let temp = tempfile::tempdir().unwrap();
        let live = Run::begin_in(temp.path()).unwrap();
        let dead = Run::begin_in(temp.path()).unwrap();
        assert!(ids(temp.path()).is_empty());
        let (id, dir) = (dead.id().to_string(), dead.dir().to_owned());
        die(dead);
        assert_eq!(ids(temp.path()), [id]);
        for run in stale_runs_in(temp.path()).unwrap() {
            assert_eq!(run.owner().pid, std::process::id());
            // Who holds it keeps others from it.
            assert!(ids(temp.path()).is_empty());
            run.remove().unwrap();
        }
        assert!(!dir.exists() && live.dir().exists());
    }

    #[test]
    fn runs_of_one_site_begin_with_the_same_digits() {
        let temps = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let run = |temp: &tempfile::TempDir| Run::begin_in(temp.path()).unwrap();
        let [one, other] = &temps;
        let runs = [run(one), run(one), run(other)];
        let [first, second, elsewhere] = runs.each_ref().map(Run::id);
        assert_eq!(first.as_str().len(), 16);
        assert_eq!(first.site(), second.site());
        assert_ne!(first, second);
        assert_ne!(first.site(), elsewhere.site());
        // Another name of the same directory.
        let link = other.path().join("link");
        symlink(one.path(), &link).unwrap();
        let linked = Run::begin_in(&link).unwrap();
        assert_eq!(first.site(), linked.id().site());
        let owner = runs[0].owner();
        let place = std::fs::metadata(one.path()).unwrap();
        for stranger in [
            Owner {
                boot: "another".to_owned(),
                ..owner.clone()
            },
            Owner {
                namespace: 1,
                ..owner.clone()
            },
            Owner {
                uid: 4711,
                ..owner.clone()
            },
        ] {
            let id = new_id(&stranger, &place).unwrap();
            assert_ne!(id.site(), first.site(), "{stranger}");
        }
    }

    #[test]
    fn what_is_not_surely_ours_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let run = Run::begin_in(temp.path()).unwrap();
        let (owner, dir) = (run.owner().clone(), run.dir().to_owned());
        die(run);
        let claim = |owner: &Owner| {
            let text = serde_json::to_vec(owner).unwrap();
            std::fs::write(dir.join(OWNER), text).unwrap();
            ids(temp.path()).len()
        };
        assert_eq!(claim(&owner), 1);
        let boot = "another".to_owned();
        assert_eq!(
            claim(&Owner {
                boot,
                ..owner.clone()
            }),
            0
        );
        assert_eq!(
            claim(&Owner {
                namespace: 1,
                ..owner.clone()
            }),
            0
        );
        assert_eq!(
            claim(&Owner {
                uid: 4711,
                ..owner.clone()
            }),
            0
        );
        assert_eq!(claim(&owner), 1);
        symlink(&dir, temp.path().join("clnrm-aaaaaaaaaaaa")).unwrap();
        std::fs::create_dir(temp.path().join("clnrm-bbbbbbbbbbbb")).unwrap();
        std::fs::create_dir(temp.path().join("other")).unwrap();
        assert_eq!(ids(temp.path()).len(), 1);
        std::fs::remove_file(dir.join(OWNER)).unwrap();
        assert_eq!(ids(temp.path()).len(), 0, "it may just be being made");
    }

    #[test]
    fn a_run_of_another_boot_is_foreign_unless_somebody_holds_it() {
        let temp = tempfile::tempdir().unwrap();
        let run = Run::begin_in(temp.path()).unwrap();
        let owner = Owner {
            boot: "another".to_owned(),
            ..run.owner().clone()
        };
        let text = serde_json::to_vec(&owner).unwrap();
        std::fs::write(run.dir().join(OWNER), text).unwrap();
        assert!(foreign_runs_in(temp.path()).unwrap().is_empty());
        let dir = run.dir().to_owned();
        die(run);
        // Ours are stale, and not foreign.
        die(Run::begin_in(temp.path()).unwrap());
        for run in foreign_runs_in(temp.path()).unwrap() {
            assert_eq!(run.dir(), dir);
            assert!(run.begun().elapsed().unwrap().as_secs() < 60);
            run.remove().unwrap();
        }
        assert!(!dir.exists());
    }

    #[test]
    fn a_place_that_leaves_no_room_for_sockets_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let deep = temp.path().join("d".repeat(60));
        std::fs::create_dir(&deep).unwrap();
        for place in [&deep, Path::new("relative")] {
            let error = Run::begin_in(place).unwrap_err();
            assert!(error.hint().unwrap().contains(TEMP_VARIABLE), "{error:?}");
        }
        let error = Run::begin_in(Path::new("/nonexistent")).unwrap_err();
        assert!(error.report().contains("No such file"), "{error:?}");
        assert_eq!(error.kind(), crate::ErrorKind::Validation);
        assert!(error.hint().unwrap().contains(TEMP_VARIABLE), "{error:?}");
    }
}
