//! Tests that write down what they are run with, where the test of the command says.

use std::fs;
use std::io::{Error, Result};

fn program() -> String {
    std::env::var("SAMPLE_PROGRAM").unwrap_or_else(|_| "sh".to_owned())
}

/// Nothing starts it: the test of the command looks at the plan.
#[clnrm::service(clnrm::generic::program(program()))]
struct Chosen(clnrm::generic::Generic);

#[clnrm::test]
#[ignore = "its plan is what counts"]
fn needs_what_is_chosen(_service: Chosen) {}

/// Writes all variables of this process to a file beside the others, and where it runs.
fn write_down(name: &str) -> Result<()> {
    let dir = std::env::var("SAMPLE_DIR").map_err(Error::other)?;
    let mut lines: Vec<_> = std::env::vars_os()
        .map(|(name, value)| format!("{name:?}={value:?}\n"))
        .collect();
    lines.push(format!("in {:?}\n", std::env::current_dir()?));
    lines.sort();
    fs::write(format!("{dir}/{name}"), lines.concat())
}

#[clnrm::test]
fn of_clnrm() -> Result<()> {
    write_down("of_clnrm")
}

#[test]
fn plain() -> Result<()> {
    write_down("plain")
}
