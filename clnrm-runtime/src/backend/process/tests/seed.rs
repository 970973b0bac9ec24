//! Seeds: built once, copied often, never used half-made.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Bed, begin, end, perl, refused};
use crate::backend::{Backend, CreateRequest};
use crate::service::{File, InstanceId, Seed, Spec, Template};

/// A program that makes seeds and counts how often, beside a server.
struct Server {
    dir: tempfile::TempDir,
}

impl Server {
    fn new(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy("/usr/bin/perl", dir.path().join("server")).unwrap();
        let server = Self { dir };
        server.make(script);
        server
    }

    /// Another process writes it: a child that this one is just starting for another test would have the file open for
    /// writing, and nothing executes such a file.
    fn make(&self, script: &str) {
        let write = "printf '#!/bin/sh\\n%s\\n' \"$1\" > new && chmod 755 new && mv new make-seed";
        let shell = std::process::Command::new("sh")
            .args(["-c", write, "sh", script])
            .current_dir(self.dir.path())
            .status();
        assert!(shell.unwrap().success());
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("server")
    }

    fn spec(&self) -> Spec {
        let mut spec = perl("sleep 600", &[]);
        let count = self.dir.path().join("count");
        spec.process.as_mut().unwrap().seed = Some(Seed::new(
            "make-seed",
            vec![
                "{seed_dir}".parse().unwrap(),
                Template::literal(&count.to_string_lossy()),
            ],
        ));
        spec
    }

    fn request(&self, bed: &Bed) -> CreateRequest {
        bed.request("it", self.spec(), &self.program())
    }

    fn built(&self) -> usize {
        fs::read(self.dir.path().join("count")).map_or(0, |count| count.len())
    }
}

const MAKE: &str = r#"mkdir "$1/sub"; echo seed > "$1/sub/file"; printf x >> "$2""#;

fn content(bed: &Bed, id: &InstanceId) -> String {
    fs::read_to_string(bed.dir(id).join("data/sub/file")).unwrap()
}

fn seeds(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache.join("seeds")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_seed_is_built_once_and_each_instance_has_its_own_copy() {
    let (bed, server) = (Bed::new().await, Server::new(MAKE));
    let first = bed.backend.create(&server.request(&bed)).await.unwrap();
    fs::write(bed.dir(&first).join("data/sub/file"), "changed").unwrap();
    let second = bed.backend.create(&server.request(&bed)).await.unwrap();
    assert_eq!(content(&bed, &second), "seed\n");
    assert_eq!(server.built(), 1);
    let seeds = seeds(bed.cache.path());
    assert_eq!(seeds.len(), 1, "{seeds:?}");
    assert!(!seeds[0].join("tmp").exists());
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_that_need_it_at_once_build_it_once() {
    let (bed, server) = (Bed::new().await, Server::new(&format!("sleep 0.2; {MAKE}")));
    let (run, keeper, backend) = begin(bed.cache.path()).await;
    let request = server.request(&bed);
    let (one, two, three) = tokio::join!(
        bed.backend.create(&request),
        backend.create(&request),
        bed.backend.create(&request)
    );
    assert_eq!(content(&bed, &one.unwrap()), "seed\n");
    assert_eq!(content(&bed, &three.unwrap()), "seed\n");
    two.unwrap();
    assert_eq!(server.built(), 1);
    end(run, keeper, backend).await;
    bed.end().await;
}

#[tokio::test]
async fn another_program_makes_another_seed() {
    let (bed, server) = (Bed::new().await, Server::new(MAKE));
    bed.backend.create(&server.request(&bed)).await.unwrap();
    server.make(&MAKE.replace("echo seed", "echo other seed"));
    let id = bed.backend.create(&server.request(&bed)).await.unwrap();
    assert_eq!(content(&bed, &id), "other seed\n");
    assert_eq!(seeds(bed.cache.path()).len(), 2);
    bed.end().await;
}

#[tokio::test]
async fn its_files_are_read_by_the_command_alone_and_tell_seeds_apart() {
    let bed = Bed::new().await;
    let server = Server::new(
        r#"mkdir "$1/sub"; cat password > "$1/sub/file"; stat -c %a password >> "$1/sub/file""#,
    );
    let request = |password: &str| {
        let mut request = server.request(&bed);
        let process = request.spec.process.as_mut().unwrap();
        process.seed.as_mut().unwrap().files = vec![File {
            path: "password".to_owned(),
            contents: format!("{password}\n"),
            mode: 0o600,
        }];
        request
    };
    for password in ["one", "two", "one"] {
        let id = bed.backend.create(&request(password)).await.unwrap();
        assert_eq!(content(&bed, &id), format!("{password}\n600\n"));
    }
    let seeds = seeds(bed.cache.path());
    assert_eq!(seeds.len(), 2, "{seeds:?}");
    for seed in seeds {
        let inside = fs::read_dir(seed)
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let mut inside: Vec<_> = inside.collect();
        inside.sort();
        assert_eq!(inside, ["complete", "data"]);
    }
    bed.end().await;
}

#[tokio::test]
async fn a_damaged_seed_is_built_anew() {
    let (bed, server) = (Bed::new().await, Server::new(MAKE));
    bed.backend.create(&server.request(&bed)).await.unwrap();
    let seed = seeds(bed.cache.path()).remove(0);
    for (number, damage) in [
        |seed: &Path| fs::remove_file(seed.join("data/sub/file")).unwrap(),
        |seed: &Path| fs::write(seed.join("data/sub/file"), "se").unwrap(),
        |seed: &Path| fs::write(seed.join("complete"), "").unwrap(),
        |seed: &Path| fs::remove_dir_all(seed.join("data")).unwrap(),
    ]
    .into_iter()
    .enumerate()
    {
        damage(&seed);
        let id = bed.backend.create(&server.request(&bed)).await.unwrap();
        assert_eq!(content(&bed, &id), "seed\n", "damage {number}");
        assert_eq!(server.built(), number + 2);
    }
    assert_eq!(seeds(bed.cache.path()), [seed]);
    bed.end().await;
}

#[tokio::test]
async fn one_that_was_half_built_is_never_used() {
    let (bed, server) = (
        Bed::new().await,
        Server::new(r#"echo half > "$1/file"; echo 'no luck' >&2; exit 3"#),
    );
    let error = refused(bed.backend.create(&server.request(&bed)).await);
    assert!(
        error
            .message()
            .ends_with("ended with 3 while it made a seed"),
        "{error}"
    );
    assert_eq!(error.context("output"), Some("no luck"));
    assert!(bed.backend.list(bed.run.id()).await.unwrap().is_empty());
    // A cancelled one is killed, and what a killed process of ours left goes too.
    server.make(r#"echo half > "$1/file"; exec sleep 600"#);
    let request = server.request(&bed);
    let create = bed.backend.create(&request);
    let cancelled = tokio::time::timeout(std::time::Duration::from_millis(300), create).await;
    assert!(cancelled.is_err());
    let name = seeds(bed.cache.path());
    assert!(
        name.iter()
            .all(|path| path.to_string_lossy().contains("_building-")),
        "{name:?}"
    );
    server.make(MAKE);
    let id = bed.backend.create(&server.request(&bed)).await.unwrap();
    assert_eq!(content(&bed, &id), "seed\n");
    bed.end().await;
}

#[tokio::test]
async fn a_missing_seed_program_is_told() {
    let (bed, server) = (Bed::new().await, Server::new(MAKE));
    fs::remove_file(server.dir.path().join("make-seed")).unwrap();
    let error = refused(bed.backend.create(&server.request(&bed)).await);
    assert!(
        error
            .message()
            .starts_with("there is no `make-seed` beside"),
        "{error}"
    );
    bed.end().await;
}
