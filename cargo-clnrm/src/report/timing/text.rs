//! The timing report as text: a table of services, one of the slowest tests, and the critical path.

use std::time::Duration;

use super::{ServiceTiming, TestTiming, Timing};
use crate::report::style::{self, BOLD, GOOD, RULE, column, paint};

/// The report, with the `slowest` tests that took the most time. Nothing, if nothing ran.
#[must_use]
pub fn text(timing: &Timing, slowest: usize) -> String {
    if timing.services.is_empty() && timing.tests.is_empty() {
        return String::new();
    }
    let mut table = Table::default();
    if !timing.services.is_empty() {
        table.head("service", ["pull", "create", "ready", "stop"], "tests");
        for service in &timing.services {
            table.service(service);
        }
    }
    if slowest > 0 && !timing.tests.is_empty() {
        table.head("slowest tests", ["wait", "setup", "body", "teardown"], "");
        for test in timing.tests.iter().take(slowest) {
            table.test(test);
        }
    }
    let build = timing.build.map_or_else(String::new, |at| {
        format!("the build ended after {}", style::spoken(at))
    });
    let title = format!("{} {build}", column(GOOD, "Timing"));
    let path = paint(BOLD, "critical path");
    format!(
        "{RULE}{}\n{}    {path}: {}\n",
        title.trim_end(),
        table.text(),
        timing.critical_path
    )
}

/// Rows that are written when the widest name is known.
#[derive(Debug, Default)]
struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    cells: [String; 4],
    last: String,
    head: bool,
}

impl Table {
    fn head(&mut self, name: &str, cells: [&str; 4], last: &str) {
        self.rows.push(Row {
            name: name.to_owned(),
            cells: cells.map(str::to_owned),
            last: last.to_owned(),
            head: true,
        });
    }

    fn service(&mut self, service: &ServiceTiming) {
        let (name, backend) = (&service.service, &service.backend);
        let name = match service.instances {
            0 | 1 => format!("{name} ({backend})"),
            number => format!("{name} ({backend}), longest of {number}"),
        };
        let times = &service.durations;
        self.rows.push(Row {
            name,
            cells: [times.pull, times.create, times.ready, times.stop].map(optional),
            last: service.tests.to_string(),
            head: false,
        });
    }

    fn test(&mut self, timing: &TestTiming) {
        let (test, times) = (&timing.test, &timing.phases);
        self.rows.push(Row {
            name: format!("{} {}", test.binary_id, test.name),
            cells: [times.wait, times.setup, times.body, times.teardown].map(seconds),
            last: String::new(),
            head: false,
        });
    }

    fn text(&self) -> String {
        let lengths = self.rows.iter().map(|row| row.name.chars().count());
        let width = lengths.max().unwrap_or_default();
        self.rows.iter().map(|row| row.text(width)).collect()
    }
}

impl Row {
    fn text(&self, width: usize) -> String {
        let [a, b, c, d] = &self.cells;
        let (name, last) = (&self.name, &self.last);
        let line = format!("{name:width$} {a:>9} {b:>9} {c:>9} {d:>9} {last:>6}");
        let line = line.trim_end();
        match self.head {
            true => format!("    {}\n", paint(BOLD, line)),
            false => format!("    {line}\n"),
        }
    }
}

fn optional(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), seconds)
}

fn seconds(time: Duration) -> String {
    format!("{:.3}s", time.as_secs_f64())
}
