//! The project's own tasks: the gate, the images that the container tests use, the benchmarks, and what is checked too
//! seldom to be in the gate: Podman, and whether the tests notice bodies that do nothing.

mod audit;
mod error;
mod gate;
mod image;
mod mutant;
mod package;
mod podman;
mod shell;
mod step;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::Result;

/// The project's own tasks.
///
/// A newcomer needs one of them: `cargo xtask test` installs what it needs, and runs everything that CI runs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run the gate: formatting, lints, documentation, features and every test. CI runs the same.
    ///
    /// On a Debian machine it first installs the servers that the tests run as processes (PostgreSQL, Redis) with apt,
    /// without starting them as services. Where a container engine answers it builds the test images (see `cargo xtask
    /// images`), and the Docker tests must pass; where none answers they are skipped, which is said at the start. Each
    /// step is printed as the command that it runs, with the time it took, and the first that fails ends the gate.
    /// The tests come last, so that the output ends with their result; then what they left behind is looked for, and
    /// named if there is any.
    Test(gate::Options),
    /// Build the local images of the container tests, but for those that are up to date.
    ///
    /// They are `clnrm-test/postgres:15`, `clnrm-test/redis:7`, `clnrm-test/web:1` and `clnrm-test/busybox:1`, made from
    /// Debian's packages, since no registry needs to be reached to test clnrm. The first two keep what the official
    /// images of the same names document: environment, arguments, ports, volumes and init files. Their recipes are in
    /// tests/images; an image carries the digest of its recipe as the label `clnrm-test.recipe`, and is built again when
    /// that changes. It takes about a minute, well under a second when there is nothing to do, and needs root or `sudo`
    /// if mmdebstrap has to be installed.
    Images,
    /// Run the benchmarks in release mode, and print their figures.
    ///
    /// This is `cargo bench -p clnrm-tests`: start, health-check and removal times of services, the registration of
    /// plugins, and the plan. They print figures beside what is promised and fail nothing; run them on an idle machine.
    /// What follows `--` goes to the benchmarks, such as a filter: `cargo xtask bench -- registration`.
    Bench {
        /// Passed on to the benchmarks.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Run the container tests on Podman. The gate does not.
    ///
    /// On a Debian machine it first installs podman, netavark, aardvark-dns and iproute2 with apt, without starting a
    /// service, and builds the test images on Docker (see `cargo xtask images`). Then, as root, it starts Podman's API in
    /// namespaces of processes, mounts and network of its own, with its images and containers in a temporary directory,
    /// copies the images there, and runs the tests of the docker backend, the container tests of the plugins, and the
    /// shop. All of it ends with the namespaces but for empty control groups, `libpod_parent`, and an index of layers in
    /// /var/lib/containers/cache.
    Podman(podman::Options),
    /// Replace the bodies of the lifecycle by empty successes, and see that a test notices each. The gate does not.
    ///
    /// This is cargo-mutants, which is installed below target/mutants where it is missing, on a copy of the tree with a
    /// target directory of its own. The bodies are those of backends, engine, lifecycle and adapter that return
    /// `Result<()>` or nothing, 120 in all; each builds clnrm-runtime and runs its unit tests. On two processors that
    /// takes half a minute, and two minutes and a half with the tests on an engine, which are run where bodies of the
    /// docker backend are among them: begin with a file. Where no engine answers, that backend is left out. It ends with
    /// cargo-mutants' own summary, and fails when a mutant survives; what was done is in target/mutants/mutants.out.
    Mutants(mutant::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Test(options) => gate::run(&options),
        Task::Images => image::build_stale(&image::engine()?),
        Task::Bench { arguments } => shell::Cmd::cargo(["bench", "-p", "clnrm-tests", "--"])
            .args(arguments)
            .show()
            .run(),
        Task::Podman(options) => podman::run(&options),
        Task::Mutants(options) => mutant::run(&options),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
