//! Removes the directory of a run, and the shared memory named in it.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::process::{dumpable_behavior, geteuid, set_dumpable_behavior};
use rustix::thread::{Uid, set_thread_res_uid};

use super::{LOCK, OWNER, cannot};
use crate::error::Result;
use crate::sys;

/// Removes a run's directory. One that is gone is no error.
///
/// `owner` and then `lock` go last: who is interrupted here leaves a run that a
/// later sweep still recognises, or one that never began.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    let removed = || {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name() != OWNER && entry.file_name() != LOCK {
                remove_entry(&entry.path())?;
            }
        }
        match fs::remove_file(dir.join(OWNER)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::remove_dir_all(dir)
    };
    match removed() {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(cannot("remove", dir, error)),
        _ => Ok(()),
    }
}

fn remove_entry(path: &Path) -> std::io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return fs::remove_file(path);
    }
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        result => result,
    }
}

/// Gives its owner every right to a directory and to those in it: a service
/// may have made one read-only.
fn open_up(path: &Path) -> std::io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes the System V segments that the servers of a run left: a PostgreSQL
/// that is killed removes neither `postmaster.pid` nor what it names.
///
/// Nothing may run any more. A segment is only touched if key and creator are
/// those in the file, so that another ipc namespace's number meets nobody, and
/// with no more rights than the file's owner has.
pub(crate) fn remove_shared_memory(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name() == "postmaster.pid" {
            if let Some(segment) = fs::read_to_string(entry.path())
                .ok()
                .as_deref()
                .and_then(segment)
            {
                as_owner(&entry.path(), || {
                    sys::remove_segment(segment.id, segment.key, segment.creator);
                });
            }
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_shared_memory(&entry.path());
        }
    }
}

/// Does something as the user that a file belongs to: in a container root has
/// no power over what other users share.
fn as_owner(file: &Path, work: impl FnOnce() + Send) {
    let Ok(owner) = fs::metadata(file).map(|file| Uid::from_raw(file.uid())) else {
        return;
    };
    // Who is not root works as itself.
    if owner == geteuid() || !geteuid().is_root() {
        return work();
    }
    let dumpable = dumpable_behavior();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Of this thread alone, which ends with it. Where it is refused, no server of ours ran as that user.
            if set_thread_res_uid(owner, owner, owner).is_ok() {
                work();
            }
        });
    });
    // A change of user takes this from the whole process, and with it the files in its `/proc`.
    if let Ok(dumpable) = dumpable {
        let _ = set_dumpable_behavior(dumpable);
    }
}

/// What a `postmaster.pid` says of its segment.
#[derive(Debug, PartialEq, Eq)]
struct Segment {
    creator: u32,
    key: i64,
    id: i32,
}

/// Line 1 is the postmaster, line 7 key and id of its segment.
fn segment(text: &str) -> Option<Segment> {
    let mut lines = text.lines();
    let creator = lines.next()?.trim().parse().ok()?;
    let mut words = lines.nth(5)?.split_whitespace();
    Some(Segment {
        creator,
        key: words.next()?.parse().ok()?,
        id: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_only_directories_are_removed_too() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("run");
        let deep = dir.join("instance/deep");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("file"), "").unwrap();
        for closed in [&deep, deep.parent().unwrap()] {
            fs::set_permissions(closed, Permissions::from_mode(0o500)).unwrap();
        }
        remove(&dir).unwrap();
        assert!(!dir.exists());
        remove(&dir).unwrap();
    }

    #[test]
    fn a_postmaster_names_its_segment() {
        let text = "4711\n/data\n1700000000\n5432\n/run\n127.0.0.1\n  1193047     65538\nready\n";
        let expected = Segment {
            creator: 4711,
            key: 1_193_047,
            id: 65538,
        };
        assert_eq!(segment(text), Some(expected));
        assert_eq!(segment("4711\n/data\n"), None);
    }
}
