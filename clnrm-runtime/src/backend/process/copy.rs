//! Copies a directory tree, as fast as the file system allows.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown, lchown,
    symlink,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::ioctl_ficlone;
use serde::{Deserialize, Serialize};

/// A file up to this size is read and written in one go: cheaper than asking
/// the kernel to copy it.
const SMALL: u64 = 64 * 1024;

/// How many threads copy: file systems serialise most of what more would do.
const THREADS: usize = 2;

/// What a tree holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Extent {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// Counts what is in `dir`.
///
/// # Errors
/// When a directory cannot be read.
pub(super) fn measure(dir: &Path) -> io::Result<Extent> {
    Ok(scan(dir)?.1)
}

/// Copies what is in `from` into `to`, an existing directory, with owners and
/// modes. Returns what was copied.
///
/// # Errors
/// The first failure; `to` is incomplete then.
pub(super) fn tree(from: &Path, to: &Path) -> io::Result<Extent> {
    let (items, extent) = scan(from)?;
    let own = rustix::process::geteuid().as_raw();
    let (mut files, mut modes) = (Vec::new(), Vec::new());
    for item in items {
        let (source, target) = (from.join(&item.path), to.join(&item.path));
        match item.kind {
            Kind::Directory { mode } => {
                DirBuilder::new().mode(0o700).create(&target)?;
                modes.push((target.clone(), mode));
            }
            Kind::Link => symlink(fs::read_link(&source)?, &target)?,
            Kind::File => {
                files.push((source, target));
                continue;
            }
        }
        if item.owner.0 != own {
            lchown(&target, Some(item.owner.0), Some(item.owner.1))?;
        }
    }
    let copier = Copier {
        own,
        clones: AtomicBool::new(true),
        next: AtomicUsize::new(0),
        files,
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..THREADS).map(|_| scope.spawn(|| copier.run())).collect();
        let mut result = copier.run();
        for other in others {
            let other = other.join();
            result = result.and(other.unwrap_or_else(|_| Err(io::Error::other("a copy panicked"))));
        }
        result
    })?;
    // Last, as one of them may forbid what was done in it.
    for (dir, mode) in modes {
        fs::set_permissions(dir, Permissions::from_mode(mode))?;
    }
    Ok(extent)
}

#[derive(Debug)]
struct Item {
    path: PathBuf,
    kind: Kind,
    owner: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Directory { mode: u32 },
    File,
    Link,
}

/// Everything below `dir`, directories before what is in them. Sockets and
/// pipes mean nothing in a copy.
fn scan(dir: &Path) -> io::Result<(Vec<Item>, Extent)> {
    let mut items = Vec::new();
    let mut extent = Extent::default();
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        for entry in fs::read_dir(dir.join(&below))? {
            let entry = entry?;
            let meta = entry.metadata()?;
            let path = below.join(entry.file_name());
            let kind = if meta.is_dir() {
                left.push(path.clone());
                let mode = meta.mode() & 0o7777;
                Kind::Directory { mode }
            } else if meta.is_symlink() {
                Kind::Link
            } else if meta.is_file() {
                extent.files += 1;
                extent.bytes += meta.len();
                Kind::File
            } else {
                continue;
            };
            let owner = (meta.uid(), meta.gid());
            items.push(Item { path, kind, owner });
        }
    }
    Ok((items, extent))
}

/// Files that several threads copy.
#[derive(Debug)]
struct Copier {
    own: u32,
    /// Until the file system has refused to share blocks once.
    clones: AtomicBool,
    next: AtomicUsize,
    files: Vec<(PathBuf, PathBuf)>,
}

impl Copier {
    fn run(&self) -> io::Result<()> {
        let mut buffer = Vec::new();
        while let Some((from, to)) = self.files.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            self.file(from, to, &mut buffer)?;
        }
        Ok(())
    }

    fn file(&self, from: &Path, to: &Path, buffer: &mut Vec<u8>) -> io::Result<()> {
        let mut source = File::open(from)?;
        let meta = source.metadata()?;
        let mut target = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)?;
        if meta.uid() != self.own {
            fchown(&target, Some(meta.uid()), Some(meta.gid()))?;
        }
        // After the owner, whose change takes some of it away.
        target.set_permissions(Permissions::from_mode(meta.mode() & 0o7777))?;
        if meta.len() == 0 {
            return Ok(());
        }
        if self.clones.load(Ordering::Relaxed) {
            match ioctl_ficlone(&target, &source) {
                Ok(()) => return Ok(()),
                Err(_) => self.clones.store(false, Ordering::Relaxed),
            }
        }
        if meta.len() <= SMALL {
            buffer.clear();
            source.read_to_end(buffer)?;
            return target.write_all(buffer);
        }
        // The standard library uses copy_file_range where it can.
        io::copy(&mut source, &mut target).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_everything_of_the_tree() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("a/b/small"), "x").unwrap();
        fs::write(from.join("a/empty"), "").unwrap();
        let large = vec![7; 3 * SMALL as usize + 1];
        fs::write(from.join("large"), &large).unwrap();
        fs::set_permissions(from.join("large"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(from.join("a/b"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("b/small", from.join("a/link")).unwrap();
        let extent = tree(&from, &to).unwrap();
        let bytes = large.len() as u64 + 1;
        assert_eq!(extent, Extent { files: 3, bytes });
        assert_eq!(measure(&to).unwrap(), extent);
        assert_eq!(fs::read(to.join("large")).unwrap(), large);
        assert_eq!(fs::read(to.join("a/link")).unwrap(), b"x");
        let mode = |path: &str| fs::metadata(to.join(path)).unwrap().mode() & 0o777;
        assert_eq!(mode("large"), 0o640);
        assert_eq!(mode("a/b"), 0o750);
        assert!(tree(&from, &to).is_err(), "a copy over a copy");
    }
}
