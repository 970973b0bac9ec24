//! How long the engine waits for what does not say itself how long it takes.

use std::time::Duration;

use crate::plan::PlannedInstance;
use crate::service::Wait;

/// For a backend to make and start an instance, or make a network. Its images
/// are there by then; a data directory may have to be made first.
pub(super) const MAKING: Duration = Duration::from_secs(300);

/// For a start that is written by hand: what it does on the way, the pull of
/// an image included, only it knows.
pub(super) const BY_HAND: Duration = Duration::from_secs(600);

/// For plugin code to stop a service or to drop a slice.
pub(super) const FAREWELL: Duration = Duration::from_secs(30);

/// The same when nobody has patience any more.
pub(super) const HARD_FAREWELL: Duration = Duration::from_secs(5);

/// For one call of plugin code that prepares or divides a service.
pub(super) fn of_plugin(planned: &PlannedInstance) -> Duration {
    let spec = planned.description.spec.as_ref();
    spec.map_or(Wait::TIMEOUT, |spec| spec.start_timeout)
}
