//! How a test gets its services: from the engine in its own process, or from the coordinator.

mod case;
mod control;
mod held;
mod leases;
pub(crate) mod local;
mod remote;
mod run;
mod watchdog;

pub use case::{Flavor, TestCase};
pub use leases::Leases;
pub use remote::Remote;
pub use run::{run_async, run_async_should_panic, run_sync, run_sync_should_panic};
