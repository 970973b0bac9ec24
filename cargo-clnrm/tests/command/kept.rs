//! What `--keep-failed` keeps, and that `cargo clnrm clean` removes it.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;

use crate::backend::{Backend, on_each_backend};
use crate::leftovers::Traces;
use crate::process::{self, Process};
use crate::project::Project;
use crate::run::{LONG, Run};

on_each_backend!(
    what_a_failed_test_used_stays_until_it_is_cleaned,
    of_a_test_that_passed_nothing_stays,
);

fn run(backend: Backend, test: &str) -> Run {
    let filter = format!("test(={test})");
    let args = ["--test", "outcomes", "--keep-failed", "-E", &filter];
    let mut run = Run::start(backend, &args);
    drop(run.held());
    let ended = run.end();
    let kept = ended.stderr.contains("`cargo clnrm clean` removes it");
    assert_eq!(kept, test == "fails", "{}", ended.stderr);
    assert!(
        !ended.stderr.contains("clnrm-loopback-only"),
        "a password is told"
    );
    run
}

fn command(run: &Run) -> Command {
    let mut command = Project::shared().cargo(&[]);
    command
        .args(["clnrm", "clean"])
        .current_dir("/")
        .env("CLNRM_TMPDIR", run.dir());
    command
}

fn clean(run: &Run, args: &[&str]) -> String {
    let output = command(run).args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn what_a_failed_test_used_stays_until_it_is_cleaned(backend: Backend) {
    let run = run(backend, "fails");
    let traces = Traces::of(&run, backend);
    assert!(traces.has_service("redis-server"), "{traces:#?}");
    let book = run.dir().join(format!("clnrm-{}/connect", run.id()));
    let book = fs::read_to_string(book).unwrap();
    let address = book
        .split(['@', '/'])
        .find(|part| part.starts_with("127.0.0.1:"));
    TcpStream::connect(address.unwrap()).unwrap();
    let line = format!("kept run {}", run.id());
    assert!(clean(&run, &["--dry-run"]).contains(&format!("would remove {line}")));
    assert!(
        traces.has_service("redis-server"),
        "a dry run removes nothing"
    );
    assert!(clean(&run, &[]).contains(&format!("removing {line}")));
    traces.nothing_is_left(Instant::now());
}

fn of_a_test_that_passed_nothing_stays(backend: Backend) {
    let run = run(backend, "passes");
    assert_eq!(fs::read_dir(run.dir()).unwrap().count(), 0);
    assert!(clean(&run, &[]).contains("nothing is left"));
}

#[test]
fn what_an_engine_has_is_not_forgotten_while_it_does_not_answer() {
    if !Backend::Docker.is_there() {
        return;
    }
    let run = run(Backend::Docker, "fails");
    let traces = Traces::of(&run, Backend::Docker);
    let (id, keeper) = (run.id(), run.keeper().pid);
    Process::signal(keeper, Signal::KILL);
    assert!(process::ends(keeper, Instant::now() + LONG));
    let output = command(&run)
        .env("DOCKER_HOST", "unix:///nonexistent")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{stderr}");
    for part in ["no engine answers", &id, "DOCKER_HOST"] {
        assert!(stderr.contains(part), "no {part}:\n{stderr}");
    }
    assert!(clean(&run, &[]).contains(&format!("removing run {id}")));
    traces.nothing_is_left(Instant::now());
}

#[test]
fn a_cache_that_a_run_may_need_stays_and_nothing_else_goes_with_it() {
    let filter = "test(=passes)";
    let mut run = Run::start(Backend::Process, &["--test", "outcomes", "-E", filter]);
    let held = run.held();
    let cache = tempfile::tempdir().unwrap();
    let (own, other) = (cache.path().join("seeds"), cache.path().join("photos"));
    fs::create_dir(&own).unwrap();
    fs::create_dir(&other).unwrap();
    let clean = || {
        let mut command = command(&run);
        command.arg("--cache").env("CLNRM_CACHE_DIR", cache.path());
        command.output().unwrap()
    };
    let refused = clean();
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{stderr}");
    assert!(stderr.contains("the cache is in use"), "{stderr}");
    assert!(stderr.contains(&run.id()), "{stderr}");
    assert!(own.exists());
    drop(held);
    let pid = run.pid();
    assert!(process::ends(pid, Instant::now() + LONG));
    let cleaned = clean();
    assert!(cleaned.status.success(), "{cleaned:?}");
    assert!(!own.exists() && other.exists());
    run.end();
}
