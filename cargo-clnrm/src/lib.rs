//! The parts of `cargo clnrm` that are no process: which tests a run selects, and how it is reported.
//!
//! The binary is a thin `main` over this library, so that everything it decides can be tested without starting
//! anything. [`filter`] is pure; [`report`] learns of a run through nothing but its events.

pub mod cli;
pub mod command;
pub mod console;
pub mod coordinate;
pub mod describe;
pub mod discover;
pub mod exit;
pub mod filter;
pub mod report;
pub mod serve;
