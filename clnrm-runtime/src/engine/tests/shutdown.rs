//! The end of a run is the end of everything, whenever it comes.

use std::future::pending;
use std::time::Duration;

use tokio::time::timeout;

use super::sketch::{external, implied, own, service, shared, slice};
use super::stage::{Stage, end, owner};
use crate::backend::fake::Step;
use crate::engine::Keep;
use crate::lifecycle::LifecycleState;
use crate::service::OwnerId;

async fn pass(seconds: u64) {
    timeout(Duration::from_secs(seconds), pending::<()>())
        .await
        .unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn starts_that_go_on_are_given_up() {
    for seconds in 0..9 {
        let stage = Stage::new([
            service("db").migrates().networked(),
            service("cache"),
            service("shop").needs(&["db", "cache"]).networked(),
        ]);
        for step in [Step::Create, Step::Start, Step::PluginMigrate, Step::Stop] {
            stage.takes(step, "db", 2);
            stage.takes(step, "shop", 2);
        }
        let mut acquiring = Vec::new();
        for test in ["a", "b", "c"] {
            let leases = [own("shop"), slice("db"), implied(shared("cache"))];
            acquiring.push(stage.acquiring(test, leases));
        }
        pass(seconds).await;
        stage.shutdown().await;
        for acquiring in acquiring {
            let _ = acquiring.await.unwrap();
        }
        stage.is_empty();
        pass(100).await;
        stage.is_empty();
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_afterwards() {
    let stage = Stage::new([service("db")]);
    stage.handle("a", shared("db")).await;
    stage.shutdown().await;
    for lease in [own("db"), slice("db"), shared("db")] {
        let error = stage.acquire("b", [lease]).await.unwrap_err();
        assert!(error.message().contains("was given up"), "{error}");
    }
    stage.release("b").await;
    stage.shutdown().await;
    assert_eq!(stage.calls(Step::Create, "db").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hard_end_kills() {
    let stage = Stage::new([service("stubborn").spec(|spec| {
        spec.stop.grace = Duration::from_secs(20);
    })]);
    stage.acquire("a", [own("stubborn")]).await.unwrap();
    stage.acquire("b", [shared("stubborn")]).await.unwrap();
    assert!(stage.engine.shutdown(true).await.is_empty());
    assert_eq!(stage.now(), 0);
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_polite_end_waits_out_the_grace() {
    let stage = Stage::new([service("stubborn").spec(|spec| {
        spec.stop.grace = Duration::from_secs(20);
    })]);
    stage.acquire("a", [own("stubborn")]).await.unwrap();
    stage.shutdown().await;
    assert_eq!(stage.now(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_polite_end_that_lost_patience_becomes_a_hard_one() {
    let stage = Stage::new([
        service("stubborn").spec(|spec| spec.stop.grace = Duration::from_secs(60)),
        service("shop").needs(&["stubborn"]),
    ]);
    let leases = [own("shop"), implied(own("stubborn"))];
    stage.acquire("a", leases).await.unwrap();
    stage.acquire("b", [shared("stubborn")]).await.unwrap();
    let polite = stage.engine.shutdown(false);
    assert!(timeout(Duration::from_secs(3), polite).await.is_err());
    let errors = stage.engine.shutdown(true).await;
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(stage.now(), 3);
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_release_that_goes_on_is_waited_for() {
    let stage = Stage::new([service("db"), service("cache")]);
    stage.takes(Step::Stop, "db", 1);
    stage.takes(Step::PluginDropSlice, "cache", 5);
    stage
        .acquire("a", [own("db"), slice("cache")])
        .await
        .unwrap();
    let owner = owner("a");
    let ending = async {
        pass(2).await;
        stage.engine.shutdown(false).await
    };
    let (released, ended) = tokio::join!(stage.engine.release(&owner, Keep::Nothing), ending);
    assert!(released.is_empty(), "{released:?}");
    assert!(ended.is_empty(), "{ended:?}");
    assert_eq!(stage.calls(Step::Stop, "db").len(), 1);
    // The slice is dropped before its instance stops.
    let dropped = end(&stage.call(Step::PluginDropSlice, "cache"));
    assert!(stage.call(Step::Stop, "cache").begun >= dropped);
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_release_that_comes_later_finds_nothing_to_do() {
    let stage = Stage::new([service("db"), service("cache")]);
    stage.takes(Step::Stop, "db", 3);
    stage.takes(Step::Stop, "cache", 5);
    let leases = [own("db"), slice("cache")];
    stage.acquire("a", leases).await.unwrap();
    let owner = owner("a");
    let late = async {
        pass(2).await;
        stage.engine.release(&owner, Keep::Nothing).await
    };
    let (ended, released) = tokio::join!(stage.engine.shutdown(false), late);
    assert!(ended.is_empty(), "{ended:?}");
    assert!(released.is_empty(), "{released:?}");
    assert_eq!(stage.calls(Step::Stop, "db").len(), 1);
    assert_eq!(stage.calls(Step::PluginDropSlice, "cache"), []);
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_slice_whose_instance_ends_is_not_dropped_any_more() {
    let stage = Stage::new([service("db"), service("cache")]);
    stage.takes(Step::Stop, "db", 3);
    let leases = [own("db"), slice("cache")];
    stage.acquire("a", leases).await.unwrap();
    let owner = owner("a");
    // The release is still at the server that uses the slice.
    let ending = async {
        pass(2).await;
        stage.engine.shutdown(false).await
    };
    let (released, ended) = tokio::join!(stage.engine.release(&owner, Keep::Nothing), ending);
    assert!(released.is_empty(), "{released:?}");
    assert!(ended.is_empty(), "{ended:?}");
    assert_eq!(stage.calls(Step::PluginDropSlice, "cache"), []);
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn the_run_itself_is_not_released() {
    let stage = Stage::new([service("db")]);
    stage.handle("a", shared("db")).await;
    let errors = stage.engine.release(&OwnerId::Run, Keep::Nothing).await;
    assert_eq!(errors.len(), 1);
    insta::assert_snapshot!(errors[0], @"what the run shares ends with the run");
    assert_eq!(stage.fake.services(), ["db"]);
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn plugin_code_that_never_answers_does_not_keep_the_run() {
    let stage = Stage::new([external("db"), super::sketch::by_hand("mail")]);
    stage
        .acquire("a", [slice("db"), own("mail")])
        .await
        .unwrap();
    stage.script.hangs(Step::PluginDropSlice, "db");
    stage.script.hangs(Step::PluginStop, "mail");
    let errors = stage.engine.shutdown(true).await;
    assert!(stage.now() <= 10, "{}", stage.now());
    let messages: Vec<_> = errors.iter().map(|error| error.message()).collect();
    assert_eq!(
        messages,
        [
            "`stop` of `mail` took longer than 5s",
            "`drop_slice` of `db` took longer than 5s"
        ]
    );
    assert_eq!(stage.engine.tracker().list(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_a_backend_cannot_say_is_an_error() {
    let stage = Stage::new([service("db")]);
    stage.acquire("a", [own("db")]).await.unwrap();
    stage.fails_times(Step::List, "", 1);
    stage.fails_times(Step::Sweep, "", 1);
    let errors = stage.engine.shutdown(false).await;
    assert!(!errors.is_empty());
    stage.is_empty();
}

#[tokio::test(start_paused = true)]
async fn a_service_that_failed_before_it_was_stopped_is_told() {
    let stage = Stage::new([
        service("db"),
        service("job"),
        service("cache"),
        service("mail"),
    ]);
    stage.fake.ends("db", Duration::from_secs(5), 7);
    stage.fake.ends("job", Duration::from_secs(5), 0);
    stage.fake.ends("cache", Duration::from_secs(5), 1);
    for name in ["db", "job", "mail"] {
        stage.handle("a", own(name)).await;
    }
    let cache = stage.handle("a", own("cache")).await;
    // What a test does itself is no news.
    stage.engine.halt(&cache).await.unwrap();
    pass(9).await;
    stage.release("a").await;
    let told = |name: &str| stage.instance_events(name).pop().unwrap();
    assert_eq!(told("db").state, LifecycleState::Stopped);
    insta::assert_snapshot!(told("db").error.unwrap(), @r"
    `db` exited with code 7 before anybody stopped it
      log: to stdout
        to stderr
      hint: its log may say why; a test that is to notice it asks for `health()`
    ");
    for name in ["job", "cache", "mail"] {
        assert_eq!(told(name).error, None, "{name}");
    }
    stage.shutdown().await;
}
