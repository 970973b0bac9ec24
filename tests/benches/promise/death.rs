//! A run whose coordinator is killed in its middle, until nothing is left of it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clnrm_runtime::program::cargo;
use clnrm_tests::workspace_root;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::table::{Figure, Table};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How many runs.
const COUNT: usize = 5;

const NAME: &str = "killed run: until nothing is left";
const PROMISE: Duration = Duration::from_secs(5);

/// When it is given up.
const LATE: Duration = Duration::from_secs(60);

pub(crate) fn run(table: &Table, backend: &str) {
    if !table.wants(NAME) {
        return;
    }
    let figure = Figure {
        name: NAME,
        on: backend,
        promise: Some(PROMISE),
    };
    match (0..COUNT).map(|_| once()).collect::<Result<Vec<_>>>() {
        Ok(times) => table.line(figure, times),
        Err(why) => table.none(NAME, backend, why.to_string().trim()),
    }
}

/// Kills a run of the shop's tests as soon as the third of them begins.
fn once() -> Result<Duration> {
    let place = tempfile::tempdir()?;
    let said = place.path().join("said");
    let mut command = cargo();
    let mut run = command
        .args([
            "clnrm",
            "test",
            "-p",
            "shop",
            "--report",
            "json=/dev/stdout",
        ])
        .current_dir(workspace_root())
        .env("CLNRM_TMPDIR", place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&said)?)
        .spawn()?;
    let begun = third_test(&mut run);
    let dir = run_dir(place.path());
    // The keeper is among them, which ends when it has removed everything.
    let processes = dir.as_ref().map(|dir| watched(dir));
    // Cargo has become the coordinator, which is killed whatever was read of it.
    let killed = Instant::now();
    run.kill()?;
    run.wait()?;
    let (true, Some(dir), Some(processes)) = (begun?, &dir, processes) else {
        return Err(fs::read_to_string(&said)?.into());
    };
    for process in processes? {
        let left = LATE.saturating_sub(killed.elapsed());
        poll(
            &mut [PollFd::new(&process, PollFlags::IN)],
            Some(&left.try_into()?),
        )?;
    }
    let took = killed.elapsed();
    match left(dir)? {
        None => Ok(took),
        Some(what) => Err(format!("left: {what}").into()),
    }
}

/// Whether three tests began.
fn third_test(run: &mut Child) -> Result<bool> {
    let events = run.stdout.take().ok_or("no pipe")?;
    let lines = BufReader::new(events).lines();
    let mut begun = lines.filter(|line| {
        line.as_ref()
            .is_ok_and(|line| line.contains(r#""event":"test_started""#))
    });
    Ok(begun.nth(2).transpose()?.is_some())
}

fn run_dir(temp: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(temp).into_iter().flatten().flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.find(|path| path.is_dir())
}

/// The id of a run.
fn id(dir: &Path) -> Result<String> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let id = name.strip_prefix("clnrm-").ok_or("no run")?;
    Ok(id.to_owned())
}

/// The processes of a run, each with a descriptor that tells its end.
fn watched(dir: &Path) -> Result<Vec<OwnedFd>> {
    let processes = marked(&id(dir)?)?.into_iter();
    let opened = processes.filter_map(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    Ok(opened.collect())
}

/// The processes that carry the id of a run.
fn marked(id: &str) -> Result<Vec<Pid>> {
    let mark = format!("CLNRM_RUN={id}");
    let entries = fs::read_dir("/proc")?.filter_map(std::result::Result::ok);
    let marked = entries.filter_map(|entry| {
        let environ = fs::read(entry.path().join("environ")).ok()?;
        let mut pairs = environ.split(|byte| *byte == 0);
        let pid = entry.file_name().to_str()?.parse().ok()?;
        pairs.find(|pair| *pair == mark.as_bytes())?;
        Pid::from_raw(pid)
    });
    Ok(marked.collect())
}

/// What is there of a run: its directory, a process, or something on an engine.
fn left(dir: &Path) -> Result<Option<String>> {
    if dir.exists() {
        return Ok(Some(format!("`{}`", dir.display())));
    }
    let id = id(dir)?;
    if let Some(pid) = marked(&id)?.first() {
        return Ok(Some(format!("process {}", pid.as_raw_pid())));
    }
    for listing in [&["ps", "--all"][..], &["volume", "ls"], &["network", "ls"]] {
        let mut docker = Command::new("docker");
        let filter = format!("label=clnrm.run={id}");
        // Where there is no engine, nothing is on one.
        let Ok(output) = docker
            .args(listing)
            .args(["-q", "--filter", &filter])
            .output()
        else {
            return Ok(None);
        };
        let found = String::from_utf8_lossy(&output.stdout);
        if !found.trim().is_empty() {
            return Ok(Some(format!(
                "docker {}: {}",
                listing.join(" "),
                found.trim()
            )));
        }
    }
    Ok(None)
}
