//! What a run would do, without doing it: its tests, the plan, and what the binaries declare.

use clnrm_runtime::clock::Clock;
use clnrm_runtime::engine::EventSink;
use clnrm_runtime::plan::{Catalog, Plan};
use tokio_util::sync::CancellationToken;

use super::discovery::{Discovery, discover, filters};
use super::settings::{Ended, Settings};
use super::world::World;
use crate::cli::{Choice, PlanArgs};
use crate::discover::Build;
use crate::report::event::RunEvent;

/// `cargo clnrm list`: the tests that a run would have, after building.
///
/// # Errors
/// As a run before its tests.
pub async fn list(
    args: &Choice,
    colored: bool,
    mut tell: impl FnMut(RunEvent),
) -> Result<Discovery, Ended> {
    let filter = filters(args)?;
    let build = Build::new(args, &filter, colored).map_err(Ended::without_metadata)?;
    let discovery = discover(args, &filter, &build, &mut tell).await?;
    discovery.warnings().for_each(tell);
    Ok(discovery)
}

/// `cargo clnrm plan`: what would run, after building and asking the machine.
///
/// # Errors
/// As a run before its tests.
pub async fn plan(
    args: &PlanArgs,
    colored: bool,
    mut tell: impl FnMut(RunEvent),
) -> Result<(Discovery, Plan), Ended> {
    let filter = filters(&args.tests)?;
    let build = Build::new(&args.tests, &filter, colored).map_err(Ended::without_metadata)?;
    let settings = Settings::of_plan(args, build.metadata())?;
    let discovery = discover(&args.tests, &filter, &build, &mut tell).await?;
    discovery.warnings().for_each(tell);
    if discovery.selected.tests.is_empty() {
        return Ok((discovery, Plan::default()));
    }
    let world = begin(&settings).await?;
    let planning = async {
        let catalog = world.describe(&discovery, build.target_dir()).await?;
        world.plan(&discovery, &catalog, &settings, |_| ()).await
    };
    let planned = planning.await;
    let errors = world.leave().await;
    match errors.into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok((discovery, planned?)),
    }
}

/// What every binary of a selection declares.
///
/// # Errors
/// As a run before its tests.
pub async fn catalog(
    args: &PlanArgs,
    colored: bool,
    tell: impl FnMut(RunEvent),
) -> Result<Catalog, Ended> {
    let filter = filters(&args.tests)?;
    let build = Build::new(&args.tests, &filter, colored).map_err(Ended::without_metadata)?;
    let settings = Settings::of_plan(args, build.metadata())?;
    let discovery = discover(&args.tests, &filter, &build, tell).await?;
    let world = begin(&settings).await?;
    let catalog = world.describe(&discovery, build.target_dir()).await;
    match world.leave().await.into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(catalog?),
    }
}

/// What nobody hears of, and nobody interrupts.
async fn begin(settings: &Settings) -> clnrm_runtime::Result<World> {
    let (events, clock) = (EventSink::default(), Clock::default());
    World::begin(settings, events, clock, CancellationToken::new()).await
}
