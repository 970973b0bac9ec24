//! A whole run on one backend, as somebody at a terminal waits for it: from the command to the first test, and from the
//! last test to the end.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clnrm_runtime::program::cargo;
use clnrm_tests::workspace_root;
use serde::Deserialize;

use crate::table::{Figure, Table};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How many runs.
const COUNT: usize = 5;

const TO_TEST: &str = "whole run: to the first test";
const TO_BODY: &str = "whole run: to the first test's body";
const TO_EXIT: &str = "whole run: from the last test to exit";
const ALL: &str = "whole run: all of it";

pub(crate) fn run(table: &Table, backend: &str) {
    if ![TO_TEST, TO_BODY, TO_EXIT, ALL]
        .iter()
        .any(|name| table.wants(name))
    {
        return;
    }
    match runs() {
        Ok(times) => {
            let line = |name, of: fn(&Times) -> Duration| {
                let figure = Figure {
                    name,
                    on: backend,
                    promise: None,
                };
                table.line(figure, times.iter().map(of).collect());
            };
            line(TO_TEST, |times| times.to_test);
            line(TO_BODY, |times| times.to_body);
            line(TO_EXIT, |times| times.to_exit);
            line(ALL, |times| times.all);
        }
        Err(why) => table.none(ALL, backend, why.to_string().trim()),
    }
}

/// What one run took, seen from outside.
#[derive(Debug, Clone, Copy)]
struct Times {
    to_test: Duration,
    to_body: Duration,
    to_exit: Duration,
    all: Duration,
}

/// What is read of an event.
#[derive(Debug, Deserialize)]
struct Event {
    event: String,
    #[serde(default)]
    body_ms: u64,
    #[serde(default)]
    teardown_ms: u64,
}

fn runs() -> Result<Vec<Times>> {
    // The first builds, and pays for what is made once: descriptions, data directories.
    once()?;
    (0..COUNT).map(|_| once()).collect()
}

/// Runs the shop's tests, and takes the time of each event as it comes.
fn once() -> Result<Times> {
    let place = tempfile::tempdir()?;
    let [events, said] = ["events", "said"].map(|name| place.path().join(name));
    let mut pipe = pipe(&events)?;
    let reading = BufReader::new(pipe.try_clone()?);
    let reader = std::thread::spawn(move || read(reading));
    let begun = Instant::now();
    // What cargo says of our own package would make it build anew, again and again.
    let mut command = cargo();
    let status = command
        .args(["clnrm", "test", "-p", "shop", "--report"])
        .arg(format!("json={}", events.display()))
        .current_dir(workspace_root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&said)?)
        .status();
    let ended = Instant::now();
    pipe.write_all(END)?;
    let events = reader.join().map_err(|_| "the reader panicked")?;
    if !status?.success() {
        return Err(fs::read_to_string(&said)?.into());
    }
    times(begun, &events, ended).ok_or_else(|| "the report has no test".into())
}

fn times(begun: Instant, events: &[(Instant, Event)], ended: Instant) -> Option<Times> {
    let of = |name: &'static str| events.iter().filter(move |(_, it)| it.event == name);
    let (first, _) = of("test_started").next()?;
    let (last, _) = of("test_finished").next_back()?;
    let bodies = of("test_finished").filter_map(|(at, event)| {
        let since = Duration::from_millis(event.body_ms + event.teardown_ms);
        at.checked_sub(since)
    });
    Some(Times {
        to_test: first.duration_since(begun),
        to_body: bodies.min()?.duration_since(begun),
        to_exit: ended.duration_since(*last),
        all: ended.duration_since(begun),
    })
}

/// What is written after the last event, where the run may have ended without one.
const END: &[u8] = b"\n";

fn read(lines: impl BufRead) -> Vec<(Instant, Event)> {
    let lines = lines.lines().map_while(std::result::Result::ok);
    let lines = lines.take_while(|line| !line.is_empty());
    let events = lines.filter_map(|line| {
        let now = Instant::now();
        Some((now, serde_json::from_str(&line).ok()?))
    });
    events.collect()
}

/// A named pipe. Open for both, it waits for nobody who may never come.
fn pipe(path: &Path) -> Result<File> {
    let made = Command::new("mkfifo").arg(path).status()?;
    if !made.success() {
        return Err(format!("mkfifo: {made}").into());
    }
    Ok(File::options().read(true).write(true).open(path)?)
}
