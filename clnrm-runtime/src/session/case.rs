//! A test as its wrapper knows it.

use std::time::Duration;

use crate::declare::{TestDeclaration, TestDescriptor};
use crate::error::{CleanroomError, Result};

/// What the attribute hands to the wrapper.
#[derive(Debug, Clone, Copy)]
pub struct TestCase {
    /// What the descriptor says too.
    pub declaration: &'static TestDeclaration,
    /// The same, as its line: what a session reads.
    pub line: &'static [u8],
    /// `CARGO_PKG_NAME` of the test's package.
    pub package: &'static str,
    /// `CARGO_CRATE_NAME` of the test's binary.
    pub target: &'static str,
    /// The runtime of an asynchronous body.
    pub flavor: Flavor,
}

/// The runtime of an asynchronous body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavor {
    /// One thread: tokio's own default for tests.
    #[default]
    CurrentThread,
    /// Several; 0 is one for each core.
    MultiThread {
        /// How many.
        workers: usize,
    },
}

impl TestCase {
    /// How long the body may take, where the attribute says so.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        match self.declaration.timeout_ms {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        }
    }

    /// The descriptor, fixtures resolved.
    ///
    /// # Errors
    /// When the line does not read back, which is a bug.
    pub fn descriptor(&self) -> Result<TestDescriptor> {
        let tests = crate::declare::parse_descriptors(self.line).map_err(|error| {
            CleanroomError::internal_error("a test cannot read itself").with_source(error)
        })?;
        let test = tests.into_iter().next();
        test.ok_or_else(|| CleanroomError::internal_error("a test has an empty descriptor"))
    }
}
