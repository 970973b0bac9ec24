//! Runs a whole run: the engine in this process, each test and each host in one of its own.

mod ambient;
mod attempt;
mod capture;
mod discovery;
mod evidence;
mod freezer;
mod hosts;
mod leases;
mod listing;
mod nothing;
mod outcome;
mod preview;
mod run;
mod schedule;
mod settings;
mod signal;
mod slot;
mod teller;
mod world;

pub use discovery::{Discovery, discover};
pub use preview::{catalog, list, plan};
pub use run::run;
pub use settings::{Ended, Settings};
