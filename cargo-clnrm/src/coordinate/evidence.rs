//! What is told of a test that failed: what it and its services wrote, and how to look at what it leaves.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use clnrm_runtime::clock::Clock;
use clnrm_runtime::engine::{Engine, Keep};
use clnrm_runtime::service::{LogStream, Secrets};
use clnrm_runtime::{Result, backend};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::slot::Slot;
use crate::report::event::{Kept, LogLine, Output, ServiceUse, Stream, Until};

/// How long the logs of a test's services may take to be read.
const READING: Duration = Duration::from_secs(5);

/// What a test wrote, as it can be shown to whoever reads a report.
pub(super) fn output(written: &Output, secrets: &Secrets) -> Output {
    Output {
        stdout: secrets.mask(&written.stdout),
        stderr: secrets.mask(&written.stderr),
    }
}

/// The lines that each service the test used wrote since `since`. An engine that
/// does not answer holds the test's end for [`READING`], and not once the run is
/// to end by force.
pub(super) async fn logs(
    engine: &Engine,
    slot: &Slot,
    since: SystemTime,
    clock: &Clock,
    kill: &CancellationToken,
) -> Vec<ServiceUse> {
    let given_up = async {
        tokio::select! {
            () = clock.passed(Instant::now(), READING) => format!("it takes longer than {READING:?}"),
            () = kill.cancelled() => "the run was to end at once".to_owned(),
        }
    };
    let handles = slot.progress().handles;
    let reading = handles.iter().map(|it| engine.logs(it, Some(since)));
    let logs = each(reading, given_up).await;
    let secrets = engine.secrets();
    let shown = |line: backend::LogLine| LogLine {
        after: line.at.duration_since(since).unwrap_or_default(),
        stream: match line.stream {
            LogStream::Stdout => Stream::Stdout,
            LogStream::Stderr => Stream::Stderr,
        },
        text: secrets.mask(&line.text),
    };
    let uses = handles.iter().zip(logs).map(|(handle, log)| {
        let (log, unread) = match log {
            Ok(lines) => (lines.into_iter().map(shown).collect(), None),
            Err(why) => (Vec::new(), Some(secrets.mask(&why))),
        };
        ServiceUse {
            service: handle.name().to_owned(),
            instance: handle.instance().to_string(),
            log,
            unread,
        }
    });
    uses.collect()
}

/// What each of them comes to, all at once; of those that are not done when it
/// is `given_up`, why it was.
async fn each<T>(
    all: impl IntoIterator<Item = impl Future<Output = Result<T>>>,
    given_up: impl Future<Output = String>,
) -> Vec<Result<T, String>> {
    let given_up = given_up.shared();
    let all = all.into_iter().map(|one| async {
        tokio::select! {
            biased;
            done = one => done.map_err(|error| error.message().to_owned()),
            why = given_up.clone() => Err(why),
        }
    });
    join_all(all).await
}

/// What a failed test leaves, and how to look at it. The addresses with
/// their passwords go to a file that is the user's alone: reports are read
/// by others.
pub(super) fn kept(engine: &Engine, slot: &Slot, keep: Keep) -> Vec<Kept> {
    let until = match keep {
        Keep::AfterTheRun => Until::Cleaned,
        _ => Until::RunEnds,
    };
    let book = engine.run().dir().join(CONNECT);
    let secrets = engine.secrets();
    let shown = |url: &String| secrets.mask(&without_password(url));
    let handles = slot.progress().handles.into_iter();
    let unkept = engine.unkept(&slot.owner(), keep);
    let handles = handles.filter(|handle| !unkept.contains(handle.key()));
    let kept = handles.map(|handle| {
        let url = handle.url().ok();
        let noted = url.as_ref().is_some_and(|url| {
            let noted = note(&book, &slot.planned.test.to_string(), handle.name(), url);
            let noted = noted.inspect_err(|error| {
                tracing::warn!(%error, "cannot write down how to connect");
            });
            noted.is_ok()
        });
        Kept {
            service: handle.name().to_owned(),
            instance: handle.instance().to_string(),
            slice: handle.slice().map(|slice| slice.id.name.clone()),
            connect: url.iter().map(shown).collect(),
            passwords: url
                .filter(|url| noted && shown(url) != *url)
                .map(|_| book.clone()),
            until,
        }
    });
    kept.collect()
}

/// The file in the directory of a run that has whole addresses.
const CONNECT: &str = "connect";

/// Appends a line to the file of addresses: test, service, address.
fn note(book: &Path, test: &str, service: &str, url: &str) -> std::io::Result<()> {
    let mut file = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(book)?;
    file.write_all(format!("{test}\t{service}\t{url}\n").as_bytes())
}

/// A URL that can be shown: `***` stands for its password.
fn without_password(url: &str) -> String {
    let shown = || {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (userinfo, _) = authority.rsplit_once('@')?;
        let (user, _) = userinfo.split_once(':')?;
        let after = rest.get(userinfo.len()..)?;
        Some(format!("{scheme}://{user}:***{after}"))
    };
    shown().unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use clnrm_runtime::CleanroomError;

    use super::*;

    #[tokio::test]
    async fn what_is_not_read_when_it_is_given_up_says_why() {
        let broken = || Err(CleanroomError::container_error("no such container"));
        let reading = [
            ready(Ok(1)).boxed(),
            pending().boxed(),
            ready(broken()).boxed(),
        ];
        let read = each(reading, async { "enough".to_owned() }).await;
        let why = |text: &str| Err(text.to_owned());
        assert_eq!(read, [Ok(1), why("enough"), why("no such container")]);
    }

    #[test]
    fn a_shown_url_has_no_password() {
        let check = |url, expected| assert_eq!(without_password(url), expected);
        check("postgres://u:p@h:1/d?a=b@c", "postgres://u:***@h:1/d?a=b@c");
        check("redis://:p%40@h:1/3", "redis://:***@h:1/3");
        check("postgres://u:a@b:c@h/d", "postgres://u:***@h/d");
        check("http://h:1/a:b@c", "http://h:1/a:b@c");
        check("http://u@h", "http://u@h");
        check("unix:/tmp/s", "unix:/tmp/s");
    }

    #[test]
    fn whole_addresses_are_the_user_s_alone() {
        use std::os::unix::fs::PermissionsExt;

        let dir = tempfile::tempdir().unwrap();
        let book = dir.path().join(CONNECT);
        note(&book, "shop::it a", "db", "postgres://u:p@h/1").unwrap();
        note(&book, "shop::it b", "db", "postgres://u:p@h/2").unwrap();
        let text = std::fs::read_to_string(&book).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.starts_with("shop::it a\tdb\tpostgres://u:p@h/1\n"),
            "{text}"
        );
        let mode = std::fs::metadata(&book).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
