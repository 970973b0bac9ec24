//! What `--keep-failed` keeps, and that `cargo clnrm clean` removes it.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
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
    let reports = ["--report", "json=events", "--report", "junit=xml"];
    let mut run = Run::start(backend, &[&args[..], &reports].concat());
    drop(run.held());
    let ended = run.end();
    let kept = ended.stderr.contains("`cargo clnrm clean` removes it");
    assert_eq!(kept, test == "fails", "{}", ended.stderr);
    let report = |name| fs::read_to_string(run.dir().with_file_name(name)).unwrap();
    for told in [report("events"), report("xml"), ended.stderr] {
        // The test writes the whole address of its server, to both streams.
        let addresses = told.split(" has redis://").skip(1);
        let masked = addresses.filter(|it| it.split('@').next().unwrap().ends_with(":***"));
        assert_eq!(
            masked.count(),
            if test == "fails" { 2 } else { 0 },
            "{told}"
        );
        assert!(!told.contains("clnrm-loopback-only"), "a password is told");
    }
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
    traces.nothing_is_left();
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
    let other = engine_without_anything();
    let output = command(&run).env("DOCKER_HOST", &other).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{stderr}");
    for part in ["another engine answers", &id, &other] {
        assert!(stderr.contains(part), "no {part}:\n{stderr}");
    }
    assert!(clean(&run, &[]).contains(&format!("removing run {id}")));
    traces.nothing_is_left();
}

/// An engine that has nothing, which a few lines of HTTP stand for. It ends
/// with this process.
fn engine_without_anything() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Who hangs up early has no need of an answer.
            let _ = answer(stream.unwrap());
        }
    });
    address
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines
        .next()
        .transpose()?
        .is_some_and(|line| !line.is_empty())
    {}
    let body = match request {
        line if line.contains("/info") => r#"{"ID":"another","Name":"elsewhere"}"#,
        line if line.contains("/version") => r#"{"Version":"1"}"#,
        line if line.contains("/volumes") => r#"{"Volumes":[]}"#,
        _ => "[]",
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
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
