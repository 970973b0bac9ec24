//! The log of a container as lines with their times.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use futures_util::stream::{self, BoxStream, StreamExt};
use testcontainers::bollard::Docker;
use testcontainers::bollard::container::LogOutput;
use testcontainers::bollard::query_parameters::LogsOptionsBuilder;

use super::refuse::{About, refuse};
use crate::backend::LogLine;
use crate::error::Result;
use crate::service::{InstanceId, LogStream};

/// Reads the lines from `since` on, and those to come when `follow` is set.
pub(super) fn read(
    docker: &Docker,
    id: &InstanceId,
    since: Option<SystemTime>,
    follow: bool,
) -> BoxStream<'static, Result<LogLine>> {
    // The engine counts in whole seconds; what is too early goes below.
    let second = since
        .and_then(|since| since.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| i32::try_from(since.as_secs()).ok());
    let options = LogsOptionsBuilder::new()
        .follow(follow)
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .since(second.unwrap_or_default())
        .tail("all")
        .build();
    let about = About::instance(id.as_str());
    let frames = docker.logs(id.as_str(), Some(options)).boxed();
    let lines = stream::unfold(Some((frames, Lines::default())), move |state| {
        let about = about.clone();
        async move {
            let (mut frames, mut lines) = state?;
            loop {
                if let Some(line) = lines.ready.pop_front() {
                    return Some((Ok(line), Some((frames, lines))));
                }
                match frames.next().await {
                    Some(Ok(frame)) => lines.take(frame),
                    Some(Err(error)) => {
                        return Some((Err(refuse("read the log", &about, &error)), None));
                    }
                    None => {
                        lines.end();
                        let line = lines.ready.pop_front()?;
                        return Some((Ok(line), Some((stream::empty().boxed(), lines))));
                    }
                }
            }
        }
    });
    let is_late = move |line: &Result<LogLine>| match (line, since) {
        (Ok(line), Some(since)) => line.at >= since,
        _ => true,
    };
    lines
        .filter(move |line| std::future::ready(is_late(line)))
        .boxed()
}

/// Puts the frames of the engine together to lines.
///
/// A frame is a line with its time before it, or a part of one that is longer
/// than the engine's buffer; then each part has a time of its own.
#[derive(Debug, Default)]
struct Lines {
    stdout: Partial,
    stderr: Partial,
    ready: VecDeque<LogLine>,
}

#[derive(Debug, Default)]
struct Partial {
    at: Option<SystemTime>,
    text: BytesMut,
}

impl Lines {
    fn take(&mut self, frame: LogOutput) {
        match frame {
            LogOutput::StdOut { message } | LogOutput::Console { message } => {
                self.add(LogStream::Stdout, &message);
            }
            LogOutput::StdErr { message } => self.add(LogStream::Stderr, &message),
            LogOutput::StdIn { .. } => {}
        }
    }

    fn add(&mut self, stream: LogStream, message: &[u8]) {
        for part in message.split_inclusive(|byte| *byte == b'\n') {
            let (at, text) = timestamp(part);
            let partial = self.partial(stream);
            partial.at = partial.at.or(at);
            match text.strip_suffix(b"\n") {
                None => partial.text.extend_from_slice(text),
                Some(text) => {
                    partial.text.extend_from_slice(text);
                    self.finish(stream);
                }
            }
        }
    }

    fn end(&mut self) {
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            if !self.partial(stream).text.is_empty() {
                self.finish(stream);
            }
        }
    }

    fn partial(&mut self, stream: LogStream) -> &mut Partial {
        match stream {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        }
    }

    fn finish(&mut self, stream: LogStream) {
        let partial = std::mem::take(self.partial(stream));
        let text = partial.text.strip_suffix(b"\r").unwrap_or(&partial.text);
        self.ready.push_back(LogLine {
            at: partial.at.unwrap_or_else(SystemTime::now),
            stream,
            text: String::from_utf8_lossy(text).into_owned(),
        });
    }
}

/// Takes `2026-01-02T03:04:05.123456789Z ` off the front.
fn timestamp(line: &[u8]) -> (Option<SystemTime>, &[u8]) {
    let Some(space) = line.iter().position(|byte| *byte == b' ') else {
        return (None, line);
    };
    let (time, rest) = line.split_at(space);
    let time = std::str::from_utf8(time).ok().and_then(parse_time);
    match time {
        Some(time) => (Some(time), rest.get(1..).unwrap_or_default()),
        None => (None, line),
    }
}

/// Reads a time of RFC 3339 in UTC.
fn parse_time(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<u64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.splitn(3, ':').map(str::parse::<u64>);
    let (hour, minute, second) = (
        clock.next()?.ok()?,
        clock.next()?.ok()?,
        clock.next()?.ok()?,
    );
    let nanos: u32 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let days = days_since_epoch(year, month, day)?;
    let seconds = days.checked_mul(86_400)? + hour * 3_600 + minute * 60 + second;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

/// Days from 1970-01-01 on, by the civil calendar.
/// After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The year begins in March, so that the leap day is its last.
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn times_are_read_to_the_nanosecond() {
        let at = |text: &str| {
            let time = parse_time(text)?;
            time.duration_since(UNIX_EPOCH).ok()
        };
        assert_eq!(at("1970-01-01T00:00:00Z"), Some(Duration::ZERO));
        assert_eq!(
            at("2024-02-29T12:34:56.789Z"),
            Some(Duration::new(1_709_210_096, 789_000_000))
        );
        assert_eq!(
            at("2026-11-21T10:36:00.123456789Z"),
            Some(Duration::new(1_795_257_360, 123_456_789))
        );
        for text in [
            "",
            "2024-02-29",
            "2024-13-01T00:00:00Z",
            "x-y-zTa:b:cZ",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    fn frame(text: &str) -> LogOutput {
        LogOutput::StdOut {
            message: Bytes::copy_from_slice(text.as_bytes()),
        }
    }

    fn texts(lines: &Lines) -> Vec<&str> {
        lines.ready.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn parts_of_a_long_line_are_joined_under_the_first_time() {
        let mut lines = Lines::default();
        lines.take(frame("2026-01-01T00:00:01Z one "));
        assert!(lines.ready.is_empty());
        lines.take(LogOutput::StdErr {
            message: Bytes::from_static(b"2026-01-01T00:00:02Z other\r\n"),
        });
        lines.take(frame("2026-01-01T00:00:03Z two\n"));
        lines.take(frame("2026-01-01T00:00:04Z \n2026-01-01T00:00:05Z last"));
        lines.end();
        assert_eq!(texts(&lines), ["other", "one two", "", "last"]);
        assert_eq!(Some(lines.ready[1].at), parse_time("2026-01-01T00:00:01Z"));
        assert_eq!(lines.ready[0].stream, LogStream::Stderr);
    }
}
