//! The coordinator's end of the protocol: one socket for the tests and the hosts of a run.
//!
//! [`Server`] listens; [`Reception`] knows who is expected; [`LeaseService`]
//! is what tests ask for, implemented by the coordinator; [`HostPool`] runs
//! plugin code in hosts, and is the engine's [`Hooks`](clnrm_runtime::engine::Hooks).

mod host;
mod lease;
mod reception;
mod server;

pub use host::{
    Ambient, AmbientStart, HostBinary, HostPool, HostProcess, HostSpawn, Limits, Spawner,
};
pub use lease::LeaseService;
pub use reception::{Attempt, Reception, Ticket};
pub use server::Server;
