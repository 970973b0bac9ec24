//! The keeper: the process that is the parent of everything a run starts, and
//! removes it when the run's owner is gone.
//!
//! It is the own binary once more, entered before `main`; it knows
//! processes, a directory and a label, and nothing of tests, services or plans.

mod channel;
mod child;
mod client;
mod connection;
mod entry;
mod family;
mod init;
mod limit;
mod message;
pub(crate) mod process;
mod server;
mod shim;
mod spawn;

pub use child::Child;
pub use client::Keeper;
pub(crate) use entry::enter;
pub(crate) use limit::restore_for;
pub use limit::{limit_hint, raise_open_files};
pub use spawn::{Exit, Isolation, Signal, Spawn, Stdio, Target, User};
