//! Instances as processes of this machine: each in a directory of its own, none able to outlive the run.
//!
//! They are children of the run's keeper, get ports that were reserved for
//! them, a cleared environment and a data directory that is copied from a seed.

mod backend;
mod copy;
mod directory;
mod environment;
mod exec;
mod family;
mod instance;
mod life;
mod log;
pub(crate) mod port;
mod ports;
mod seed;
mod socket;
mod user;

pub use backend::{ProcessBackend, ProcessConfig};
pub(crate) use log::Log;

/// Where the programs of the system lie: all of `PATH` that an instance gets
/// besides its own program's directory.
pub(crate) const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[cfg(test)]
mod tests;
