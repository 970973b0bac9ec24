//! What a failed wait says.

use super::*;
use crate::service::LogStream::{Stderr, Stdout};

#[tokio::test(start_paused = true)]
async fn a_timeout_says_everything_that_is_known() {
    let mut fake =
        Fake::new()
            .says(0, Stdout, "starting")
            .says(1000, Stderr, "cannot log in with hunter2");
    fake.exits = vec![(Duration::ZERO, Ok(2))];
    let wait = Wait::Exec {
        command: vec!["probe".to_owned(), "--password=hunter2".to_owned()],
    };
    let error = wait_for(&fake, wait).await.unwrap_err();
    insta::assert_snapshot!(error, @r"
    service `web` was not ready within 30.0s
      service: web
      phase: ready
      image: clnrm-test/web:1
      elapsed: 30.0s
      waited for: `probe --password=***` to exit with 0
      last answer: exit code 2: password *** refused
      log: starting
        cannot log in with ***
      hint: run the command by hand inside the instance; if it is only slow, raise `start_timeout`
    ");
}

#[tokio::test(start_paused = true)]
async fn every_part_that_did_not_come_is_named() {
    let fake = Fake::new().says(0, Stdout, "one");
    let wait = Wait::All(vec![
        Wait::log("one"),
        Wait::Log {
            pattern: "two".to_owned(),
            stream: Some(Stderr),
            count: 2,
        },
        Wait::Http {
            port: None,
            path: "health".to_owned(),
            status: Some(204),
            body: Some("ok".to_owned()),
        },
    ]);
    let error = wait_for(&fake, wait).await.unwrap_err();
    insta::assert_snapshot!(error, @r"
    service `web` was not ready within 30.0s
      service: web
      phase: ready
      image: clnrm-test/web:1
      elapsed: 30.0s
      waited for: 2 log lines that match `two` on stderr
      last answer: no such line yet; the last was `one`
      waited for: GET /health to answer 204 with a body that matches `ok` on port `main`
      last answer: port `main` is not reachable from here
      log: one
      hint: compare the pattern with the lines above; the service may log elsewhere; if it is only slow, raise `start_timeout`
    ");
}

#[tokio::test(start_paused = true)]
async fn an_early_exit_shows_the_last_twenty_lines() {
    let lines: Vec<String> = (1..=25).map(|line| format!("line {line}")).collect();
    let mut fake = Fake::new().exits(100, 127);
    for line in lines {
        fake = fake.says(0, Stdout, line.leak());
    }
    let error = wait_for(&fake, Wait::Tcp { port: None }).await.unwrap_err();
    let log = error.context("log").unwrap();
    assert_eq!(log.lines().count(), 20);
    assert!(
        log.starts_with("line 6\n") && log.ends_with("line 25"),
        "{log}"
    );
    assert_eq!(
        error.hint(),
        Some("its program, or one that it calls, is not there")
    );
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_not_there_is_told_at_once() {
    let wait = Wait::Tcp {
        port: Some("admin".to_owned()),
    };
    let error = wait_for(&Fake::new(), wait).await.unwrap_err();
    insta::assert_snapshot!(error, @r"
    service `web` cannot become ready: it waits for port `admin`, which it does not have
      service: web
      phase: ready
      image: clnrm-test/web:1
      elapsed: 0.0ns
      log: (empty)
      hint: its ports are `main`
    ");
}
