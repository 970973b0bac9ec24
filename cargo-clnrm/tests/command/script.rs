//! Shell scripts that tests have run.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes one that can be executed at once. Another process does it: a child that this one is just starting for another
/// test would have the file open for writing, and nothing executes such a file.
pub(crate) fn write(path: &Path, text: &str) {
    let mut shell = Command::new("sh")
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = shell.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    assert!(shell.wait().unwrap().success());
}
