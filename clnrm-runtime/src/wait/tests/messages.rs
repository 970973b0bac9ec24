//! What a failed wait says.

use super::*;
use crate::service::LogStream::{Stderr, Stdout};
use crate::service::{ContainerSpec, Healthcheck};

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
async fn a_failed_health_check_says_what_it_is_and_what_it_wrote() {
    let mut fake = Fake::new();
    fake.health = vec![(Duration::ZERO, Some(false))];
    fake.check = Some("unhealthy: exit code 1: hunter2 is refused");
    let mut own = spec(Wait::Healthcheck);
    let mut container = ContainerSpec::new("clnrm-test/web:1".parse().unwrap());
    container.healthcheck = Some(Healthcheck {
        command: ["ask", "--fast"].map(str::to_owned).to_vec(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        retries: 2,
        start_period: Duration::ZERO,
    });
    own.container = Some(container);
    let error = wait_as(&fake, &own).await.unwrap_err();
    assert_eq!(
        error.context("waited for"),
        Some("the health check `ask --fast`")
    );
    let answer = "unhealthy: exit code 1: *** is refused";
    assert_eq!(error.context("last answer"), Some(answer));
    fake.check = None;
    let error = wait_for(&fake, Wait::Healthcheck).await.unwrap_err();
    assert_eq!(
        error.context("waited for"),
        Some("the image's health check")
    );
    assert_eq!(error.context("last answer"), Some("not healthy"));
}

#[tokio::test(start_paused = true)]
async fn an_early_exit_points_at_the_line_that_says_why() {
    let exits = |lines: &[&'static str]| {
        let says = |fake: Fake, line: &&'static str| fake.says(0, Stdout, line);
        lines.iter().fold(Fake::new().exits(100, 1), says)
    };
    for (lines, hint) in [
        (
            &[
                "2026 FATAL:  bad hunter2",
                "pg_ctl: could not start server",
                "Examine the log output.",
            ][..],
            "see this line of its log: `2026 FATAL:  bad ***`",
        ),
        (
            &[
                "error: no such key",
                "thread main panicked at x.rs:1",
                "note: run with",
            ],
            "see this line of its log: `thread main panicked at x.rs:1`",
        ),
        (
            &["0 errors, all fine", "bye"],
            "the last lines of its log say why",
        ),
        (
            &["starting", "ERROR 1045 (28000)", "bye"],
            "see this line of its log: `ERROR 1045 (28000)`",
        ),
        (
            &["ERROR: no cache, retrying", "FATAL: cannot open /data"],
            "the last lines of its log say why",
        ),
        (
            &["FATAL:  the database system is starting up", "bye"],
            "the last lines of its log say why",
        ),
    ] {
        let error = wait_for(&exits(lines), Wait::Tcp { port: None }).await;
        assert_eq!(error.unwrap_err().hint(), Some(hint));
    }
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
