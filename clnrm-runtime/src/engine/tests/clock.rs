//! What counts against the limits of a start, and who knows of them.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::sketch::{by_hand, own, service};
use super::stage::Stage;
use crate::backend::fake::Step;
use crate::engine::limit;

#[tokio::test(start_paused = true)]
async fn time_in_which_the_run_stands_still_ends_no_start() {
    for step in [Step::Create, Step::Start, Step::PluginMigrate] {
        let stage = Stage::new([service("db").migrates()]);
        let begun = Instant::now();
        // Longer than any of the three may take.
        stage.takes(step, "db", 400);
        let starting = stage.acquiring("a", [own("db")]);
        sleep_until(begun + Duration::from_secs(10)).await;
        stage.clock.freeze();
        sleep_until(begun + Duration::from_secs(380)).await;
        stage.clock.thaw();
        starting.await.unwrap().unwrap();
        assert_eq!(stage.now(), 400, "{step:?}");
        let phases = stage.instance_events("db").pop().unwrap().phases;
        let counted = phases.create + phases.ready;
        assert_eq!(counted.as_secs(), 30, "{step:?}");
        stage.release("a").await;
        stage.is_empty();
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_start_takes_is_limited_where_the_run_goes_on() {
    let stage = Stage::new([service("db").migrates()]);
    stage.takes(Step::PluginMigrate, "db", 400);
    let error = stage.acquire("a", [own("db")]).await.unwrap_err();
    assert_eq!(error.message(), "`migrate` of `db` took longer than 60s");
    stage.release("a").await;
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn plugin_code_has_the_time_of_the_step_that_it_is_called_in() {
    let stage = Stage::new([by_hand("mail")]);
    stage.acquire("a", [own("mail")]).await.unwrap();
    assert_eq!(stage.hooks.left(), Some(limit::BY_HAND));
    stage.release("a").await;
    stage.is_empty();
}
