//! What is told of a test that failed: what it and its services wrote, and how to look at what it leaves.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use clnrm_runtime::engine::{Engine, Keep};
use clnrm_runtime::service::{LogStream, Secrets};

use super::slot::Slot;
use crate::report::event::{Kept, LogLine, Output, ServiceUse, Stream, Until};

/// What a test wrote, as it can be shown to whoever reads a report.
pub(super) fn output(written: &Output, secrets: &Secrets) -> Output {
    Output {
        stdout: secrets.mask(&written.stdout),
        stderr: secrets.mask(&written.stderr),
    }
}

/// The lines that each service the test used wrote since `since`.
pub(super) async fn logs(engine: &Engine, slot: &Slot, since: SystemTime) -> Vec<ServiceUse> {
    let mut uses = Vec::new();
    let secrets = engine.secrets();
    for handle in slot.progress().handles {
        let lines = engine.logs(&handle, Some(since)).await.unwrap_or_default();
        let log = lines.into_iter().map(|line| LogLine {
            after: line.at.duration_since(since).unwrap_or_default(),
            stream: match line.stream {
                LogStream::Stdout => Stream::Stdout,
                LogStream::Stderr => Stream::Stderr,
            },
            text: secrets.mask(&line.text),
        });
        let log = log.collect();
        uses.push(ServiceUse {
            service: handle.name().to_owned(),
            instance: handle.instance().to_string(),
            log,
        });
    }
    uses
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
    use super::*;

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
