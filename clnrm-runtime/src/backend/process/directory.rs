//! The directory of one instance: what is in it, who may see it, and which paths are inside.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Component, Path, PathBuf};

use super::user::Account;
use crate::error::{CleanroomError, Result};

/// The longest part of an instance's name that comes from its service: a
/// socket's path has 107 bytes, of which the run's directory may take 60.
const NAME: usize = 12;

/// The directory of one instance.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    root: PathBuf,
    account: Option<Account>,
}

impl Directory {
    /// The directory `name` of a run; made by [`Self::make`]. Everything that
    /// the service may write belongs to `account`.
    pub(super) fn new(run: &Path, name: &str, account: Option<Account>) -> Self {
        Self {
            root: run.join(name),
            account,
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What `{data_dir}` means.
    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// `$TMPDIR` of the service.
    pub(super) fn temp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The log, which is ours to write.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// As whom the service runs, when not as this user.
    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Makes it, with an empty data directory.
    ///
    /// # Errors
    /// When the disk is full, or the directory is there already.
    pub(super) fn make(&self) -> Result<()> {
        let made = || {
            DirBuilder::new().mode(0o700).create(&self.root)?;
            for dir in [self.data(), self.temp()] {
                DirBuilder::new().mode(0o700).create(&dir)?;
                self.give(&dir)?;
            }
            self.give(&self.root)?;
            // As root the service is another user's, and so may its clients be.
            let root = rustix::process::geteuid().is_root();
            let mode = if root { 0o711 } else { 0o700 };
            fs::set_permissions(&self.root, Permissions::from_mode(mode))
        };
        made().map_err(|error| self.cannot("make", &self.root, error))
    }

    /// Makes what is at `path` the service's own.
    pub(super) fn give(&self, path: &Path) -> io::Result<()> {
        match &self.account {
            Some(account) => chown(path, Some(account.uid), Some(account.gid)),
            None => Ok(()),
        }
    }

    /// Writes a file, whose directory is made where it is missing if `parents`.
    ///
    /// # Errors
    /// When the path leads outside, or cannot be written.
    pub(super) fn write(
        &self,
        path: &str,
        contents: &[u8],
        mode: u32,
        parents: bool,
    ) -> Result<()> {
        if parents {
            self.make_parents(path)?;
        }
        let path = self.inside(path)?;
        let write = || {
            fs::write(&path, contents)?;
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
            self.give(&path)
        };
        write().map_err(|error| self.cannot("write", &path, error))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When the path leads outside, or there is no such file.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>> {
        let path = self.inside(path)?;
        fs::read(&path).map_err(|error| self.cannot("read", &path, error))
    }

    fn make_parents(&self, path: &str) -> Result<()> {
        let path = self.joined(path)?;
        let parents: Vec<_> = path.ancestors().skip(1).collect();
        let below = parents.into_iter().rev();
        for dir in below.filter(|dir| dir.starts_with(&self.root)) {
            if !dir.exists() {
                let made = fs::create_dir(dir).and_then(|()| self.give(dir));
                made.map_err(|error| self.cannot("make", dir, error))?;
            }
        }
        Ok(())
    }

    /// `path` from the root of the instance, or absolute below it; no `..`.
    fn joined(&self, path: &str) -> Result<PathBuf> {
        let joined = self.root.join(path);
        let plain = joined
            .components()
            .all(|part| !matches!(part, Component::ParentDir));
        if plain && joined.starts_with(&self.root) && joined != self.root {
            Ok(joined)
        } else {
            Err(self.outside(path))
        }
    }

    /// The same with every link resolved, which must be inside too: a service
    /// can make links, and we may be root.
    fn inside(&self, path: &str) -> Result<PathBuf> {
        let joined = self.joined(path)?;
        let resolved = fs::canonicalize(&joined).or_else(|_| {
            let name = joined.file_name().unwrap_or_default();
            let parent = joined.parent().unwrap_or(&joined);
            // A link that leads nowhere would be followed by a write.
            match joined.symlink_metadata() {
                Ok(_) => Err(io::Error::from(io::ErrorKind::NotFound)),
                Err(_) => fs::canonicalize(parent).map(|parent| parent.join(name)),
            }
        });
        let root = fs::canonicalize(&self.root);
        match (resolved, root) {
            (Ok(resolved), Ok(root)) if resolved.starts_with(&root) => Ok(resolved),
            (Ok(_), Ok(_)) => Err(self.outside(path)),
            (Err(error), _) | (_, Err(error)) => Err(self.cannot("reach", &joined, error)),
        }
    }

    fn outside(&self, path: &str) -> CleanroomError {
        CleanroomError::validation_error(format!("`{path}` is not inside of the instance"))
            .with_hint(format!(
                "write it relative to the instance's directory, `{}`",
                self.root.display()
            ))
    }

    fn cannot(&self, verb: &str, path: &Path, error: io::Error) -> CleanroomError {
        let message = format!("cannot {verb} `{}`", path.display());
        let full = error.kind() == io::ErrorKind::StorageFull;
        let error = CleanroomError::container_error(message).with_source(error);
        if full {
            error.with_hint(format!(
                "make room on the disk of `{}`, or set `CLNRM_TMPDIR` to a directory on another one",
                self.root.display()
            ))
        } else {
            error
        }
    }
}

/// A name for a directory: of the service, and short.
pub(super) fn name(service: &str, number: u64) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    };
    let short: String = service.chars().take(NAME).map(plain).collect();
    format!("{}-{number}", short.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn directory() -> (tempfile::TempDir, Directory) {
        let run = tempfile::tempdir().unwrap();
        let directory = Directory::new(run.path(), "db-1", None);
        directory.make().unwrap();
        (run, directory)
    }

    #[test]
    fn files_are_written_below_the_instance_only() {
        let (run, directory) = directory();
        directory.write("conf/a.conf", b"x", 0o640, true).unwrap();
        let path = directory.root().join("conf/a.conf");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(directory.read(path.to_str().unwrap()).unwrap(), b"x");
        let absolute = run.path().join("other").to_string_lossy().into_owned();
        for path in ["../x", "/etc/passwd", "data/../../x", "", ".", &absolute] {
            let error = directory.write(path, b"x", 0o600, true).unwrap_err();
            assert!(error.message().contains("is not inside"), "{path}: {error}");
            assert!(directory.read(path).is_err());
        }
        assert_eq!(fs::read_dir(run.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_that_lead_outside_are_not_followed() {
        let (run, directory) = directory();
        fs::write(run.path().join("secret"), "x").unwrap();
        for (link, target) in [
            ("file", "../../secret"),
            ("dir", "../.."),
            ("new", "../../new"),
        ] {
            symlink(target, directory.data().join(link)).unwrap();
        }
        for path in ["data/file", "data/dir/secret", "data/dir/new", "data/new"] {
            assert!(directory.read(path).is_err(), "{path}");
            assert!(directory.write(path, b"y", 0o600, false).is_err(), "{path}");
        }
        assert_eq!(fs::read(run.path().join("secret")).unwrap(), b"x");
        assert!(!run.path().join("new").exists());
    }

    #[test]
    fn a_full_disk_is_told_with_a_way_out() {
        let directory = Directory::new(Path::new("/nonexistent"), "db-1", None);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = directory.cannot("write", Path::new("/x"), full);
        assert!(error.hint().unwrap().contains("CLNRM_TMPDIR"), "{error}");
    }

    #[test]
    fn names_are_short_and_plain() {
        assert_eq!(name("orders-db", 3), "orders-db-3");
        assert_eq!(name("A very long name/../x", 12), "a-very-long-12");
    }
}
