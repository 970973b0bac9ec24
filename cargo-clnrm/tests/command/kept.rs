//! What `--keep-failed` keeps, and that `cargo clnrm clean` removes it.

use std::fs;
use std::net::TcpStream;
use std::time::Instant;

use crate::backend::{Backend, on_each_backend};
use crate::leftovers::Traces;
use crate::project::Project;
use crate::run::Run;

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

fn clean(run: &Run, args: &[&str]) -> String {
    let output = Project::shared()
        .cargo(&[])
        .args(["clnrm", "clean"])
        .args(args)
        .current_dir("/")
        .env("CLNRM_TMPDIR", run.dir())
        .output()
        .unwrap();
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
    assert!(clean(&run, &[]).contains(&format!("removed {line}")));
    traces.nothing_is_left(Instant::now());
}

fn of_a_test_that_passed_nothing_stays(backend: Backend) {
    let run = run(backend, "passes");
    assert_eq!(fs::read_dir(run.dir()).unwrap().count(), 0);
    assert!(clean(&run, &[]).contains("nothing is left"));
}
