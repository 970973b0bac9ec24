//! What reaches each target of a report.

use super::super::sample;
use super::super::terminal::Terminal;
use super::*;

fn reporter(terminal: &Terminal, targets: Vec<Target>) -> Reporter<Terminal> {
    let screen = Screen::new(terminal.clone(), Colors::Stripped, None);
    let options = Options {
        targets,
        ..Options::default()
    };
    Reporter::to(screen, &options).unwrap()
}

fn position(text: &str, part: &str) -> usize {
    text.find(part)
        .unwrap_or_else(|| panic!("no {part} in\n{text}"))
}

#[test]
fn failures_come_first_and_the_summary_last() {
    let terminal = Terminal::new(200);
    let mut reporter = reporter(&terminal, Vec::new());
    for event in sample::run() {
        reporter.emit(&event);
    }
    reporter.finish().unwrap();
    let text = terminal.text();
    let parts = [
        "TRY 1 FAIL",
        "  stdout ───",
        "Timing",
        "critical path",
        "Summary [",
        "FLAKY 2/2",
    ];
    let positions = parts.map(|part| position(&text, part));
    assert!(positions.is_sorted(), "{positions:?}\n{text}");
}

#[test]
fn a_progress_line_is_not_for_logs_and_dumb_terminals() {
    let check = |variables: &[(&str, &str)], expected: bool| {
        let environment = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        assert_eq!(can_redraw(environment), expected, "{variables:?}");
    };
    check(&[("TERM", "xterm")], true);
    check(&[("TERM", "xterm"), ("CI", "false")], true);
    check(&[("TERM", "xterm"), ("CI", "true")], false);
    check(&[("TERM", "dumb")], false);
    check(&[], false);
}

#[test]
fn with_a_progress_line_nothing_of_it_is_left_at_the_end() {
    let terminal = Terminal::new(200);
    let screen = Screen::new(terminal.clone(), Colors::Stripped, terminal.progress());
    let mut reporter = Reporter::to(screen, &Options::default()).unwrap();
    let events = sample::run();
    let (last, others) = events.split_last().unwrap();
    for event in others {
        reporter.emit(event);
    }
    assert!(terminal.text().ends_with("5 failed"), "{}", terminal.text());
    reporter.emit(last);
    reporter.finish().unwrap();
    let text = terminal.text();
    assert!(!text.contains("8/9 tests, 0 running"), "{text}");
    assert!(!text.contains("(1/9)"), "{text}");
}

#[test]
fn files_get_every_event_and_the_timing() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("deep/er/events.ndjson");
    let junit = directory.path().join("junit.xml");
    let targets = vec![Target::Json(json.clone()), Target::Junit(junit.clone())];
    let mut reporter = reporter(&Terminal::new(200), targets);
    let events = sample::run();
    for event in &events {
        reporter.emit(event);
    }
    assert!(!junit.exists());
    reporter.finish().unwrap();
    let lines = std::fs::read_to_string(json).unwrap();
    let mut read: Vec<Envelope> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let timing = read.remove(read.len() - 2);
    assert!(matches!(timing.event, RunEvent::Timing(_)), "{timing:?}");
    assert_eq!(read, events);
    assert!(
        std::fs::read_to_string(junit)
            .unwrap()
            .contains("<testsuites")
    );
}

#[test]
fn a_run_that_ends_in_the_build_has_no_summary() {
    let terminal = Terminal::new(200);
    let mut reporter = reporter(&terminal, Vec::new());
    reporter.emit(&sample::at(
        1,
        RunEvent::RunFinished {
            counts: Counts::default(),
            exit_code: 101,
            elapsed: sample::ms(1),
        },
    ));
    reporter.finish().unwrap();
    assert_eq!(terminal.text(), "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_cannot_be_written_is_told_at_the_end_and_once() {
    let terminal = Terminal::new(200);
    let target = Target::Json("/dev/full".into());
    let mut reporter = reporter(&terminal, vec![target]);
    for event in sample::run() {
        reporter.emit(&event);
    }
    let mut errors = reporter.finish().unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    let told = CleanroomError::from(errors.remove(0));
    assert_eq!(
        told.message(),
        "the report `/dev/full` could not be written"
    );
    assert_eq!(told.cause(), Some("No space left on device (os error 28)"));
    assert!(told.hint().is_some());
    assert!(terminal.text().contains("Summary ["), "{}", terminal.text());
}

#[test]
fn a_report_whose_file_cannot_be_created_is_told_before_the_run() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        targets: vec![Target::Json(directory.path().to_owned())],
        ..Options::default()
    };
    let screen = Screen::new(Terminal::new(80), Colors::Stripped, None);
    assert!(Reporter::to(screen, &options).is_err());
}
