//! The commands that failed tests are printed with.

use std::collections::BTreeSet;

use crate::backend::Backend;
use crate::run::{Ended, Run};

#[test]
fn what_is_printed_for_a_failed_test_runs_that_test_alone() {
    let args = ["--examples", "--all", "--run-ignored", "only"];
    let Ended { status, stderr } = Run::start(Backend::Process, &args).end();
    assert_eq!(status.code(), Some(100), "{stderr}");
    assert!(stderr.contains("2 tests run: 0 passed"), "{stderr}");
    let printed = stderr
        .lines()
        .filter_map(|line| line.trim().strip_prefix("cargo clnrm test "));
    let printed: BTreeSet<_> = printed.collect();
    assert_eq!(printed.len(), 2, "{stderr}");
    for again in printed {
        let words = shlex::split(again).unwrap();
        let mut words: Vec<_> = words.iter().map(String::as_str).collect();
        // Each run here has it anyway.
        let manifest = words.iter().position(|word| *word == "--manifest-path");
        let manifest = manifest.unwrap();
        words.drain(manifest..manifest + 2);
        let Ended { status, stderr } = Run::start(Backend::Process, &words).end();
        assert_eq!(status.code(), Some(100), "{again}\n{stderr}");
        assert!(stderr.contains("1 test run: 0 passed"), "{again}\n{stderr}");
    }
}
