//! What each subcommand does.

mod aside;
pub mod clean;
pub mod completions;
pub mod doctor;
pub mod fetch;
pub mod list;
pub mod plan;
pub mod plugins;

use std::process::ExitCode;
use std::sync::OnceLock;

use anstream::ColorChoice;
use clnrm_runtime::config::Config;
use clnrm_runtime::{CleanroomError, Result};

use self::aside::Aside;
use crate::cli::{
    CleanArgs, Color, Command, FetchArgs, Format, ListArgs, PlanArgs, PluginsArgs, ShowArgs,
};
use crate::console::{complain, print, stderr_is_colored};
use crate::coordinate::{self, Discovery, Ended};
use crate::exit;

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
            complain(&error);
        }
        code
    });
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

async fn dispatch(mut command: Command, color: ColorChoice) -> Result<i32, Ended> {
    select(&mut command)?;
    match command {
        Command::Test(args) => coordinate::run(&args, color).await,
        Command::Plan(args) => plan_of(&args, color).await,
        Command::List(args) => list_of(&args, color).await,
        Command::Plugins(args) => plugins_of(&args, color).await,
        Command::Fetch(args) => fetch_of(&args).await,
        Command::Clean(args) => clean_of(&args).await,
        Command::Doctor(args) => {
            let findings = doctor::examine(&config()?).await?;
            print(&if args.json {
                serde_json::to_string_pretty(&findings).map_err(not_json)?
            } else {
                doctor::text(&findings)
            })?;
            Ok(exit::OK)
        }
        Command::Completions { shell } => {
            print(&completions::script(shell))?;
            Ok(exit::OK)
        }
    }
}

/// Follows what stands after `--`, as far as it selects tests.
fn select(command: &mut Command) -> Result<(), Ended> {
    let taken = match command {
        Command::Test(args) => args.plan.tests.take_harness_args(),
        Command::List(args) => args.tests.take_harness_args(),
        Command::Plan(args) => args.plan.tests.take_harness_args(),
        _ => Ok(()),
    };
    taken.map_err(|error| Ended {
        code: exit::BAD_FILTER,
        error: Some(error),
    })
}

async fn plan_of(args: &ShowArgs, color: ColorChoice) -> Result<i32, Ended> {
    let mut aside = Aside::new(color)?;
    let colored = stderr_is_colored(color);
    let planned = coordinate::plan(&args.plan, colored, |event| aside.tell(event)).await;
    aside.end();
    let (discovery, plan) = planned?;
    print(&match args.format {
        Format::Text if plan.tests.is_empty() => String::new(),
        Format::Text => plan::text(&plan),
        Format::Json => plan::json(&plan).map_err(not_json)?,
    })?;
    some_test(&discovery)
}

async fn list_of(args: &ListArgs, color: ColorChoice) -> Result<i32, Ended> {
    let mut aside = Aside::new(color)?;
    let colored = stderr_is_colored(color);
    let listed = coordinate::list(&args.tests, colored, |event| aside.tell(event)).await;
    aside.end();
    let discovery = listed?;
    let tests = &discovery.selected.tests;
    print(&match args.format {
        Format::Text => list::text(tests),
        Format::Json => list::json(tests).map_err(not_json)?,
    })?;
    some_test(&discovery)
}

/// The code of a command that selects tests, of which there should be one.
fn some_test(discovery: &Discovery) -> Result<i32, Ended> {
    if discovery.selected.tests.is_empty() {
        return Err(Ended {
            code: exit::NO_TESTS,
            error: Some(discovery.no_tests()),
        });
    }
    Ok(exit::OK)
}

async fn plugins_of(args: &PluginsArgs, color: ColorChoice) -> Result<i32, Ended> {
    let plan = PlanArgs::of(args.selection.clone());
    let mut aside = Aside::new(color)?;
    let colored = stderr_is_colored(color);
    let catalog = coordinate::catalog(&plan, colored, |event| aside.tell(event)).await;
    aside.end();
    let plugins = plugins::Plugins::new(&catalog?)?;
    print(&if args.json {
        plugins.json().map_err(not_json)?
    } else {
        plugins.text()
    })?;
    Ok(exit::OK)
}

async fn fetch_of(args: &FetchArgs) -> Result<i32, Ended> {
    // What cannot be told ends no download, and is an error once all is there.
    let untold = OnceLock::new();
    let tell = |line: String| {
        if let Err(error) = print(&line) {
            untold.get_or_init(|| error);
        }
    };
    fetch::fetch(args, &config()?, tell).await?;
    match untold.into_inner() {
        Some(error) => Err(error.into()),
        None => Ok(exit::OK),
    }
}

async fn clean_of(args: &CleanArgs) -> Result<i32, Ended> {
    let verb = if args.dry_run {
        "would remove"
    } else {
        "removing"
    };
    let mut said = None;
    let cleaned = clean::clean(args, |line| {
        let now = print(&format!("{verb} {line}"));
        said = Some(said.take().unwrap_or(Ok(())).and(now));
    });
    cleaned.await?;
    said.unwrap_or_else(|| print("nothing is left of earlier runs"))?;
    Ok(exit::OK)
}

/// The configuration of the directory that the command runs in.
fn config() -> Result<Config> {
    let here = std::env::current_dir().map_err(|error| {
        CleanroomError::validation_error("there is no current directory").with_source(error)
    })?;
    Config::find(&here, |name| std::env::var(name).ok())
}

fn not_json(error: serde_json::Error) -> Ended {
    CleanroomError::internal_error("cannot write JSON")
        .with_source(error)
        .into()
}
