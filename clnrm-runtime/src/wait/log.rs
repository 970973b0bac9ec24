//! Waits for log lines.

use std::fmt;

use futures_util::stream::{BoxStream, StreamExt};
use regex::Regex;

use crate::backend::LogLine;
use crate::error::{CleanroomError, Result};
use crate::service::LogStream;

/// The lines that are waited for.
#[derive(Debug)]
pub(super) struct Pattern {
    regex: Regex,
    stream: Option<LogStream>,
    count: u32,
}

impl Pattern {
    pub(super) fn new(pattern: &str, stream: Option<LogStream>, count: u32) -> Result<Self> {
        let regex = Regex::new(pattern).map_err(|error| not_a_regex(pattern, error))?;
        Ok(Self {
            regex,
            stream,
            count,
        })
    }

    fn matches(&self, line: &LogLine) -> bool {
        self.stream.is_none_or(|stream| stream == line.stream) && self.regex.is_match(&line.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 | 1 => f.write_str("a log line that matches ")?,
            count => write!(f, "{count} log lines that match ")?,
        }
        write!(f, "`{}`", self.regex)?;
        match self.stream {
            None => Ok(()),
            Some(LogStream::Stdout) => f.write_str(" on stdout"),
            Some(LogStream::Stderr) => f.write_str(" on stderr"),
        }
    }
}

/// The error of a text that should be a regular expression.
pub(super) fn not_a_regex(pattern: &str, error: regex::Error) -> CleanroomError {
    CleanroomError::validation_error(format!("`{pattern}` is no regular expression"))
        .with_source(error)
        .with_hint("escape characters such as `(` with a backslash")
}

/// Reads until enough lines have matched, or the stream ends.
pub(super) async fn read(
    mut lines: BoxStream<'static, Result<LogLine>>,
    pattern: &Pattern,
    answered: impl Fn(String),
) -> bool {
    let mut seen = 0;
    while let Some(line) = lines.next().await {
        match line {
            Ok(line) => {
                seen += u32::from(pattern.matches(&line));
                if seen >= pattern.count.max(1) {
                    return true;
                }
                answered(match seen {
                    0 => format!("no such line yet; the last was `{}`", line.text),
                    _ => format!("{seen} of {} lines", pattern.count),
                });
            }
            Err(error) => {
                answered(error.report());
                return false;
            }
        }
    }
    false
}
