//! The times that clnrm promises, measured; they are printed beside the promise and never fail.
//!
//! `cargo xtask bench` runs all of them, `cargo xtask bench -- removal` those
//! whose name has that word. A process keeps to one backend, so this binary
//! runs itself once for each.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and what fails in it ends it"
)]

mod death;
mod life;
mod pure;
mod table;
mod whole;

use std::process::Command;

use table::Table;

/// What one of this binary's own processes is told.
const ON: &str = "--on=";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let backend = arguments.iter().find_map(|it| it.strip_prefix(ON));
    // Cargo adds `--bench`; the words are ours.
    let words = arguments.iter().filter(|it| !it.starts_with('-'));
    let table = Table::new(words.cloned().collect());
    if let Some(backend) = backend {
        life::run(&table, backend);
        whole::run(&table, backend);
        death::run(&table, backend);
        return;
    }
    table.head();
    pure::run(&table);
    let own = std::env::current_exe().expect("a program knows its own path");
    for backend in ["docker", "process"] {
        let status = Command::new(&own)
            .args(&arguments)
            .arg(format!("{ON}{backend}"))
            .env("CLNRM_BACKEND", backend)
            .status();
        let status = status.expect("this program runs itself");
        assert!(status.success(), "the benchmarks on {backend}: {status}");
    }
}
