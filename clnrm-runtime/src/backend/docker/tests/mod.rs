//! Tests against a real engine: with `clnrm-test/busybox:1` and
//! `clnrm-test/web:1`, which `cargo xtask images` builds.
//!
//! Without an engine they are skipped, which each says, and with
//! CLNRM_REQUIRE_DOCKER=1 that is an error.

mod cancel;
mod contract;
mod image;
mod life;
mod network;
mod ready;
mod setting;
mod volume;
mod world;

use std::time::Duration;

use world::World;

/// What stops a container at once.
const NOW: crate::service::Stop = crate::service::Stop {
    signal: crate::service::StopSignal::Kill,
    grace: Duration::ZERO,
};
