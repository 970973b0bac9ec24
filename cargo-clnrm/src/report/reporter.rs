//! Hands each event to every renderer that was asked for, and writes what they make of it.

use std::fs::File;
use std::io::{self, IsTerminal, Stderr, Write};
use std::path::PathBuf;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clnrm_runtime::CleanroomError;
use indicatif::ProgressDrawTarget;

use super::event::{Counts, Envelope, RunEvent};
use super::file;
use super::junit::Junit;
use super::live::{Live, Numbering};
use super::ndjson::Ndjson;
use super::progress::Progress;
use super::screen::{Colors, Screen};
use super::summary::Summary;
use super::target::Target;
use super::timing::{self, Stopwatch};

/// What is reported, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether there are colours. `Auto` asks `NO_COLOR`, `CLICOLOR_FORCE` and the terminal.
    pub color: ColorChoice,
    /// Whether there is a progress line.
    pub progress: ShowProgress,
    /// Reports that go to files.
    pub targets: Vec<Target>,
    /// How many of the slowest tests the timing report lists.
    pub slowest: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            color: ColorChoice::Auto,
            progress: ShowProgress::Auto,
            targets: Vec::new(),
            slowest: 5,
        }
    }
}

/// Whether there is a progress line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowProgress {
    /// On a terminal, if it is not that of a CI system.
    Auto,
    /// No: lines only, each finished test with its number.
    Never,
}

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file of a report.
    #[error("the report `{}` could not be written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What should have written them ended before: a bug.
    #[error("the reports got lost: their thread panicked")]
    Lost,
    /// The terminal, or what standard error is instead.
    #[error("standard error could not be written")]
    Stderr {
        /// Why.
        source: io::Error,
    },
}

impl From<ReportError> for CleanroomError {
    fn from(error: ReportError) -> Self {
        let told = Self::validation_error(error.to_string());
        match error {
            ReportError::Lost => Self::internal_error(error.to_string()),
            ReportError::File { source, .. } => told.with_source(source).with_hint(
                "name a file in `--report` that can be written, and see that there is room for it",
            ),
            ReportError::Stderr { source } => told.with_source(source),
        }
    }
}

/// Everything that tells of a run.
#[derive(Debug)]
pub struct Reporter<W = Stderr> {
    screen: Screen<W>,
    live: Live,
    progress: Progress,
    summary: Summary,
    stopwatch: Stopwatch,
    slowest: usize,
    started: bool,
    json: Vec<(PathBuf, Ndjson<File>)>,
    junit: Option<Junit>,
    junit_files: Vec<PathBuf>,
    errors: Vec<ReportError>,
}

impl Reporter {
    /// A reporter to standard error, and to the files of the options, which are created now.
    ///
    /// # Errors
    /// When a file cannot be created.
    pub fn new(options: &Options) -> Result<Self, ReportError> {
        let stderr = io::stderr();
        let wanted = options.progress == ShowProgress::Auto && stderr.is_terminal();
        let live = wanted && can_redraw(|name| std::env::var(name).ok());
        let color = match options.color {
            ColorChoice::Auto => AutoStream::choice(&stderr),
            choice => choice,
        };
        let colors = match color {
            ColorChoice::Never => Colors::Stripped,
            _ => Colors::Kept,
        };
        let progress = live.then(ProgressDrawTarget::stderr);
        Self::to(Screen::new(stderr, colors, progress), options)
    }
}

impl<W: Write> Reporter<W> {
    fn to(screen: Screen<W>, options: &Options) -> Result<Self, ReportError> {
        let numbering = if screen.has_progress() {
            Numbering::Off
        } else {
            Numbering::On
        };
        let mut reporter = Self {
            screen,
            live: Live::new(numbering),
            progress: Progress::default(),
            summary: Summary::default(),
            stopwatch: Stopwatch::default(),
            slowest: options.slowest,
            started: false,
            json: Vec::new(),
            junit: None,
            junit_files: Vec::new(),
            errors: Vec::new(),
        };
        for target in &options.targets {
            reporter.add(target)?;
        }
        Ok(reporter)
    }

    fn add(&mut self, target: &Target) -> Result<(), ReportError> {
        match target {
            Target::Json(path) => {
                let file = file::create(path).map_err(|source| ReportError::File {
                    path: path.clone(),
                    source,
                })?;
                self.json.push((path.clone(), Ndjson::new(file)));
            }
            Target::Junit(path) => {
                self.junit.get_or_insert_default();
                self.junit_files.push(path.clone());
            }
        }
        Ok(())
    }

    /// Tells of an event. A report that cannot be written does not end the run: [`finish`](Self::finish) says so.
    pub fn emit(&mut self, envelope: &Envelope) {
        if let RunEvent::RunFinished {
            counts, elapsed, ..
        } = &envelope.event
        {
            self.end(envelope, counts, *elapsed);
        }
        self.started |= matches!(envelope.event, RunEvent::RunStarted { .. });
        self.stopwatch.observe(envelope);
        self.summary.observe(&envelope.event);
        if let Some(junit) = &mut self.junit {
            junit.observe(envelope);
        }
        self.write_json(envelope);
        if self.progress.observe(envelope) {
            self.screen
                .show(&self.progress.word(), &self.progress.details());
        }
        let lines = self.live.lines(envelope);
        self.print(&lines);
    }

    /// Ends the reports that are written at the end, whether or not the run came to its own.
    ///
    /// # Errors
    /// Every report that could not be written.
    pub fn finish(mut self) -> Result<(), Vec<ReportError>> {
        self.screen.clear();
        if let Some(junit) = &self.junit {
            for path in &self.junit_files {
                if let Err(source) = junit.save(path) {
                    let path = path.clone();
                    self.errors.push(ReportError::File { path, source });
                }
            }
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(self.errors)
        }
    }

    /// The end of the run for a reader: failures first, the summary last, where the eye is.
    fn end(&mut self, envelope: &Envelope, counts: &Counts, elapsed: Duration) {
        self.screen.clear();
        let timing = self.stopwatch.timing();
        // A run that ended in the build has nothing to sum up, and the build's own words should stay the last.
        if self.started {
            let text = [
                self.summary.failures(),
                timing::text(&timing, self.slowest),
                self.summary.text(counts, elapsed),
            ];
            self.print(&text.concat());
        }
        let event = RunEvent::Timing(timing);
        self.write_json(&Envelope::new(&envelope.run, envelope.at, event));
    }

    fn write_json(&mut self, envelope: &Envelope) {
        let errors = &mut self.errors;
        // A file that failed once is not tried again: its lines would have a gap.
        self.json
            .retain_mut(|(path, json)| match json.write(envelope) {
                Ok(()) => true,
                Err(source) => {
                    let path = path.clone();
                    errors.push(ReportError::File { path, source });
                    false
                }
            });
    }

    fn print(&mut self, lines: &str) {
        if let Err(source) = self.screen.print(lines)
            && !self
                .errors
                .iter()
                .any(|error| matches!(error, ReportError::Stderr { .. }))
        {
            self.errors.push(ReportError::Stderr { source });
        }
    }
}

/// Whether a line can be drawn again and again: not in a CI system's log, nor on a terminal that cannot go back.
fn can_redraw(environment: impl Fn(&str) -> Option<String>) -> bool {
    let ci = environment("CI").is_some_and(|ci| !matches!(ci.as_str(), "" | "false" | "0"));
    let dumb = environment("TERM").is_none_or(|term| term == "dumb");
    !ci && !dumb
}

#[cfg(test)]
mod tests;
