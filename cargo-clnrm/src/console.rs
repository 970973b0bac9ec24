//! What the command prints beside reports: its answer on standard output, errors on standard error.
//!
//! Nothing here panics when that cannot be written, as `println!` would: a panic has the exit code of a failed build.

use std::io::{self, ErrorKind, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clnrm_runtime::{CleanroomError, Result};

const BAD: Style = AnsiColor::Red.on_default().bold();

/// Writes an answer to standard output, with one line end after it; nothing where there is none.
///
/// # Errors
/// When it cannot be written. A reader who went away, as `head` does, has read all that it wants.
pub fn print(text: &str) -> Result<()> {
    let text = text.trim_end();
    if text.is_empty() {
        return Ok(());
    }
    let mut stdout = anstream::stdout();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    told(written)
}

fn told(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(
            CleanroomError::validation_error("standard output cannot be written")
                .with_source(error)
                .with_hint("see where it leads, and that there is room for it"),
        ),
        _ => Ok(()),
    }
}

/// Writes an error to standard error. Where even that cannot be written, the exit code has to say it alone.
pub fn complain(error: &CleanroomError) {
    let _ = writeln!(anstream::stderr(), "{BAD}error{BAD:#}: {}", error.report());
}

/// Whether standard error has colours.
#[must_use]
pub fn stderr_is_colored(color: ColorChoice) -> bool {
    color != ColorChoice::Never && AutoStream::choice(&io::stderr()) != ColorChoice::Never
}
