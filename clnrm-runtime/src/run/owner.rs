//! Reads what tells a process apart from every other that is or was.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::getpid;

use super::cannot;
use crate::error::{CleanroomError, Result};
use crate::keeper::process;
use crate::label::Owner;

/// This process as an owner.
pub(super) fn current() -> Result<Owner> {
    let boot = "/proc/sys/kernel/random/boot_id";
    let boot = read(Path::new(boot))?.trim().to_owned();
    let namespace = Path::new("/proc/self/ns/pid");
    let namespace = fs::metadata(namespace)
        .map_err(|error| cannot("read", namespace, error))?
        .ino();
    let started = process::started(getpid())
        .ok_or_else(|| CleanroomError::internal_error("`/proc/self/stat` has no start time"))?;
    Ok(Owner {
        boot,
        namespace,
        uid: rustix::process::geteuid().as_raw(),
        pid: std::process::id(),
        started,
    })
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| cannot("read", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_the_same_owner_twice() {
        let owner = current().unwrap();
        assert_eq!(owner, current().unwrap());
        assert_eq!(owner.pid, std::process::id());
    }
}
