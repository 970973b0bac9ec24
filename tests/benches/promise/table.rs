//! The table: one line a figure, with the machine above it.

use std::fs;
use std::time::{Duration, Instant};

/// Prints what was measured, as soon as it was.
#[derive(Debug)]
pub(crate) struct Table {
    /// Of the figures only those whose name has one of these words; all if there are none.
    words: Vec<String>,
}

/// A figure: its name, where it was taken, and what is promised of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure<'a> {
    pub(crate) name: &'a str,
    pub(crate) on: &'a str,
    pub(crate) promise: Option<Duration>,
}

impl Table {
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self { words }
    }

    /// Whether somebody asked for a figure.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| name.contains(word.as_str()))
    }

    /// The machine, and the names of the columns.
    pub(crate) fn head(&self) {
        println!("{}", machine());
        println!(
            "{:<38} {:<8} {:>5} {:>10} {:>10} {:>10} {:>10}  {:<10} at p95",
            "", "on", "count", "min", "median", "p95", "max", "promise"
        );
    }

    /// Measures `count` times, if somebody asked for it.
    pub(crate) fn measure(
        &self,
        figure: Figure<'_>,
        count: usize,
        mut once: impl FnMut() -> Duration,
    ) {
        if self.wants(figure.name) {
            self.line(figure, (0..count).map(|_| once()).collect());
        }
    }

    /// Prints what was measured elsewhere.
    pub(crate) fn line(&self, figure: Figure<'_>, mut times: Vec<Duration>) {
        if !self.wants(figure.name) {
            return;
        }
        times.sort_unstable();
        let at = |percent: usize| {
            // The nearest rank: of 20 the 19th is the 95th percentile.
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).copied().unwrap_or_default()
        };
        let verdict = match figure.promise {
            None => "",
            Some(promise) if at(95) < promise => "kept",
            Some(_) => "MISSED",
        };
        let promise = figure
            .promise
            .map_or_else(String::new, |promise| format!("< {promise:?}"));
        println!(
            "{:<38} {:<8} {:>5} {:>10} {:>10} {:>10} {:>10}  {promise:<10} {verdict}",
            figure.name,
            figure.on,
            times.len(),
            shown(at(0)),
            shown(at(50)),
            shown(at(95)),
            shown(at(100)),
        );
    }

    /// Says why there is no figure.
    pub(crate) fn none(&self, name: &str, on: &str, why: &str) {
        if self.wants(name) {
            println!("{name:<38} {on:<8} not measured: {why}");
        }
    }
}

/// How long `work` takes, and what it gives.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begin = Instant::now();
    let output = work();
    (begin.elapsed(), output)
}

fn shown(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

fn machine() -> String {
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(|| "?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let build = if cfg!(debug_assertions) {
        "built without optimisation"
    } else {
        "optimised build"
    };
    format!(
        "{cores} x {}, {}, {} {}, {build}",
        field("/proc/cpuinfo", "model name"),
        field("/proc/meminfo", "MemTotal"),
        std::env::consts::OS,
        kernel.trim(),
    )
}
