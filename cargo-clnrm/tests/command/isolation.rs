//! Tests that write the same keys and rows at the same time never see each other, run after run.
//!
//! Eight at once are 28 pairs, so that two runs are more than 50 pairs. `CLNRM_ISOLATION_RUNS=50` makes it as many runs
//! in a row, which is minutes: most of a run is the start of a database.

use crate::backend::{Backend, on_each_backend};
use crate::leftovers::Traces;
use crate::run::{Ended, Held, Run};

on_each_backend!(
    colliding_tests_never_see_each_other,
    equal_declarations_are_services_of_their_own,
);

/// How many runs in a row, if not [`FEW`].
const RUNS: &str = "CLNRM_ISOLATION_RUNS";
const FEW: u32 = 2;
/// How many tests collide.
const TESTS: usize = 8;

/// None looks before all of them have written.
fn colliding_tests_never_see_each_other(backend: Backend) {
    let runs = std::env::var(RUNS).map_or(FEW, |runs| runs.parse().unwrap());
    for number in 1..=runs {
        let mut run = Run::start(backend, &["--test", "isolation", "-j", "8"]);
        let held: Vec<Held> = (0..TESTS).map(|_| run.held()).collect();
        let traces = Traces::of(&run, backend);
        drop(held);
        let ended = run.end();
        let stderr = ended.stderr;
        assert_eq!(ended.status.code(), Some(0), "run {number}:\n{stderr}");
        assert!(stderr.contains("8 passed"), "run {number}:\n{stderr}");
        traces.nothing_is_left();
    }
}

fn equal_declarations_are_services_of_their_own(backend: Backend) {
    let Ended { status, stderr } = Run::start(backend, &["--test", "twins"]).end();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("2 passed"), "{stderr}");
    // Name, backend, four times, and how many tests had it.
    let row = |name: &str| {
        let mut rows = stderr.lines().map(str::split_whitespace);
        rows.find(|row| row.clone().next() == Some(name) && row.clone().count() == 7)
            .and_then(|row| row.last().map(str::to_owned))
    };
    for name in ["one", "other", "of-the-run", "redis"] {
        assert_eq!(row(name).as_deref(), Some("1"), "{name} in:\n{stderr}");
    }
}
