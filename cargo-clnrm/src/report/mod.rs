//! How a run is told: live lines, a summary, the timing report, JUnit and NDJSON files.
//!
//! The data goes one way. The runner makes [`event::RunEvent`]s; a [`Reporter`] hands each to the renderers that were
//! asked for; a renderer is a pure value that gathers events and turns them into text, and only [`Reporter`] writes.
//! Nothing here asks the runner, the clock or an engine for anything, so a run can be told again from its events.
//!
//! ```
//! use std::time::Duration;
//! use cargo_clnrm::report::event::{Envelope, RunEvent};
//! use cargo_clnrm::report::{Options, Reporter};
//!
//! let mut reporter = Reporter::new(&Options::default())?;
//! let command = "cargo test --no-run".to_owned();
//! reporter.emit(&Envelope::new("a-run", Duration::from_millis(3), RunEvent::BuildStarted { command }));
//! assert!(reporter.finish().is_ok());
//! # Ok::<(), cargo_clnrm::report::ReportError>(())
//! ```
//!
//! While there is a progress line, nothing else may write to the terminal: cargo's diagnostics become
//! [`event::RunEvent::BuildMessage`], and where tests write to it themselves, [`ShowProgress::Never`] is for them.

pub mod event;
mod file;
pub mod junit;
pub mod live;
pub mod ndjson;
pub mod progress;
mod reporter;
#[cfg(test)]
mod sample;
mod screen;
mod style;
pub mod summary;
mod target;
#[cfg(test)]
mod terminal;
pub mod timing;

pub use reporter::{Options, ReportError, Reporter, ShowProgress};
pub use target::{NotATarget, Target};
