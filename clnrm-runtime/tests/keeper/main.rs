//! The keeper and its children, as real processes: what starts, what ends, and
//! that nothing stays.

#![allow(
    clippy::exit,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the helpers of tests are as strict as tests; clippy knows only the tests themselves"
)]

mod child;
mod death;
mod limit;
mod owner;
mod run;
mod signal;
mod support;
mod thing;
