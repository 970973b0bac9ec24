//! The limit of open files: the owner's is raised, a child has what the owner was started with.

use std::io::Read;

use clnrm_runtime::keeper::{Spawn, raise_open_files};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::support::{piped, script, with_keeper};

#[tokio::test]
async fn a_child_has_the_limit_that_its_owner_was_started_with() {
    let limit = getrlimit(Resource::Nofile);
    let lower = Rlimit {
        current: Some(512),
        ..limit
    };
    setrlimit(Resource::Nofile, lower).unwrap();
    raise_open_files();
    assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    with_keeper(|keeper| async move {
        for isolate in [false, true] {
            let (stdio, mut reader) = piped();
            let spawn = Spawn {
                isolate,
                ..script("ulimit -n")
            };
            keeper
                .spawn(spawn, stdio)
                .await
                .unwrap()
                .wait()
                .await
                .unwrap();
            let mut said = String::new();
            reader.read_to_string(&mut said).unwrap();
            assert_eq!(said.trim(), "512");
        }
    })
    .await;
}
