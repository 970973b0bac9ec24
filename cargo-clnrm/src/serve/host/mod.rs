//! Hosts: the processes in which plugin code runs for the coordinator.
//!
//! [`HostPool`] starts one for each test binary whose plugins are asked
//! something, and starts another when it is lost. A host owns no resource: what
//! plugin code starts by hand is started by the [`Ambient`] engine of the
//! coordinator, and removed with the call that wanted it.

mod ambient;
mod call;
mod desk;
mod hooks;
mod live;
mod output;
mod pool;
mod question;
mod spawn;
mod start;

pub use ambient::{Ambient, AmbientStart};
pub(super) use desk::HostDesk;
pub use pool::HostPool;
pub use spawn::{HostBinary, HostProcess, HostSpawn, Limits, Spawner};
