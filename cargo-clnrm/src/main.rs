//! `cargo clnrm`: reads the command line, does what it says, exits with the code that it gives.

use std::process::ExitCode;

use cargo_clnrm::cli::{Cargo, CargoCommand, Clnrm};
use clap::Parser;

fn main() -> ExitCode {
    let Cargo {
        command: CargoCommand::Clnrm(clnrm),
    } = Cargo::parse();
    let Clnrm { color, command } = clnrm;
    clnrm_runtime::keeper::raise_open_files();
    cargo_clnrm::command::execute(command, color)
}
