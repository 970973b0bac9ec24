//! The look of report lines: words in columns, times, names, colours.
//!
//! Everything is written with colours; what it is written to takes them out again where they are not wanted.

use std::fmt::Display;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::event::{Level, Status, TestId};

pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const ODD: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
const BINARY: Style = AnsiColor::Magenta.on_default().bold();
const MODULE: Style = AnsiColor::Cyan.on_default();
const NAME: Style = AnsiColor::Blue.on_default().bold();

/// The line between the parts of a report.
pub(super) const RULE: &str = "────────────\n";

pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A word at the right end of the first column.
pub(super) fn column(style: Style, word: &str) -> String {
    format!("{style}{word:>12}{style:#}")
}

/// `[   0.009s]`
pub(super) fn taken(time: Duration) -> String {
    format!("[{:>8.3}s]", time.as_secs_f64())
}

/// `[>  2.000s]`: so long already.
pub(super) fn taken_so_far(time: Duration) -> String {
    format!("[>{:>7.3}s]", time.as_secs_f64())
}

pub(super) fn test(test: &TestId) -> String {
    let (path, name) = match test.name.rfind("::") {
        Some(at) => test.name.split_at(at + 2),
        None => ("", test.name.as_str()),
    };
    let path = if path.is_empty() {
        String::new()
    } else {
        paint(MODULE, path)
    };
    format!(
        "{} {path}{}",
        paint(BINARY, &test.binary_id),
        paint(NAME, name)
    )
}

pub(super) const fn of_status(status: &Status) -> Style {
    match status {
        Status::Pass => GOOD,
        Status::Leak => ODD,
        _ => BAD,
    }
}

pub(super) fn level(level: Level) -> String {
    match level {
        Level::Note => paint(BOLD, "note"),
        Level::Warning => paint(ODD, "warning"),
        Level::Error => paint(BAD, "error"),
    }
}

/// `1 test`, `2 tests`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    let what = if number == 1 { one } else { many };
    format!("{} {what}", paint(BOLD, number))
}

pub(super) fn tests(number: usize) -> String {
    count(number, "test", "tests")
}

/// A time for a sentence: `8 ms`, `1.7 s`, `2 min 5 s`.
pub(super) fn spoken(time: Duration) -> String {
    let (seconds, millis) = (time.as_secs(), time.as_millis());
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// The text with each of its lines moved in, without blank lines around it, and with a line end after the last.
pub(super) fn indented(text: &str, by: &str) -> String {
    text.trim_end()
        .lines()
        .skip_while(|line| line.trim().is_empty())
        .map(|line| {
            if line.trim().is_empty() {
                "\n".to_owned()
            } else {
                format!("{by}{line}\n")
            }
        })
        .collect()
}

/// A message whose first line goes on a line of the report, and whose others explain it below.
pub(super) fn with_details(first: &str, text: &str) -> String {
    let (title, details) = text.split_once('\n').unwrap_or((text, ""));
    format!("{first}{title}\n{}", indented(details, "      "))
}
