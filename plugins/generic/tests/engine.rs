//! The plugin through the engine of this process, as any `#[tokio::test]` starts it by hand.
#![allow(
    clippy::unwrap_used,
    reason = "the helpers of a test fail as the test does"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use clnrm_generic::{GenericPlugin, plugin, program};
use clnrm_runtime::service::Wait;
use clnrm_runtime::{ErrorKind, ServiceHandle, ServicePlugin};

/// A server that speaks lines, from an image or as a process.
fn server() -> GenericPlugin {
    plugin("redis:7")
        .program("redis-server")
        .args(["--port", "{port}", "--bind", "{host}", "--save", ""])
        .command(["redis-server", "--save", ""])
}

fn say(handle: &ServiceHandle, line: &str) -> String {
    let address = (handle.host().unwrap(), handle.port().unwrap());
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    write!(stream, "{line}\r\n").unwrap();
    let mut answer = [0; 64];
    let length = stream.read(&mut answer).unwrap_or_default();
    String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned()
}

#[tokio::test]
async fn a_start_by_hand_is_ready_and_says_where_it_is() {
    let plugin = server().named("lines").port(6379);
    let handle = plugin.start().unwrap();
    assert_eq!(say(&handle, "PING"), "+PONG\r\n");
    assert_eq!(
        handle.url().unwrap(),
        format!("tcp://127.0.0.1:{}", handle.port().unwrap())
    );
    assert!(plugin.health_check(&handle).unwrap().is_healthy());
    plugin.stop(handle).unwrap();
}

#[tokio::test]
async fn startup_failure_shows_what_the_program_said() {
    let plugin = program("redis-server").args(["--nonsense", "1"]).port(6379);
    let error = plugin.start().unwrap_err();
    assert!(
        [ErrorKind::Container, ErrorKind::Service].contains(&error.kind()),
        "{error:?}"
    );
    assert!(error.report().contains("nonsense"), "{error:?}");
}

#[tokio::test]
async fn startup_failure_of_one_that_never_gets_ready_ends_in_time() {
    let never = Wait::log("this line never comes");
    let plugin = server()
        .port(6379)
        .ready(never)
        .start_timeout(Duration::from_millis(300));
    let begun = std::time::Instant::now();
    let error = plugin.start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(
        error.report().contains("this line never comes"),
        "{error:?}"
    );
    assert!(begun.elapsed() < Wait::TIMEOUT, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn health_failure_is_told_when_it_is_gone() {
    let plugin = server().port(6379);
    let handle = plugin.start().unwrap();
    say(&handle, "SHUTDOWN NOSAVE");
    let status = plugin.health_check(&handle).unwrap();
    assert!(!status.is_healthy(), "{status}");
    plugin.stop(handle).unwrap();
}

#[tokio::test]
async fn cleanup_leaves_nothing_that_answers() {
    let plugin = server().port(6379);
    let handle = plugin.start().unwrap();
    plugin.stop(handle.clone()).unwrap();
    let address = (handle.host().unwrap(), handle.port().unwrap());
    assert!(TcpStream::connect(address).is_err());
    plugin.stop(handle).unwrap();
}

#[tokio::test]
async fn port_conflict_with_another_program_is_told() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = server().port(format!("{port}:6379")).start().unwrap_err();
    assert!(error.report().contains(&port.to_string()), "{error:?}");
    assert!(
        !error.is_transient(),
        "a port that was asked for is not tried again: {error:?}"
    );
}

#[tokio::test]
async fn invalid_config_starts_nothing() {
    let error = server().port("80:x").start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Validation);
    assert_eq!(
        error.message(),
        "bad port `80:x`: a port is a number up to 65535"
    );
}
