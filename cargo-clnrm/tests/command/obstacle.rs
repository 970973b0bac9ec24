//! What stands in the way of a test, or of the end of a run, and does not hold it.

use std::fs;
use std::io::{PipeWriter, Write, pipe};
use std::path::Path;
use std::time::Instant;

use rustix::pipe::fcntl_setpipe_size;
use rustix::process::Signal;

use crate::backend::Backend;
use crate::leftovers::Traces;
use crate::port;
use crate::process::{self, MOMENT};
use crate::run::{Ended, LONG, Run};

#[test]
fn a_second_ctrl_c_overtakes_a_farewell() {
    let filter = "test(=has_a_stubborn_service)";
    let args = ["--test", "obstacles", "-E", filter];
    let mut run = Run::start(Backend::Process, &args);
    let held = run.held();
    let traces = Traces::of(&run, Backend::Process);
    run.signal(Signal::INT);
    assert!(process::ends(held.pid, Instant::now() + LONG));
    // From now on nothing but the service is waited for.
    until_a_log_says("asked", &run);
    run.signal(Signal::INT);
    let Ended { status, stderr } = run.end();
    assert_eq!(status.code(), Some(130), "{stderr}");
    assert!(!stderr.contains("LEAK"), "{stderr}");
    traces.nothing_is_left();
}

/// Waits until a service of a run has written a line.
#[track_caller]
fn until_a_log_says(line: &str, run: &Run) {
    let deadline = Instant::now() + LONG;
    while !says(&run.dir(), line) {
        assert!(Instant::now() < deadline, "no log says `{line}`");
        // A file tells nobody that it has grown, so it is looked at again after a moment.
        let ended = process::ends(run.pid(), Instant::now() + MOMENT);
        assert!(!ended, "the run has ended");
    }
}

/// Whether a log below a directory has that line.
fn says(dir: &Path, line: &str) -> bool {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut entries = entries.map(|entry| entry.path());
    entries.any(|path| match path.is_dir() {
        true => says(&path, line),
        false => {
            let is_log = path.file_name().is_some_and(|name| name == "log");
            is_log && fs::read_to_string(path).is_ok_and(|text| text.contains(line))
        }
    })
}

/// Without the retry the next test has the port all the same.
fn of_a_test_that_fails_once(args: &[&str], code: i32) {
    let port = port::free().to_string();
    let dir = tempfile::tempdir().unwrap();
    let filter = "test(=fails_once) + test(=wants_the_same_port)";
    let always = ["--test", "obstacles", "-j", "1", "-E", filter];
    let args = [&always, args].concat();
    let mut run = Run::start_with(Backend::Process, &args, |command| {
        command.env("SAMPLE_PORT", port);
        command.env("SAMPLE_FILE", dir.path().join("once"));
    });
    let Ended { status, stderr } = run.end();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert!(!stderr.contains("is taken"), "{stderr}");
}

#[test]
fn a_repeated_test_gets_the_port_that_it_had() {
    of_a_test_that_fails_once(&["--retries", "1"], 0);
}

#[test]
fn a_failed_test_leaves_its_port_to_the_next() {
    of_a_test_that_fails_once(&["--no-fail-fast"], 100);
}

/// A pipe that is full, and its end that is never read.
fn full() -> (std::io::PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let size = fcntl_setpipe_size(&writer, 4096).unwrap();
    writer.write_all(&vec![b'x'; size]).unwrap();
    (reader, writer)
}

#[test]
fn a_terminal_that_nobody_reads_holds_neither_tests_nor_signals() {
    let (unread, stderr) = full();
    let args = ["--test", "outcomes", "-E", "test(=passes)"];
    let mut run = Run::start_with(Backend::Process, &args, |command| {
        command.stderr(stderr);
    });
    let held = run.held();
    let traces = Traces::of(&run, Backend::Process);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        run.signal(signal);
    }
    let Ended { status, .. } = run.end();
    assert_eq!(status.code(), Some(130));
    drop((held, unread));
    traces.nothing_is_left();
}
