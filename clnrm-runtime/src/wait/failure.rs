//! The error of a wait that failed: everything a person needs to see why.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::StreamExt;
use regex::Regex;
use tokio::time::timeout;

use super::Target;
use super::notes::Notes;
use crate::backend::{Source, State};
use crate::error::CleanroomError;

/// How many lines of the log an error shows.
const SHOWN_LINES: usize = 20;

/// How much of one line a hint repeats, in characters.
const LONGEST_LINE: usize = 200;

/// How long the log may take to be read for an error.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// Why a wait failed.
#[derive(Debug)]
pub(super) enum Cause {
    /// The deadline passed.
    TimedOut,
    /// The instance ended.
    Ended(State),
    /// What it waits for can never be.
    Impossible(CleanroomError),
}

pub(super) async fn explain(
    target: &Target<'_>,
    notes: &Notes,
    cause: Cause,
    elapsed: Duration,
) -> CleanroomError {
    let open = notes.open_ones();
    let mut error = headline(target.service, &cause, elapsed)
        .with_context("service", target.service)
        .with_context("phase", "ready");
    error = match target.source {
        Source::Image(image) => error.with_context("image", image),
        Source::Program { path, .. } => error.with_context("program", path.display()),
    };
    error = error.with_context("elapsed", format!("{elapsed:.1?}"));
    for note in &open {
        error = error.with_context("waited for", target.secrets.mask(&note.what));
        if let Some(answer) = &note.answer {
            error = error.with_context("last answer", target.secrets.mask(answer));
        }
    }
    let log = target.secrets.mask(&last_lines(target).await);
    error = error.with_context("log", &log);
    match &cause {
        Cause::TimedOut => {
            let hint = open.first().map_or("look at its log", |note| note.hint);
            error.with_hint(format!("{hint}; if it is only slow, raise `start_timeout`"))
        }
        Cause::Ended(state) => error.with_hint(why_ended(state, &log)),
        Cause::Impossible(inner) => match inner.hint() {
            Some(hint) => error.with_hint(hint),
            None => error,
        },
    }
}

fn headline(service: &str, cause: &Cause, elapsed: Duration) -> CleanroomError {
    match cause {
        Cause::TimedOut => CleanroomError::timeout_error(format!(
            "service `{service}` was not ready within {elapsed:.1?}"
        )),
        Cause::Ended(state) => CleanroomError::service_error(format!(
            "service `{service}` {} before it was ready",
            ended(state)
        )),
        Cause::Impossible(inner) => {
            let message = format!(
                "service `{service}` cannot become ready: {}",
                inner.message()
            );
            let error = CleanroomError::new(inner.kind(), message);
            match inner.cause() {
                Some(cause) => error.with_context("cause", cause),
                None => error,
            }
        }
    }
}

fn ended(state: &State) -> String {
    match state {
        State::Exited { code } => format!("exited with code {code}"),
        _ => "was removed".to_owned(),
    }
}

fn why_ended(state: &State, log: &str) -> String {
    let why = match state {
        // Some engines start it, and leave the news to its log.
        _ if log.contains("exec format error") => {
            "its program is for another kind of machine: use an image for this machine's processor"
        }
        State::Exited { code: 0 } => {
            "it ended as if its work were done: a service stays in the foreground"
        }
        State::Exited { code: 126 } => "its program is there but cannot be executed",
        State::Exited { code: 127 } => "its program, or one that it calls, is not there",
        State::Exited { code: 137 } => {
            "it was killed: by somebody, or for using more memory than it may (`limits`)"
        }
        State::Exited { code: 139 } => "it crashed on a memory fault",
        State::Exited { .. } => match telling_line(log) {
            Some(line) => return format!("see this line of its log: `{line}`"),
            None => "the last lines of its log say why",
        },
        _ => "it was not clnrm that removed it",
    };
    why.to_owned()
}

/// The first line that calls itself fatal, else an error, where other lines
/// follow: a script around the server has its own last words.
fn telling_line(log: &str) -> Option<String> {
    static FATAL: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)\b(fatal|panic|panicked)\b").ok());
    static ERROR: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)\berror\b").ok());
    // What a server says to those who ask too early, as we do.
    const EARLY: &str = "is starting up";
    let words = [&*FATAL, &*ERROR].into_iter().flatten();
    let mut told = words.filter_map(|word| {
        let is_told = |line: &&str| word.is_match(line) && !line.contains(EARLY);
        log.lines().enumerate().find(|(_, line)| is_told(line))
    });
    let (number, line) = told.next()?;
    // Of the last one nobody needs to be told where it is.
    let is_last = log.lines().nth(number + 1).is_none();
    let shown = line.trim().chars().take(LONGEST_LINE).collect();
    (!is_last).then_some(shown)
}

/// The last lines of the log, or why there are none.
async fn last_lines(target: &Target<'_>) -> String {
    let mut lines = target.backend.logs(target.id, target.since, false);
    let mut last = VecDeque::with_capacity(SHOWN_LINES);
    let read = timeout(LOG_PATIENCE, async {
        while let Some(line) = lines.next().await {
            let text = match line {
                Ok(line) => line.text,
                Err(error) => format!("(the log cannot be read: {})", error.message()),
            };
            if last.len() == SHOWN_LINES {
                last.pop_front();
            }
            last.push_back(text);
        }
    });
    if read.await.is_err() {
        last.push_back("(the log takes too long to read)".to_owned());
    }
    if last.is_empty() {
        return "(empty)".to_owned();
    }
    Vec::from(last).join("\n")
}
