//! A look at the container engine past clnrm, through its own command.

use std::process::Command;

use serde_json::Value;

/// Leaves the test where no engine answers.
macro_rules! engine_or_skip {
    () => {
        if !clnrm_tests::engine_answers() {
            return;
        }
    };
}
pub(crate) use engine_or_skip;

pub(crate) fn docker(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("docker").args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success(), text)
}

/// What the engine says of a container; `None` when there is none of that name.
pub(crate) fn inspect(id: &str) -> Option<Value> {
    let (found, text) = docker(&["inspect", "--type", "container", id]);
    let mut containers: Vec<Value> = serde_json::from_str(&text).unwrap();
    found.then(|| containers.remove(0))
}

/// The names of the containers that carry these labels, running or not.
pub(crate) fn labelled(labels: &[(&str, &str)]) -> Vec<String> {
    let filters = labels
        .iter()
        .map(|(name, value)| format!("--filter=label={name}={value}"));
    let filters: Vec<String> = filters.collect();
    let mut arguments = vec!["ps", "--all", "--format={{.Names}}"];
    arguments.extend(filters.iter().map(String::as_str));
    let (ok, text) = docker(&arguments);
    assert!(ok);
    text.lines().map(str::to_owned).collect()
}
