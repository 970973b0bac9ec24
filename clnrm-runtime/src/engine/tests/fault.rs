//! A fault at any step leaves nothing: not there, and not counted.

use super::sketch::{own, service, slice};
use super::stage::{Stage, owner};
use crate::backend::fake::Step;
use crate::engine::Keep;
use crate::plan::PlannedLease;

const STEPS: [Step; 5] = [
    Step::Create,
    Step::Start,
    Step::PluginReady,
    Step::PluginMigrate,
    Step::PluginSlice,
];

fn stage() -> Stage {
    let db = service("db").networked().asks_plugin().migrates();
    Stage::new([db.attempts(2)])
}

fn leases() -> [PlannedLease; 2] {
    [own("db"), slice("db")]
}

/// What a test of its own kind may leave: the instance of the run, which its
/// slice is of.
async fn ends_empty(stage: &Stage, step: Step) {
    stage.release("a").await;
    let tracked = stage.engine.tracker().list();
    if step == Step::PluginSlice {
        assert_eq!(tracked, ["network: default of run", "service: db of run"]);
    } else {
        assert!(!tracked.iter().any(|it| it.contains("it a")), "{tracked:?}");
    }
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails() {
    for step in STEPS {
        for lease in leases() {
            let stage = stage();
            stage.fails(step, "db");
            let result = stage.acquire("a", [lease.clone()]).await;
            let sliced = step == Step::PluginSlice && lease == own("db");
            assert_eq!(result.is_ok(), sliced, "{step:?}");
            ends_empty(&stage, if sliced { Step::Create } else { step }).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_with_everything_slow() {
    for step in STEPS {
        let stage = stage();
        for slow in STEPS.into_iter().chain([Step::Remove, Step::Stop]) {
            stage.takes(slow, "db", 3);
        }
        stage.fails(step, "db");
        stage.acquire("a", [slice("db")]).await.unwrap_err();
        ends_empty(&stage, step).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_that_cannot_be_made() {
    let stage = stage();
    stage.fails(Step::CreateNetwork, "network default");
    let error = stage.acquire("a", [own("db")]).await.unwrap_err();
    assert_eq!(error.message(), "CreateNetwork fails");
    assert_eq!(error.context("service"), Some("db (fake)"));
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_fails_is_told_with_what_was_left() {
    let stage = Stage::new([service("db")]);
    stage.fake.leaves("db");
    stage.acquire("a", [own("db")]).await.unwrap();
    assert!(
        stage
            .engine
            .release(&owner("a"), Keep::Nothing)
            .await
            .is_empty()
    );
    let errors = stage.engine.shutdown(false).await;
    assert_eq!(errors.len(), 1);
    insta::assert_snapshot!(errors[0], @r"
    the run left something on backend `fake`; it was removed
      left: fake instance `db-1` of `db`
      hint: this is a bug of clnrm: please report it with this text
    ");
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_step_of_the_end_that_fails() {
    for step in [Step::Stop, Step::Remove, Step::RemoveNetwork] {
        let stage = stage();
        let service = match step {
            Step::RemoveNetwork => "network default",
            _ => "db",
        };
        stage.acquire("a", [own("db")]).await.unwrap();
        stage.fails(step, service);
        let errors = stage.engine.release(&owner("a"), Keep::Nothing).await;
        let told = errors
            .iter()
            .any(|it| it.message() == format!("{step:?} fails"));
        assert!(told, "{step:?}: {errors:?}");
        assert_eq!(stage.engine.tracker().list(), Vec::<String>::new());
        let errors = stage.engine.shutdown(false).await;
        assert_eq!(errors.is_empty(), step == Step::Stop, "{errors:?}");
        stage.is_empty();
    }
}
