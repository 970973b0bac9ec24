//! The plugin through the engine of this process, as any `#[tokio::test]` starts it by hand.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of a test fail as the test does"
)]

use clnrm_redis::redis::{Connection, cmd};
use clnrm_redis::{Redis, plugin};
use clnrm_runtime::{ErrorKind, HealthStatus, ServiceHandle, ServicePlugin};

fn connect(handle: &ServiceHandle) -> Connection {
    let client = Redis::from(handle.clone()).client().unwrap();
    client.get_connection().unwrap()
}

#[tokio::test]
async fn a_start_by_hand_is_ready_and_says_where_it_is() {
    let handle = plugin().named("cache").start().unwrap();
    assert_eq!(handle.service_name, "cache");
    assert_eq!(handle.metadata["username"], "default");
    assert!(plugin().health_check(&handle).unwrap().is_healthy());
    cmd("SET")
        .arg(("k", "v"))
        .query::<()>(&mut connect(&handle))
        .unwrap();
    plugin().stop(handle).unwrap();
}

#[tokio::test]
async fn startup_failure_shows_what_the_server_said() {
    let error = plugin()
        .config("maxmemory-policy", "nonsense")
        .start()
        .unwrap_err();
    assert!(
        [ErrorKind::Container, ErrorKind::Service].contains(&error.kind()),
        "{error:?}"
    );
    assert!(error.report().contains("maxmemory-policy"), "{error:?}");
    assert!(!error.report().contains("clnrm-loopback-only"), "{error:?}");
}

#[tokio::test]
async fn health_failure_is_told_when_the_server_is_gone() {
    let handle = plugin().start().unwrap();
    // The answer is the end of the connection.
    let _ = cmd("SHUTDOWN")
        .arg("NOSAVE")
        .query::<()>(&mut connect(&handle));
    let status = plugin().health_check(&handle).unwrap();
    assert!(!status.is_healthy(), "{status}");
    plugin().stop(handle).unwrap();
}

#[tokio::test]
async fn health_failure_is_told_when_the_password_is_another() {
    let handle = plugin().start().unwrap();
    let mut connection = connect(&handle);
    cmd("CONFIG")
        .arg(("SET", "requirepass", "other"))
        .query::<()>(&mut connection)
        .unwrap();
    let status = plugin().health_check(&handle).unwrap();
    assert!(!status.is_healthy(), "{status}");
    plugin().stop(handle).unwrap();
}

#[tokio::test]
async fn what_only_its_plugin_can_tell_is_not_guessed() {
    let handle = plugin().named("cache").start().unwrap();
    assert_eq!(handle.health_check().await.unwrap(), HealthStatus::Unknown);
    let error = handle.restart().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            ErrorKind::Validation,
            "cannot restart `cache`: it was started by hand, and nobody can ask its plugin when it is ready again"
        )
    );
    // It was left alone, and its plugin can tell.
    assert!(plugin().health_check(&handle).unwrap().is_healthy());
    plugin().stop(handle).unwrap();
}

#[tokio::test]
async fn cleanup_leaves_nothing_that_answers() {
    let handle = plugin().start().unwrap();
    plugin().stop(handle.clone()).unwrap();
    plugin().ready(&handle).unwrap_err();
    plugin().stop(handle).unwrap();
}

#[tokio::test]
async fn port_conflict_cannot_happen_between_two_of_them() {
    let [one, two] = [(), ()].map(|()| plugin().start().unwrap());
    assert_ne!(one.port().unwrap(), two.port().unwrap());
    cmd("SET")
        .arg(("k", "1"))
        .query::<()>(&mut connect(&one))
        .unwrap();
    let there: bool = cmd("EXISTS").arg("k").query(&mut connect(&two)).unwrap();
    assert!(!there);
    for handle in [one, two] {
        plugin().stop(handle).unwrap();
    }
}

#[tokio::test]
async fn invalid_config_starts_nothing() {
    let error = plugin().password("").start().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::Validation, "the password is empty")
    );
}
