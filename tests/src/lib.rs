//! Support for the tests of the whole product: throw-away projects, and what the compiler says of them.

#![expect(
    clippy::expect_used,
    reason = "what fails here is the test that called it"
)]

mod diagnostic;
mod engine;
mod project;

pub use diagnostic::diagnostics;
pub use engine::engine_answers;
pub use project::{Project, files, workspace_root};
