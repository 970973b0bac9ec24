//! The life of an instance: its states, how starts are retried, what it holds.

mod error;
mod managed;
mod retry;
mod state;
mod tracker;

pub use error::PluginLifecycleError;
pub use managed::Managed;
pub use retry::{Retry, retry};
pub use state::{Lifecycle, LifecycleState};
pub use tracker::{Resource, ResourceTracker};
