//! What `list`, `plan` and `plugins` tell on standard error before they answer on standard output.

use std::time::Instant;

use anstream::ColorChoice;
use clnrm_runtime::{CleanroomError, Result};

use crate::report::event::{Envelope, RunEvent};
use crate::report::{Options, Reporter};

/// Tells of a build as `test` does, so that a long one does not look like a command that hangs.
#[derive(Debug)]
pub(super) struct Aside {
    begun: Instant,
    reporter: Reporter,
}

impl Aside {
    pub(super) fn new(color: ColorChoice) -> Result<Self> {
        let options = Options {
            color,
            ..Options::default()
        };
        Ok(Self {
            begun: Instant::now(),
            reporter: Reporter::new(&options).map_err(CleanroomError::from)?,
        })
    }

    pub(super) fn tell(&mut self, event: RunEvent) {
        let envelope = Envelope::new("", self.begun.elapsed(), event);
        self.reporter.emit(&envelope);
    }

    /// Takes the progress line away, so that the answer does not stand beside it.
    pub(super) fn end(self) {
        // What could not be told aside is nothing that the answer lacks.
        let _ = self.reporter.finish();
    }
}
