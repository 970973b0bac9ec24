//! A log that is written, followed and cut.

use super::*;

async fn texts(log: &Log) -> Vec<String> {
    let lines = log.lines(None, false).collect::<Vec<_>>().await;
    lines.into_iter().map(|line| line.unwrap().text).collect()
}

fn log() -> (tempfile::TempDir, Log) {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::create(&dir.path().join("log")).unwrap();
    (dir, log)
}

#[tokio::test]
async fn lines_come_whole_however_they_are_written() {
    let (_dir, log) = log();
    let (sources, [out, err]) = log.begin().unwrap();
    let taking = tokio::spawn(log.clone().take(sources, std::future::pending::<()>()));
    let (mut out, mut err) = (File::from(out), File::from(err));
    out.write_all(b"one\r\n\ntw").unwrap();
    out.write_all(b"o\n").unwrap();
    err.write_all(b"\xffbroken").unwrap();
    // More than a pipe holds: it is written while it is read.
    let writing = tokio::task::spawn_blocking(move || {
        out.write_all(&vec![b'x'; 2 * LONGEST + 10]).unwrap();
    });
    writing.await.unwrap();
    drop(err);
    taking.await.unwrap();
    let mut texts = texts(&log).await;
    let broken = texts.iter().position(|text| text.ends_with("broken"));
    assert_eq!(texts.remove(broken.unwrap()), "\u{fffd}broken");
    assert_eq!(texts[..3], ["one", "", "two"]);
    let long: usize = texts[3..].iter().map(String::len).sum();
    assert_eq!(long, 2 * LONGEST + 10);
}

#[tokio::test]
async fn a_pipe_that_stays_open_does_not_hold_the_log() {
    let (_dir, log) = log();
    let (sources, ends) = log.begin().unwrap();
    let taking = tokio::spawn(log.clone().take(sources, std::future::ready(())));
    (&File::from(ends[0].try_clone().unwrap()))
        .write_all(b"last\n")
        .unwrap();
    taking.await.unwrap();
    let follow = log.lines(None, true).collect::<Vec<_>>();
    assert_eq!(follow.await.len(), 1);
    drop(ends);
}

#[tokio::test(start_paused = true)]
async fn the_last_words_are_read_however_late_anybody_looks() {
    // Either branch might be looked at first: ten times it is no luck.
    for _ in 0..10 {
        let (_dir, log) = log();
        let (sources, ends) = log.begin().unwrap();
        let taking = tokio::spawn(log.clone().take(sources, std::future::ready(())));
        tokio::task::yield_now().await;
        (&File::from(ends[0].try_clone().unwrap()))
            .write_all(b"last\n")
            .unwrap();
        tokio::time::advance(LINGER).await;
        taking.await.unwrap();
        assert_eq!(texts(&log).await, ["last"]);
    }
}

#[tokio::test]
async fn a_follower_gets_each_line_when_it_comes() {
    let (_dir, log) = log();
    let (sources, [out, err]) = log.begin().unwrap();
    let taking = tokio::spawn(log.clone().take(sources, std::future::pending::<()>()));
    let mut follow = log.lines(None, true);
    let mut out = File::from(out);
    for text in ["one", "two"] {
        writeln!(out, "{text}").unwrap();
        assert_eq!(follow.next().await.unwrap().unwrap().text, text);
    }
    drop((out, err));
    assert!(follow.next().await.is_none());
    taking.await.unwrap();
}

#[tokio::test]
async fn what_a_full_disk_took_of_a_line_is_taken_back() {
    let (_dir, log) = log();
    log.write(b"first\n", LogStream::Stdout);
    let before = log.file.metadata().unwrap().len();
    let full = |mut file: &File, part: &[u8]| match file.metadata()?.len() == before {
        true => file.write(&part[..3]),
        false => Err(io::ErrorKind::StorageFull.into()),
    };
    let error = append(&log.file, b"lost line", full).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    log.write(b"second\n", LogStream::Stdout);
    assert_eq!(texts(&log).await, ["first", "second"]);
}
