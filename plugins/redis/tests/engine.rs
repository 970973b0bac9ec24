//! The plugin through the engine of this process, as any `#[tokio::test]` starts it by hand.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of a test fail as the test does"
)]

use std::process::Command;
use std::sync::Mutex;

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

/// What the test below had, for whoever looks afterwards.
static HAD: Mutex<Option<ServiceHandle>> = Mutex::new(None);

#[clnrm_runtime::service(self::plugin(), scope = "test")]
struct Own(Redis);

#[clnrm_runtime::test]
#[ignore = "another test calls it"]
fn has_a_server_of_its_own(own: &Own) {
    plugin().ready(own).unwrap();
    *HAD.lock().unwrap() = Some(ServiceHandle::clone(own));
}

#[test]
fn what_a_test_had_ends_with_it() {
    let _ = has_a_server_of_its_own();
    let had = HAD.lock().unwrap().take().unwrap();
    plugin().ready(&had).unwrap_err();
}

/// The line that says what a process leaves to its end.
const LEFT: &str = "left: ";

#[test]
#[ignore = "another test runs it in a process of its own"]
fn leaves_a_server_to_the_end_of_the_process() {
    let handle = plugin().start().unwrap();
    println!("\n{LEFT}{}", serde_json::to_string(&handle).unwrap());
}

#[test]
fn what_a_process_started_ends_with_it() {
    let name = "leaves_a_server_to_the_end_of_the_process";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let left = said.lines().find_map(|line| line.strip_prefix(LEFT));
    let left: ServiceHandle = serde_json::from_str(left.unwrap()).unwrap();
    plugin().ready(&left).unwrap_err();
}
