//! Tests and services that stand in the way of others, or of the end.

use std::io;

use clnrm::ServiceHandle;
use clnrm::generic::Generic;

/// One that does not go when it is asked to, and need not for longer than any test waits.
#[clnrm::service(
    program = "sh",
    args = ["-c", "trap 'echo asked' TERM; echo here; while :; do sleep 1; done"],
    ready(log = "here"),
    scope = "test",
    stop_grace = "600s"
)]
struct Stubborn(ServiceHandle);

#[clnrm::test]
fn has_a_stubborn_service(_: Stubborn) -> io::Result<()> {
    sample::hold("has_a_stubborn_service")
}

/// One that wants the port that a test of the command chose.
#[clnrm::service(
    clnrm::generic::program("python3")
        .args(["-m", "http.server", "{port}", "--bind", "{host}"])
        .port(format!("{}:8000", std::env::var("SAMPLE_PORT").unwrap_or("0".to_owned()))),
    scope = "test"
)]
struct Fixed(Generic);

/// Fails as long as there is no file of that name, which it makes.
#[clnrm::test]
fn fails_once(_: Fixed) -> io::Result<()> {
    let file = std::env::var_os("SAMPLE_FILE").ok_or(io::ErrorKind::NotFound)?;
    match std::fs::exists(&file)? {
        true => Ok(()),
        false => std::fs::write(&file, "").and(Err(io::Error::other("the first time"))),
    }
}

#[clnrm::test]
fn wants_the_same_port(_: Fixed) {}
