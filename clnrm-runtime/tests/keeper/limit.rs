//! The limit of open files: the owner's is raised, a child has what the owner was started with.

use std::io::Read;
use std::process::Command;

use clnrm_runtime::keeper::{Spawn, raise_open_files};
use rustix::process::{Resource, getrlimit};

use super::support::{piped, script, with_keeper};

/// The limit is one of the whole process, in which others would meet it.
#[test]
fn a_child_has_the_limit_that_its_owner_was_started_with() {
    let owner = Command::new("sh")
        .args(["-c", "ulimit -S -n 512 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["limit::an_owner", "--exact", "--ignored"])
        .output()
        .unwrap();
    assert!(owner.status.success(), "{owner:?}");
}

#[tokio::test]
#[ignore = "another test starts it, with a limit"]
async fn an_owner() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != Some(512) {
        return;
    }
    raise_open_files();
    assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    with_keeper(|keeper| async move {
        for isolate in [false, true] {
            let (stdio, mut reader) = piped();
            let spawn = Spawn {
                isolate,
                ..script("ulimit -n")
            };
            let child = keeper.spawn(spawn, stdio).await.unwrap();
            child.wait().await.unwrap();
            let mut said = String::new();
            reader.read_to_string(&mut said).unwrap();
            assert_eq!(said.trim(), "512");
        }
    })
    .await;
}
