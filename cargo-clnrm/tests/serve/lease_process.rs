//! Other processes at the socket: a test that is killed, and another user.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Arc;

use cargo_clnrm::serve::{Reception, Server};
use clnrm_runtime::declare::Need;
use clnrm_runtime::protocol::{SOCKET_VARIABLE, Token, connect};
use clnrm_runtime::service::{RunId, ServiceId};
use clnrm_runtime::session::Remote;

use super::fixture::{attempt, soon};
use super::notes::{Behaviour, Note, Notes};

/// Not `nobody` by name: any user that is not this one will do.
const ANOTHER_USER: u32 = 65_534;

#[test]
#[ignore = "the other tests execute it as a process of its own"]
fn acquires() {
    if !Remote::is_asked_for() {
        return;
    }
    let acquire = async {
        let remote = Remote::connect().await?;
        let need = Need {
            id: ServiceId::new("db"),
            name: "db".to_owned(),
            optional: false,
        };
        remote.acquire(&[need]).await.map(drop)
    };
    clnrm_runtime::engine::block_on(acquire).unwrap().unwrap();
}

#[test]
#[ignore = "the other tests execute it as a process of its own"]
fn dials() {
    let Ok(socket) = std::env::var(SOCKET_VARIABLE) else {
        return;
    };
    // By hand first: the client of the product would not even speak to a
    // coordinator of another user.
    let mut stream = UnixStream::connect(&socket).unwrap();
    let mut said = Vec::new();
    println!("the server: {:?}", stream.read_to_end(&mut said));
    let dialled = clnrm_runtime::engine::block_on(async move {
        connect(socket.as_ref(), &Token::random().unwrap()).await
    });
    println!("the client: {:?}", dialled.unwrap().map(drop));
}

fn again(test: &str) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--include-ignored", "--nocapture"])
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn a_test_process_that_is_killed_takes_its_acquire_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let reception = Reception::new(dir.path().join("s"), RunId::new("0123456789abcdef"));
    let (engine, mut notes) = Notes::new();
    engine.behave(Behaviour::Hangs);
    let server = Server::start(reception.clone(), Arc::clone(&engine) as _).unwrap();
    let ticket = reception.expect_test(attempt("orders")).unwrap();
    let mut test = again("lease_process::acquires")
        .envs(ticket.env())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(soon(notes.recv()).await, Some(Note::Hello));
    assert!(matches!(soon(notes.recv()).await, Some(Note::Acquire(_))));
    test.kill().await.unwrap();
    assert_eq!(soon(notes.recv()).await, Some(Note::AcquireDropped));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn another_user_is_refused_even_where_the_file_lets_him_in() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can be another user");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(dir.path(), open.clone()).unwrap();
    let reception = Reception::new(dir.path().join("s"), RunId::new("0123456789abcdef"));
    let (engine, _notes) = Notes::new();
    let server = Server::start(reception, engine).unwrap();
    std::fs::set_permissions(server.socket(), open).unwrap();
    // The build's directory may be closed to that user. Another process copies: a child that this one is just starting
    // for another test would have the copy open for writing, and nothing executes such a file.
    let copy = dir.path().join("test");
    let copied = std::process::Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());
    let output = tokio::process::Command::new(&copy)
        .args([
            "lease_process::dials",
            "--exact",
            "--include-ignored",
            "--nocapture",
        ])
        .env_clear()
        .env(SOCKET_VARIABLE, server.socket())
        .current_dir("/")
        .uid(ANOTHER_USER)
        .gid(ANOTHER_USER)
        .output();
    let output = soon(output).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("the server: Ok(0)"), "{said}");
    assert!(said.contains("the client: Err"), "{said}");
    assert!(said.contains("another user listens there"), "{said}");
    server.stop().await.unwrap();
}
