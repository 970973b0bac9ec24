//! What is linked into this binary: its services and its plugin types, sorted, duplicates refused.
//!
//! Everything here reads what `inventory` collected, whose order is
//! unspecified, and the plugins that it names. Nothing here starts anything.

mod describe;
mod factory;
mod fingerprint;
mod plugin;
mod service;
mod set;

pub use describe::{describe, describe_all};
pub use factory::{Construct, ServiceFactory};
pub use plugin::{PluginRegistry, RegisteredPlugin, plugins};
pub use service::declarations;
pub use set::PluginSet;
