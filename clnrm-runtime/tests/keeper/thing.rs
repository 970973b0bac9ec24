//! What is no process, and stays when its owner dies: an engine's things, and
//! shared memory.

use std::process::Command;

use clnrm_runtime::backend::Backend;
use clnrm_runtime::backend::docker::DockerBackend;
use clnrm_runtime::service::RunId;

use super::owner::{Owner, Scene, Then, Who, temp};

fn scene(engine: bool) -> Scene {
    Scene {
        children: Vec::new(),
        engine,
        then: Then::Wait,
    }
}

#[tokio::test]
async fn what_a_killed_owner_has_on_an_engine_goes_too() {
    let engine = match DockerBackend::connect().await {
        Ok(engine) => engine,
        Err(error) => {
            let required = std::env::var_os("CLNRM_REQUIRE_DOCKER").is_some_and(|v| v == "1");
            assert!(!required, "CLNRM_REQUIRE_DOCKER=1, and {error:?}");
            eprintln!("SKIPPED, as no container engine answers: {error}");
            return;
        }
    };
    let temp = temp();
    let mut owner = Owner::start(temp.path(), &scene(true), Who::Us);
    owner.lines.next("network");
    let run = RunId::new(owner.id());
    assert_eq!(engine.list(&run).await.unwrap().len(), 1);
    owner.kill();
    owner.keeper.ends();
    assert!(engine.list(&run).await.unwrap().is_empty());
    assert!(!owner.dir.exists());
}

/// A PostgreSQL that is killed leaves a segment that its `postmaster.pid` names.
#[test]
fn shared_memory_that_is_named_in_the_directory_goes_too() {
    let temp = temp();
    let mut owner = Owner::start(temp.path(), &scene(false), Who::Us);
    let [ours, others] = [Segment::make(), Segment::make()];
    let pid = |segment: &Segment, key: &str| {
        let Segment { id, creator, .. } = segment;
        format!("{creator}\n/data\n1\n5432\n/run\n\n  {key} {id}\nready\n")
    };
    for (instance, text) in [
        ("db-1", pid(&ours, &ours.key)),
        // The number of another's segment, from a namespace that is gone.
        ("db-2", pid(&others, "4711")),
    ] {
        let data = owner.dir.join(instance).join("data");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("postmaster.pid"), text).unwrap();
    }
    owner.kill();
    owner.keeper.ends();
    assert!(!ours.exists());
    assert!(others.exists());
}

/// A System V shared memory segment.
struct Segment {
    id: String,
    key: String,
    creator: String,
}

impl Segment {
    fn make() -> Self {
        let output = Command::new("ipcmk").args(["-M", "4096"]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let id = said.split_whitespace().last().unwrap().to_owned();
        let fields = Self::fields(&id).unwrap();
        Self {
            key: fields[0].clone(),
            creator: fields[4].clone(),
            id,
        }
    }

    /// Its line in the system's list: key, id, mode, size, creator and more.
    fn fields(id: &str) -> Option<Vec<String>> {
        let list = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
        let mut lines = list
            .lines()
            .map(|line| line.split_whitespace().map(str::to_owned));
        lines.find_map(|fields| {
            let fields: Vec<String> = fields.collect();
            (fields[1] == id).then_some(fields)
        })
    }

    fn exists(&self) -> bool {
        Self::fields(&self.id).is_some()
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        if self.exists() {
            Command::new("ipcrm")
                .args(["-m", &self.id])
                .status()
                .unwrap();
        }
    }
}
