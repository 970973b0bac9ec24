//! Everything between the macros and the engines; plugin authors depend on this crate alone.
//!
//! The modules stand in the order in which data flows: what a service *is*
//! ([`mod@service`]), who knows how to run one ([`plugin`]), what a binary declares
//! ([`declare`]), what will run where ([`plan`]), what executes it ([`engine`],
//! [`backend`], [`wait`]), and how a test gets it ([`session`]).

pub mod adapter;
pub mod backend;
pub mod cache;
pub mod clock;
pub mod config;
pub mod declare;
pub mod engine;
mod error;
pub mod host;
pub mod keeper;
pub mod label;
pub mod lifecycle;
pub mod machine;
pub mod migration;
pub mod plan;
pub mod plugin;
#[doc(hidden)]
pub mod private;
pub mod program;
pub mod protocol;
pub mod provision;
pub mod registry;
pub mod run;
pub mod service;
pub mod session;
mod sys;
pub mod wait;

#[doc(hidden)]
pub use private as __private;

pub use clnrm_macros::{
    RuntimeServicePlugin as ServicePlugin, runtime_service as service, runtime_test as test,
};
pub use declare::{Fixture, Running};
pub use error::{CleanroomError, ErrorKind, Result};
pub use plugin::ServicePlugin;
pub use service::{HealthStatus, ServiceHandle};
