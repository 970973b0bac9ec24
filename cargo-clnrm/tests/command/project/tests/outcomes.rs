//! Tests that end in every way there is, once they are let go.

use std::process::{Command, Stdio};

use clnrm::postgres::Postgres;
use clnrm::redis::Redis;
use sample::Held;
use tokio::signal::unix::{SignalKind, signal};

/// One that is ready when somebody writes to its gate.
#[clnrm::service(
    program = "sh",
    args = ["-c", "mkfifo \"$1\" && read -r _ < \"$1\" && echo open && exec tail -f /dev/null", "sh", "{data_dir}/gate"],
    ready(log = "open"),
    start_timeout = "8s"
)]
struct Gated(clnrm::ServiceHandle);

#[clnrm::test]
fn needs_what_is_gated(_service: Gated) {}

/// A server that ends at once.
#[clnrm::service(clnrm::redis::plugin().config("maxmemory-policy", "nonsense"))]
struct Broken(Redis);

#[clnrm::test]
fn needs_what_cannot_start(_cache: Broken) {}

#[clnrm::test]
fn passes(_cache: Redis) -> std::io::Result<()> {
    sample::hold("passes")
}

#[clnrm::test]
fn passes_with_a_database(_db: Postgres) -> std::io::Result<()> {
    sample::hold("passes_with_a_database")
}

#[clnrm::test]
fn fails(cache: Redis) -> std::io::Result<()> {
    sample::hold("fails")?;
    println!("stdout has {}", cache.url().map_err(std::io::Error::other)?);
    eprintln!("stderr has {}", cache.url().map_err(std::io::Error::other)?);
    Err(std::io::Error::other(format!(
        "no luck with {}",
        cache.name()
    )))
}

#[clnrm::test]
fn panics(cache: Redis) {
    sample::hold("panics").unwrap();
    panic!("no luck with {}", cache.name());
}

#[clnrm::test]
fn aborts(_cache: Redis) {
    sample::hold("aborts").unwrap();
    std::process::abort();
}

#[clnrm::test]
fn exits_with_0(_cache: Redis) {
    sample::hold("exits_with_0").unwrap();
    std::process::exit(0);
}

/// The child has this test's standard output and error, which the command reads.
#[clnrm::test]
fn leaves_a_child(_cache: Redis) -> std::io::Result<()> {
    let mut child = Command::new("sleep");
    drop(child.arg("600").stdin(Stdio::null()).spawn()?);
    sample::hold("leaves_a_child")
}

/// The child is in a session of its own, and its parent is gone.
#[clnrm::test]
fn detaches_a_child(_cache: Redis) -> std::io::Result<()> {
    let mut shell = Command::new("setsid");
    shell.args(["sh", "-c", "sleep 600 > /dev/null 2>&1 &"]);
    shell.stdin(Stdio::null()).status()?;
    sample::hold("detaches_a_child")
}

#[clnrm::test(timeout = "5s")]
fn hangs(_cache: Redis) -> std::io::Result<()> {
    sample::hold("hangs")
}

#[clnrm::test(timeout = "8s")]
fn is_limited(_cache: Redis) -> std::io::Result<()> {
    sample::hold("is_limited")
}

/// Says that it got SIGINT, and goes on.
#[clnrm::test]
async fn ignores_ctrl_c(_cache: Redis) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut held = Held::new("ignores_ctrl_c")?;
    interrupt.recv().await;
    held.say("interrupted")?;
    held.wait()
}
