//! Many tests, failures and cancellations at random: in the end there is nothing.

use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::time::timeout;

use super::sketch::{implied, own, service, shared, slice};
use super::stage::{Stage, owner};
use crate::engine::Keep;
use crate::plan::PlannedLease;

fn stage() -> Stage {
    Stage::new([
        service("db").migrates().networked().attempts(2),
        service("cache").networked().attempts(1),
        service("shop")
            .needs(&["db", "cache"])
            .networked()
            .attempts(2),
    ])
}

/// Three services in every mix of modes that a plan may make.
fn leases(number: u64) -> Vec<PlannedLease> {
    match number % 5 {
        0 => vec![own("shop"), implied(own("db")), implied(own("cache"))],
        1 => vec![own("shop"), slice("db"), implied(shared("cache"))],
        2 => vec![own("shop"), slice("db"), slice("cache")],
        3 => vec![shared("shop"), slice("cache"), own("db")],
        _ => vec![own("shop"), own("db"), slice("cache")],
    }
}

/// One test: it may give up before it has its services, fail, or pass.
async fn run(stage: &Stage, number: u64) {
    let name = format!("t{number}");
    let patience = Duration::from_millis(number * 7919 % 3000);
    let acquired = timeout(patience, stage.acquire(&name, leases(number))).await;
    let passed = matches!(acquired, Ok(Ok(_))) && !number.is_multiple_of(11);
    let keep = if passed {
        Keep::Nothing
    } else {
        Keep::WhileTheRunLasts
    };
    let errors = stage.engine.release(&owner(&name), keep).await;
    assert!(errors.is_empty(), "{errors:?}");
    if passed {
        let held = stage.engine.tracker().list();
        let mine = format!("it {name}");
        assert!(!held.iter().any(|it| it.ends_with(&mine)), "{held:?}");
    }
}

async fn ends_empty(tests: u64, seed: u64, cut: Option<Duration>) {
    let stage = stage();
    stage.script.chance(seed, 4);
    let tests = join_all((0..tests).map(|number| run(&stage, number)));
    match cut {
        None => {
            tests.await;
        }
        Some(after) => {
            let _ = timeout(after, tests).await;
        }
    }
    let errors = stage.engine.shutdown(false).await;
    assert!(errors.is_empty(), "{errors:?}");
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn two_hundred_tests_leave_nothing() {
    for seed in 0..2 {
        ends_empty(200, seed, None).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_run_that_ends_at_any_moment_leaves_nothing(seed: u64, millis in 0u64..2000) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(ends_empty(30, seed, Some(Duration::from_millis(millis))));
    }
}

#[test]
fn threads_do_not_change_that() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    // The clock runs here: a step takes up to 50 ms.
    runtime.block_on(ends_empty(60, 7, Some(Duration::from_millis(600))));
}
