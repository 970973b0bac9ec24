//! What is known of test binaries while others are still in the making.

use std::fs::{self, File};
use std::io::Write;
use std::process::Command;

use crate::backend::Backend;
use crate::run::Run;
use crate::script;

/// A cargo whose build stands still once the first test binary exists, until somebody writes to `$GATE`.
const CARGO: &str = r#"#!/bin/sh
[ "$1" = test ] || exec "$REAL" "$@"
"$REAL" "$@" > "$GATE.said" || exit
first=$(grep -n -m 1 '"kind":\["test"\]' "$GATE.said" | cut -d : -f 1)
head -n "$first" "$GATE.said"
timeout 300 head -n 1 "$GATE" > /dev/null
tail -n "+$((first + 1))" "$GATE.said"
"#;

/// Becomes the command without the real cargo, which would name itself.
const BECOME: &str = r#"REAL=$1; shift; CARGO=$FAKE exec env REAL="$REAL" cargo-clnrm "$@""#;

/// How often an event is in the report, at the end of a run or before.
fn count(report: &str, event: &str) -> usize {
    let word = format!("\"event\":\"{event}\"");
    report.lines().filter(|line| line.contains(&word)).count()
}

#[test]
fn a_binary_is_looked_at_while_cargo_still_builds() {
    let place = tempfile::tempdir().unwrap();
    let [cargo, gate, report] = ["cargo", "gate", "report"].map(|name| place.path().join(name));
    script::write(&cargo, CARGO);
    assert!(
        Command::new("mkfifo")
            .arg(&gate)
            .status()
            .unwrap()
            .success()
    );
    let target = format!("json={}", report.display());
    let args = [
        "--test",
        "errors",
        "--test",
        "outcomes",
        "--report",
        &target,
        "no-such-word",
    ];
    let mut run = Run::start_through(
        &["sh", "-c", BECOME, "sh"],
        Backend::Process,
        &args,
        |command| {
            command.env("FAKE", &cargo).env("GATE", &gate);
        },
    );
    let seen = || fs::read_to_string(&report).unwrap_or_default();
    // The build does not go on before this is over.
    run.wait_for(|_| (count(&seen(), "binary_discovered") == 1).then_some(()));
    assert_eq!(count(&seen(), "build_finished"), 0);
    // Open for both, it waits for no reader.
    let mut gate = File::options().read(true).write(true).open(&gate).unwrap();
    gate.write_all(b"\n").unwrap();
    let ended = run.end();
    assert_eq!(ended.status.code(), Some(4), "{}", ended.stderr);
    assert_eq!(count(&seen(), "binary_discovered"), 2);
}
