//! What a container uses.

use std::time::Duration;

use futures_util::StreamExt;
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{ContainerMemoryStats, ContainerStatsResponse};
use testcontainers::bollard::query_parameters::StatsOptionsBuilder;

use super::refuse::{About, refuse};
use crate::backend::Stats;
use crate::error::{CleanroomError, Result};
use crate::service::InstanceId;

/// Asks once, without the second that the engine waits for a rate.
pub(super) async fn read(docker: &Docker, id: &InstanceId) -> Result<Stats> {
    let options = StatsOptionsBuilder::new()
        .stream(false)
        .one_shot(true)
        .build();
    let mut answers = docker.stats(id.as_str(), Some(options));
    match answers.next().await {
        Some(Ok(answer)) => Ok(stats(&answer)),
        Some(Err(error)) => Err(refuse("measure", &About::instance(id.as_str()), &error)),
        None => Err(
            CleanroomError::container_error("the container engine gave no statistics")
                .with_context("instance", id),
        ),
    }
}

fn stats(answer: &ContainerStatsResponse) -> Stats {
    let cpu = answer.cpu_stats.as_ref();
    let cpu = cpu.and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage);
    let networks = answer.networks.as_ref();
    let total = |count: fn(&_) -> Option<u64>| {
        networks.map(|networks| networks.values().filter_map(count).sum())
    };
    Stats {
        cpu: Duration::from_nanos(cpu.unwrap_or_default()),
        memory: answer.memory_stats.as_ref().map_or(0, memory),
        received: total(|network| network.rx_bytes),
        sent: total(|network| network.tx_bytes),
    }
}

/// In use, without the page cache that the kernel can take back: as `docker
/// stats` counts, on control groups of version 1 and 2.
fn memory(stats: &ContainerMemoryStats) -> u64 {
    let details = stats.stats.as_ref();
    let cache = details.and_then(|details| {
        let names = ["total_inactive_file", "inactive_file"];
        names.iter().find_map(|name| details.get(*name))
    });
    let usage = stats.usage.unwrap_or_default();
    usage.saturating_sub(cache.copied().unwrap_or_default())
}
