//! The built-in plugins, and plugins as the older guides write them, in containers.
//!
//! Without an engine they are skipped, which each says, and with
//! CLNRM_REQUIRE_DOCKER=1 that is an error.

#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the helpers of tests fail as tests do"
)]

mod container;
mod engine;
mod generic;
mod lifecycle;
mod older;
mod together;
mod walkthrough;
