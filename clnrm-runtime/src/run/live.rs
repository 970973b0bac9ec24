//! Which runs live, as far as this user can tell.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use super::{LOCK, PREFIX, cannot, temp};
use crate::error::Result;
use crate::service::RunId;

/// The ids of the runs whose lock is held, this one included.
///
/// # Errors
/// When the directory of the runs cannot be read.
pub fn live_runs() -> Result<Vec<RunId>> {
    let temp = temp();
    let entries = fs::read_dir(&temp).map_err(|error| cannot("read", &temp, error))?;
    Ok(entries
        .flatten()
        .filter_map(|entry| live_run(&entry.path()))
        .collect())
}

/// Whether the lock of a run is held at this moment.
pub(crate) fn lives(run: &RunId) -> bool {
    live_run(&temp().join(format!("{PREFIX}{run}"))).is_some()
}

/// A lock that cannot be looked at may be somebody's: that run counts as live.
fn live_run(dir: &Path) -> Option<RunId> {
    let id = dir.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    let lock = match File::options().write(true).open(dir.join(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(_) => return Some(RunId::new(id)),
    };
    match lock.try_lock() {
        Ok(()) => None,
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => Some(RunId::new(id)),
    }
}
