//! Asks binaries for the tests that have no attribute of clnrm's, and remembers the answers.
//!
//! A binary is asked with `--list`, which runs none of its tests, once for
//! each build of it, and never one without libtest's harness.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clnrm_runtime::keeper::{Exit, Keeper, Signal, Spawn, Stdio, Target};
use clnrm_runtime::{CleanroomError, Result};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::capture::Capture;
use super::discovery::Discovery;
use super::hosts::environment;
use crate::describe::Identity;
use crate::discover::{PlainTest, TestBinary, read_list};

/// How long a list may take: it is a matter of milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many lines are shown of what a binary said that cannot be listed.
const LAST: usize = 20;

/// The plain tests of one binary, or why they cannot be listed.
pub(super) type Listed<'a> = (&'a TestBinary, Result<Vec<PlainTest>>);

/// What a file of the cache holds.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    version: u32,
    binary: Identity,
    tests: Vec<PlainTest>,
}

const VERSION: u32 = 1;

/// Lists the plain tests of every binary with a harness.
pub(super) async fn plain_tests<'a>(
    keeper: &Keeper,
    discovery: &'a Discovery,
    target_dir: &Path,
) -> Vec<Listed<'a>> {
    let dir = target_dir.join("clnrm").join("list");
    let ours = discovery.binaries.iter().map(|found| {
        let names = found.tests.iter().map(|test| test.test_name());
        (&found.binary, names.collect::<Vec<_>>())
    });
    let others = discovery.plain.iter().map(|binary| (binary, Vec::new()));
    let all = ours.chain(others).filter(|(binary, _)| binary.harness);
    let listing = all.map(|(binary, ours)| {
        let dir = &dir;
        async move {
            let tests = list(keeper, binary, dir).await.map(|mut tests| {
                tests.retain(|test| !ours.contains(&test.name.as_str()));
                tests
            });
            (binary, tests)
        }
    });
    join_all(listing).await
}

/// All tests of a binary, remembered or asked for.
async fn list(keeper: &Keeper, binary: &TestBinary, dir: &Path) -> Result<Vec<PlainTest>> {
    let file = binary.path.file_name().map(|name| {
        let name = format!("{}.json", name.to_string_lossy());
        dir.join(name)
    });
    if let Some(tests) = file.as_deref().and_then(|file| recall(file, &binary.path)) {
        return Ok(tests);
    }
    let all = ask(keeper, binary, &[]).await?;
    let ignored = ask(keeper, binary, &["--ignored"]).await?;
    let tests = read_list(&all, &ignored);
    if let Some(file) = file
        && remember(&file, &binary.path, &tests).is_none()
    {
        tracing::debug!(binary = %binary.id, "cannot remember its tests");
    }
    Ok(tests)
}

async fn ask(keeper: &Keeper, binary: &TestBinary, more: &[&str]) -> Result<String> {
    let cannot = |error: CleanroomError| {
        error
            .with_context("binary", binary.path.display())
            .with_hint("`--list` of it should print its tests and end")
    };
    let pipes = |error| CleanroomError::internal_error("cannot make a pipe").with_source(error);
    let (mut out, stdout) = Capture::new().map_err(pipes)?;
    let (mut err, stderr) = Capture::new().map_err(pipes)?;
    let args = ["--list", "--format", "terse"].iter().chain(more);
    let (program, args) = binary.command(args.map(OsString::from));
    let spawn = Spawn {
        program,
        args,
        env: environment(binary),
        workdir: binary.dir.clone(),
        user: None,
        isolate: false,
    };
    let stdio = Stdio {
        stdin: None,
        stdout,
        stderr,
    };
    let child = keeper.spawn(spawn, stdio).await;
    let child = child.map_err(|error| binary.explain(error))?;
    let ended = timeout(PATIENCE, async {
        let exit = child.wait().await?;
        out.closed().await;
        err.closed().await;
        Ok::<_, CleanroomError>(exit)
    });
    match ended.await {
        Ok(Ok(Exit::Code(0))) => Ok(out.text()),
        Ok(Ok(exit)) => Err(cannot(failed(&binary.id, exit, &err.text()))),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            child.signal(Signal::Kill, Target::Tree).await?;
            Err(cannot(CleanroomError::timeout_error(format!(
                "the tests of `{}` cannot be listed: it did not end within {} s",
                binary.id,
                PATIENCE.as_secs()
            ))))
        }
    }
}

/// It ended otherwise than well, and what it said last.
fn failed(id: &str, exit: Exit, stderr: &str) -> CleanroomError {
    let how = match exit {
        Exit::Code(code) => format!("with code {code}"),
        Exit::Signal(signal) => format!("by signal {signal}"),
    };
    let error = CleanroomError::validation_error(format!(
        "the tests of `{id}` cannot be listed: it ended {how}"
    ));
    let lines: Vec<_> = stderr.trim_end().lines().collect();
    let last = lines.get(lines.len().saturating_sub(LAST)..);
    match last.unwrap_or_default() {
        [] => error,
        last => error.with_context("stderr", last.join("\n")),
    }
}

fn recall(file: &Path, binary: &Path) -> Option<Vec<PlainTest>> {
    let remembered: Remembered = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    let holds = remembered.version == VERSION && Identity::of(binary)? == remembered.binary;
    holds.then_some(remembered.tests)
}

fn remember(file: &PathBuf, binary: &Path, tests: &[PlainTest]) -> Option<()> {
    let remembered = Remembered {
        version: VERSION,
        binary: Identity::of(binary)?,
        tests: tests.to_vec(),
    };
    let dir = file.parent()?;
    fs::create_dir_all(dir).ok()?;
    let draft = tempfile::NamedTempFile::new_in(dir).ok()?;
    serde_json::to_writer(draft.as_file(), &remembered).ok()?;
    draft.persist(file).ok().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_fails_shows_what_was_said_last() {
        let said: String = (0..30).map(|line| format!("line {line}\n")).collect();
        let error = failed("a::it", Exit::Code(3), &said);
        assert!(error.message().ends_with("it ended with code 3"));
        let shown = error.context("stderr").unwrap();
        assert!(
            shown.starts_with("line 10\n") && shown.ends_with("line 29"),
            "{shown}"
        );
        assert_eq!(failed("a::it", Exit::Signal(6), "").context("stderr"), None);
    }

    #[test]
    fn a_list_holds_until_the_next_build() {
        let dir = tempfile::tempdir().unwrap();
        let (binary, file) = (dir.path().join("it-0123"), dir.path().join("list/it.json"));
        fs::write(&binary, "one").unwrap();
        let tests = read_list("a: test\n", "");
        assert!(recall(&file, &binary).is_none());
        remember(&file, &binary, &tests).unwrap();
        assert_eq!(recall(&file, &binary), Some(tests));
        fs::write(&binary, "other").unwrap();
        assert!(recall(&file, &binary).is_none());
    }
}
