//! Support for the tests of the whole product: throw-away projects, and what the compiler says of them.

#![expect(
    clippy::expect_used,
    reason = "what fails here is the test that called it"
)]

mod diagnostic;
mod engine;
mod project;

// What the documents show compiles: `documents/build.rs` makes the copies.
#[cfg(doctest)]
#[doc = include_str!(concat!(env!("OUT_DIR"), "/README.md"))]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!(concat!(env!("OUT_DIR"), "/plugins.md"))]
mod guide {}

pub use diagnostic::diagnostics;
pub use engine::engine_answers;
pub use project::{Project, files, workspace_root};
