//! What each subcommand does.

pub mod clean;
pub mod doctor;
pub mod fetch;
pub mod list;
pub mod plan;
pub mod plugins;

use std::process::ExitCode;

use anstream::ColorChoice;
use clnrm_runtime::config::Config;
use clnrm_runtime::{CleanroomError, Result};

use crate::cli::{Color, Command, PlanArgs, PlanFormat};
use crate::coordinate::{self, Ended, discover};
use crate::discover::Build;
use crate::exit;
use crate::report::event::{Level, RunEvent};

/// Does what the command line says.
#[must_use]
pub fn execute(command: Command, color: Color) -> ExitCode {
    let color = match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    color.write_global();
    let code = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime.block_on(dispatch(command, color)),
        Err(error) => Err(CleanroomError::internal_error("cannot start threads")
            .with_source(error)
            .into()),
    };
    let code = code.unwrap_or_else(|Ended { code, error }| {
        if let Some(error) = error {
            anstream::eprintln!("{BAD}error{BAD:#}: {}", error.report());
        }
        code
    });
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

const BAD: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();

async fn dispatch(command: Command, color: ColorChoice) -> Result<i32, Ended> {
    match command {
        Command::Test(args) => coordinate::run(&args, color).await,
        Command::Plan(args) => {
            let plan = coordinate::plan(&args, tell_build).await?;
            print(&match args.format {
                PlanFormat::Text => plan::text(&plan),
                PlanFormat::Json => plan::json(&plan).map_err(not_json)?,
            });
            Ok(exit::OK)
        }
        Command::List(args) => {
            let tests = tests(&args).await?;
            print(&match args.format {
                PlanFormat::Text => list::text(&tests),
                PlanFormat::Json => list::json(&tests).map_err(not_json)?,
            });
            Ok(if tests.is_empty() {
                exit::NO_TESTS
            } else {
                exit::OK
            })
        }
        Command::Plugins(args) => {
            let plan = PlanArgs::of(args.selection.clone());
            let plugins = plugins::Plugins::new(&coordinate::catalog(&plan, tell_build).await?)?;
            print(&if args.json {
                plugins.json().map_err(not_json)?
            } else {
                plugins.text()
            });
            Ok(exit::OK)
        }
        Command::Fetch(args) => {
            fetch::fetch(&args, &config()?, |line| anstream::println!("{line}")).await?;
            Ok(exit::OK)
        }
        Command::Clean(args) => {
            let lines = clean::clean(&args).await?;
            let verb = if args.dry_run {
                "would remove"
            } else {
                "removed"
            };
            lines
                .iter()
                .for_each(|line| anstream::println!("{verb} {line}"));
            if lines.is_empty() {
                anstream::println!("nothing is left of earlier runs");
            }
            Ok(exit::OK)
        }
        Command::Doctor(args) => {
            let findings = doctor::examine(&config()?).await?;
            print(&if args.json {
                serde_json::to_string_pretty(&findings).map_err(not_json)?
            } else {
                doctor::text(&findings)
            });
            Ok(exit::OK)
        }
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut crate::cli::command(),
                "cargo",
                &mut std::io::stdout(),
            );
            Ok(exit::OK)
        }
    }
}

/// The configuration of the directory that the command runs in.
fn config() -> Result<Config> {
    let here = std::env::current_dir().map_err(|error| {
        CleanroomError::validation_error("there is no current directory").with_source(error)
    })?;
    Config::find(&here, |name| std::env::var(name).ok())
}

async fn tests(args: &PlanArgs) -> Result<Vec<clnrm_runtime::plan::TestRequest>, Ended> {
    let build = Build::new(args, false).map_err(Ended::without_metadata)?;
    Ok(discover(args, &build, tell_build).await?.selected.tests)
}

/// Of a build that is not the point, only what goes wrong.
fn tell_build(event: RunEvent) {
    if let RunEvent::BuildMessage {
        level: Level::Error,
        text,
    } = event
    {
        anstream::eprint!("{text}");
    }
}

fn print(text: &str) {
    anstream::println!("{}", text.trim_end());
}

fn not_json(error: serde_json::Error) -> Ended {
    CleanroomError::internal_error("cannot write JSON")
        .with_source(error)
        .into()
}
