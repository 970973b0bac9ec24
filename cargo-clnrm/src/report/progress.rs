//! The one line that says what a run is doing right now. Pure: it keeps count and writes the words.

use std::collections::{BTreeMap, BTreeSet};

use indicatif::BinaryBytes;

use super::event::{Envelope, InstanceState, RunEvent, Status, TestId};
use super::style::{BAD, GOOD, column, paint};

/// What is going on.
#[derive(Debug, Default)]
pub struct Progress {
    building: bool,
    crates: usize,
    current: String,
    pulls: BTreeMap<String, (u64, Option<u64>)>,
    /// Names of services by instance.
    starting: BTreeMap<String, String>,
    tests: Option<usize>,
    running: BTreeSet<TestId>,
    finished: usize,
    failed: usize,
    ending: bool,
}

impl Progress {
    /// Takes note of an event, and says whether the line is another now.
    pub fn observe(&mut self, envelope: &Envelope) -> bool {
        match &envelope.event {
            RunEvent::BuildStarted { .. } => self.building = true,
            RunEvent::BuildProgress { crates, current } => {
                self.crates = *crates;
                self.current.clone_from(current);
            }
            RunEvent::BuildFinished { .. } => self.building = false,
            RunEvent::RunStarted { tests, .. } => self.tests = Some(*tests),
            RunEvent::PullProgress {
                image,
                bytes,
                total,
            } => {
                self.pulls.insert(image.clone(), (*bytes, *total));
            }
            RunEvent::PullFinished { image, .. } => {
                self.pulls.remove(image);
            }
            RunEvent::ServiceState(change) => match change.state {
                InstanceState::Starting | InstanceState::Created => {
                    let service = change.service.clone();
                    self.starting.insert(change.instance.clone(), service);
                }
                InstanceState::Ready | InstanceState::Stopped | InstanceState::Failed => {
                    self.starting.remove(&change.instance);
                }
            },
            RunEvent::TestStarted { test, .. } => {
                self.running.insert(test.clone());
            }
            RunEvent::TestAttempt(attempt) => {
                self.running.remove(&attempt.test);
            }
            RunEvent::TestFinished(attempt) => {
                self.running.remove(&attempt.test);
                self.finished(&attempt.status);
            }
            RunEvent::Cancelled { .. } | RunEvent::Interrupted { .. } => self.ending = true,
            _ => return false,
        }
        true
    }

    fn finished(&mut self, status: &Status) {
        self.finished += 1;
        self.failed += usize::from(!status.is_success());
    }

    /// What the run is doing, in a word with its colour, at the right end of the first column.
    #[must_use]
    pub fn word(&self) -> String {
        match self.tests {
            _ if self.ending => column(BAD, "Ending"),
            Some(tests) if tests == self.finished => column(GOOD, "Stopping"),
            Some(_) => column(GOOD, "Running"),
            None if self.building => column(GOOD, "Building"),
            None => column(GOOD, "Planning"),
        }
    }

    /// The rest of the line, which may be longer than a terminal is wide.
    #[must_use]
    pub fn details(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(self.counts());
        parts.extend(self.pulls.iter().map(|(image, (bytes, total))| {
            let total =
                total.map_or_else(String::new, |total| format!(" of {}", BinaryBytes(total)));
            format!("pulling {image}, {}{total}", BinaryBytes(*bytes))
        }));
        let services: BTreeSet<_> = self.starting.values().map(String::as_str).collect();
        if !services.is_empty() {
            let services: Vec<_> = services.into_iter().collect();
            parts.push(format!("starting {}", services.join(", ")));
        }
        parts.join("; ")
    }

    fn counts(&self) -> Option<String> {
        let Some(tests) = self.tests else {
            let (crates, current) = (self.crates, &self.current);
            let building = self.building && crates > 0;
            return building.then(|| format!("{crates} crates, last {current}"));
        };
        let failed = match self.failed {
            0 => String::new(),
            number => paint(BAD, format!(", {number} failed")),
        };
        let (finished, running) = (self.finished, self.running.len());
        Some(format!(
            "{finished}/{tests} tests, {running} running{failed}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::super::sample;
    use super::*;

    /// The line after each event that changes it.
    fn lines(events: &[Envelope]) -> String {
        let mut progress = Progress::default();
        let mut lines = Vec::new();
        for event in events {
            if progress.observe(event) {
                let line = format!("{} {}", progress.word(), progress.details());
                lines.push(strip_str(&line).to_string());
            }
        }
        lines.dedup();
        lines.join("\n")
    }

    #[test]
    fn the_line_says_what_the_run_is_doing() {
        insta::assert_snapshot!(lines(&sample::run()), @"
        Building 
        Building 12 crates, last shop
        Planning 
         Running 0/9 tests, 0 running
         Running 0/9 tests, 0 running; starting postgres
         Running 0/9 tests, 0 running; pulling redis:7, 12.30 MiB of 42.92 MiB; starting postgres
         Running 0/9 tests, 0 running; starting postgres
         Running 0/9 tests, 0 running
         Running 0/9 tests, 1 running
         Running 1/9 tests, 0 running
         Running 2/9 tests, 0 running, 1 failed
         Running 3/9 tests, 0 running, 1 failed
         Running 4/9 tests, 0 running, 2 failed
         Running 5/9 tests, 0 running, 2 failed
         Running 6/9 tests, 0 running, 3 failed
         Running 7/9 tests, 0 running, 4 failed
         Running 8/9 tests, 0 running, 5 failed
          Ending 8/9 tests, 0 running, 5 failed
        ");
    }

    #[test]
    fn several_things_at_once_are_told_together() {
        let starting = |service: &str, instance: &str| {
            RunEvent::ServiceState(sample::changed(service, instance, InstanceState::Starting))
        };
        let events = [
            sample::at(0, sample::run_started(3)),
            sample::at(
                1,
                RunEvent::PullProgress {
                    image: "postgres:15".to_owned(),
                    bytes: 3 << 20,
                    total: None,
                },
            ),
            sample::at(2, starting("redis", "redis-1")),
            sample::at(3, starting("redis", "redis-2")),
            sample::at(4, starting("mail", "mail-1")),
        ];
        let lines = lines(&events);
        insta::assert_snapshot!(lines.lines().last().unwrap_or_default(), @"     Running 0/3 tests, 0 running; pulling postgres:15, 3.00 MiB; starting mail, redis");
    }

    #[test]
    fn an_interrupted_run_is_ending() {
        let interrupted = RunEvent::Interrupted {
            signal: "SIGINT".to_owned(),
            times: 1,
            running: 0,
        };
        let events = [
            sample::at(0, sample::run_started(3)),
            sample::at(1, interrupted),
        ];
        let lines = lines(&events);
        insta::assert_snapshot!(lines.lines().last().unwrap_or_default(), @"      Ending 0/3 tests, 0 running");
    }
}
