//! The command line: what can be asked, and nothing of how it is done.

mod harness;
mod run;
mod selection;

pub use run::{Choice, Format, ListArgs, NoTests, PlanArgs, RunArgs, RunIgnored, ShowArgs};
pub use selection::Selection;

use std::time::Duration;

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

/// `cargo clnrm`, as cargo calls it: `cargo-clnrm clnrm …`.
#[derive(Debug, Parser)]
#[command(name = "cargo", bin_name = "cargo", styles = STYLES, disable_help_subcommand = true)]
pub struct Cargo {
    /// The subcommand's own name.
    #[command(subcommand)]
    pub command: CargoCommand,
}

/// What cargo calls us for.
#[derive(Debug, Subcommand)]
pub enum CargoCommand {
    /// Run integration tests against the real services that they name.
    Clnrm(Clnrm),
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Examples:
  cargo clnrm test -p shop                  run the tests of one package
  cargo clnrm test checkout                 run the tests whose name contains a word
  cargo clnrm test -E 'service(postgres)'   run the tests that use a service
  cargo clnrm plan                          say what would run where, and why
  cargo clnrm doctor                        say what is missing on this machine

Exit codes: 0 passed, 100 tests failed, 101 the build failed, 4 no test to run,
105 a service could not start, 94 a bad filter, 96 a bad set-up, 130 interrupted.";

/// Run integration tests against the real services that they name.
#[derive(Debug, Args)]
#[command(version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Clnrm {
    /// When to use colours.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        env = "CARGO_TERM_COLOR"
    )]
    pub color: Color,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours. `NO_COLOR` turns `auto` off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build the tests, start what they need, run them, clean up, report.
    #[command(visible_alias = "t")]
    Test(Box<RunArgs>),
    /// List the tests and the services that each names, without running anything.
    List(Box<ListArgs>),
    /// Say which instances would run where and why, without starting anything.
    Plan(Box<ShowArgs>),
    /// List the service types that are built in and those of the workspace's binaries.
    Plugins(Box<PluginsArgs>),
    /// Download ahead of time what the tests of the workspace may need.
    Fetch(FetchArgs),
    /// Remove what `test --keep-failed` kept, and what killed runs left.
    Clean(CleanArgs),
    /// Check engine, images, programs and permissions, and say how to mend each.
    Doctor(DoctorArgs),
    /// Print the completion script of a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `cargo clnrm plugins`.
#[derive(Debug, Args)]
pub struct PluginsArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "the flattened arguments document themselves")]
    pub selection: Selection,
}

/// `cargo clnrm fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Only these programs: `postgres`, `redis`. All that the built-in plugins know when absent.
    #[arg(value_name = "PROGRAM")]
    pub programs: Vec<String>,
}

/// `cargo clnrm clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// Also what carries clnrm's label and may be somebody else's: of another boot, user, container or machine.
    #[arg(long)]
    pub foreign: bool,
    /// Of that, only what was made longer ago: `90m`, `24h`.
    #[arg(long, value_name = "AGE", default_value = "24h", requires = "foreign", value_parser = age)]
    pub older_than: Duration,
    /// Also the managed cache: downloaded programs and seeds.
    #[arg(long)]
    pub cache: bool,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
}

fn age(text: &str) -> Result<Duration, String> {
    let read = clnrm_runtime::config::duration::parse(text);
    read.ok_or_else(|| format!("`{text}` is no duration: write `90m` or `24h`"))
}

/// `cargo clnrm doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// The command for completions and help.
#[must_use]
pub fn command() -> clap::Command {
    Cargo::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn cargo_passes_the_name_of_the_subcommand() {
        let cargo = Cargo::try_parse_from([
            "cargo", "clnrm", "test", "-p", "shop", "-j", "8", "word", "--", "--x",
        ])
        .unwrap();
        let CargoCommand::Clnrm(Clnrm {
            command: Command::Test(args),
            ..
        }) = cargo.command
        else {
            panic!()
        };
        assert_eq!(args.plan.tests.selection.package, ["shop"]);
        assert_eq!(
            (args.test_threads, args.plan.tests.filters.as_slice()),
            (Some(8), &["word".to_owned()][..])
        );
        assert_eq!(args.plan.tests.test_args, ["--x"]);
    }

    #[test]
    fn a_test_runs_again_with_what_decides_how_it_ran() {
        let again = |line: &str| {
            let words = ["cargo", "clnrm", "test"].into_iter();
            let cargo = Cargo::try_parse_from(words.chain(line.split(' '))).unwrap();
            let CargoCommand::Clnrm(Clnrm {
                command: Command::Test(args),
                ..
            }) = cargo.command
            else {
                panic!()
            };
            args.again().join(" ")
        };
        let kept = "--release --package shop --example demo --features x \
                    --cargo-profile ci --build-jobs 2 --manifest-path a/Cargo.toml --all --offline \
                    --run-ignored only --backend process --profile slow";
        assert_eq!(again(kept), kept);
        assert_eq!(
            again("word --fail-fast -j 3 --report json=x --retries 1 -E all()"),
            ""
        );
    }

    #[test]
    fn where_services_run_is_asked_of_what_plans_them() {
        for flag in ["--backend=process", "--profile=ci"] {
            let parse = |verb| Cargo::try_parse_from(["cargo", "clnrm", verb, flag]);
            assert!(parse("test").is_ok() && parse("plan").is_ok());
            assert!(parse("list").is_err());
        }
    }

    #[test]
    fn a_format_is_of_what_prints_one() {
        let parse = |verb| Cargo::try_parse_from(["cargo", "clnrm", verb, "--format", "json"]);
        assert!(parse("list").is_ok() && parse("plan").is_ok());
        assert!(parse("test").is_err());
    }
}
