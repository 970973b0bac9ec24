//! The managed cache of this user: programs that were provisioned and seeds that were made.
//!
//! Everything in it can be deleted at any time and is made again. Nothing in it
//! is used half-made: it is built under a lock, beside its place, and renamed.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{CleanroomError, Result};

/// A directory in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Who makes something, and who waits for it.
    Locks,
    /// Programs that were provisioned.
    Programs,
    /// Data directories that instances begin with.
    Seeds,
    /// What programs said of their version.
    Versions,
}

impl Part {
    const ALL: [Self; 4] = [Self::Locks, Self::Programs, Self::Seeds, Self::Versions];

    fn name(self) -> &'static str {
        match self {
            Self::Locks => "locks",
            Self::Programs => "programs",
            Self::Seeds => "seeds",
            Self::Versions => "versions",
        }
    }
}

/// Where provisioned programs and seeds are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
    mode: u32,
}

impl Cache {
    /// The cache of this user: `$CLNRM_CACHE_DIR`, else `/var/cache/clnrm` for
    /// root, else `clnrm` in `$XDG_CACHE_HOME` or `~/.cache`.
    ///
    /// Root's lies outside of its home, because a server that refuses to run as
    /// root cannot read below a home of mode 0700.
    ///
    /// # Errors
    /// When the environment names no place for it.
    pub fn of_this_user() -> Result<Self> {
        let root = rustix::process::geteuid().is_root();
        let path = locate(root, |name| {
            std::env::var_os(name).filter(|value| !value.is_empty())
        });
        path.map(Self::at).ok_or_else(|| {
            CleanroomError::validation_error("there is no place for the cache: `HOME` is not set")
                .with_hint("set `CLNRM_CACHE_DIR` to a directory")
        })
    }

    /// A cache in this directory, which need not exist yet.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let mode = if rustix::process::geteuid().is_root() {
            0o755
        } else {
            0o700
        };
        Self {
            root: root.into(),
            mode,
        }
    }

    /// Its directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Removes what is in it, and nothing else: its directory may be that of
    /// other things too.
    ///
    /// # Errors
    /// When something of it is still there.
    pub fn clear(&self) -> Result<()> {
        for part in Part::ALL {
            let dir = self.root.join(part.name());
            match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    let message = format!("cannot remove `{}`", dir.display());
                    return Err(CleanroomError::container_error(message).with_source(error));
                }
                _ => {}
            }
        }
        // With anything else in it, it stays.
        let _ = fs::remove_dir(&self.root);
        Ok(())
    }

    /// A directory in it, made if it is not there.
    pub(crate) fn dir(&self, part: Part) -> Result<PathBuf> {
        let dir = self.root.join(part.name());
        for dir in [self.root.as_path(), &dir] {
            self.make(dir).map_err(|error| {
                CleanroomError::container_error(format!(
                    "cannot make the cache directory `{}`",
                    dir.display()
                ))
                .with_hint("set `CLNRM_CACHE_DIR` to a directory that this user can write")
                .with_source(error)
            })?;
        }
        Ok(dir)
    }

    fn make(&self, dir: &Path) -> std::io::Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(self.mode).create(dir)?;
        // The umask may have taken from the mode what another user needs.
        fs::set_permissions(dir, Permissions::from_mode(self.mode))
    }

    /// Waits until nobody else, in any process, makes what `name` stands for.
    ///
    /// # Errors
    /// When another holds it for longer than `deadline`.
    pub(crate) async fn lock(&self, name: &str, deadline: Duration) -> Result<Lock> {
        let path = self.dir(Part::Locks)?.join(name);
        let failed = |error: std::io::Error| {
            CleanroomError::container_error(format!("cannot lock `{}`", path.display()))
                .with_source(error)
        };
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        // A thread that blocks in flock could not be cancelled.
        let mut pause = tokio::time::interval(Duration::from_millis(10));
        let taken = async {
            loop {
                pause.tick().await;
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
        };
        match tokio::time::timeout(deadline, taken).await {
            Ok(Ok(())) => Ok(Lock { _file: file }),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(CleanroomError::timeout_error(format!(
                "another process held `{}` for {} s",
                path.display(),
                deadline.as_secs()
            ))
            .with_hint("look for a `cargo clnrm` that hangs")),
        }
    }
}

/// A lock of the cache, held until it is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

fn locate(root: bool, var: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    if let Some(dir) = var("CLNRM_CACHE_DIR") {
        return Some(dir.into());
    }
    if root {
        return Some("/var/cache/clnrm".into());
    }
    let absolute = |dir: PathBuf| dir.is_absolute().then_some(dir);
    let xdg = var("XDG_CACHE_HOME").map(PathBuf::from).and_then(absolute);
    let base = xdg.or_else(|| var("HOME").map(|home| Path::new(&home).join(".cache")));
    base.map(|base| base.join("clnrm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(root: bool, vars: &[(&str, &str)], expected: Option<&str>) {
        let found = locate(root, |name| {
            let var = vars.iter().find(|(key, _)| *key == name);
            var.map(|(_, value)| (*value).into())
        });
        assert_eq!(found.as_deref(), expected.map(Path::new));
    }

    #[test]
    fn the_place_follows_the_user_and_the_environment() {
        let home = ("HOME", "/home/ann");
        check(false, &[home], Some("/home/ann/.cache/clnrm"));
        check(false, &[home, ("XDG_CACHE_HOME", "/c")], Some("/c/clnrm"));
        check(
            false,
            &[home, ("XDG_CACHE_HOME", "c")],
            Some("/home/ann/.cache/clnrm"),
        );
        check(true, &[("HOME", "/root")], Some("/var/cache/clnrm"));
        check(true, &[home, ("CLNRM_CACHE_DIR", "/x")], Some("/x"));
        check(false, &[], None);
    }

    #[test]
    fn what_is_cleared_is_the_caches_own() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("cache"));
        cache.clear().unwrap();
        for part in Part::ALL {
            let dir = cache.dir(part).unwrap();
            fs::write(dir.join("x"), "").unwrap();
        }
        let precious = cache.root().join("precious");
        fs::write(&precious, "").unwrap();
        cache.clear().unwrap();
        let left: Vec<_> = fs::read_dir(cache.root()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
        fs::remove_file(&precious).unwrap();
        cache.clear().unwrap();
        assert!(!cache.root().exists());
    }

    #[tokio::test]
    async fn a_lock_is_had_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::at(dir.path().join("new/cache"));
        let held = cache.lock("x", Duration::from_secs(5)).await.unwrap();
        let other = cache.lock("y", Duration::from_secs(5)).await.unwrap();
        let refused = cache.lock("x", Duration::from_millis(30)).await;
        assert_eq!(refused.unwrap_err().kind(), crate::ErrorKind::Timeout);
        drop((held, other));
        cache.lock("x", Duration::from_secs(5)).await.unwrap();
    }
}
