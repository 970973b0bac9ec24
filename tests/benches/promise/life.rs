//! The life of services on one backend: start, health check, removal.

use std::time::Duration;

use clnrm::generic::{plugin, program};
use clnrm::service::Wait;
use clnrm::{Result, ServiceHandle, ServicePlugin};

use crate::table::{Figure, Table, timed};

const START: Duration = Duration::from_secs(5);
const HEALTH: Duration = Duration::from_millis(100);
const REMOVAL: Duration = Duration::from_secs(2);

/// How many health checks of each start.
const CHECKS: usize = 10;

/// A service, and how often its life is measured.
struct Subject {
    name: &'static str,
    plugin: Box<dyn ServicePlugin>,
    count: usize,
}

pub(crate) fn run(table: &Table, backend: &str) {
    for subject in subjects(backend) {
        let [start, health, removal] =
            ["start", "health check", "removal"].map(|what| format!("{what}: {}", subject.name));
        if ![&start, &health, &removal].iter().any(|it| table.wants(it)) {
            continue;
        }
        let figure = |name, promise| Figure {
            name,
            on: backend,
            promise: Some(promise),
        };
        match lives(&subject) {
            Ok(times) => {
                table.line(figure(&start, START), times.start);
                table.line(figure(&health, HEALTH), times.health);
                table.line(figure(&removal, REMOVAL), times.removal);
            }
            Err(error) => table.none(&start, backend, error.message()),
        }
    }
}

#[derive(Default)]
struct Times {
    start: Vec<Duration>,
    health: Vec<Duration>,
    removal: Vec<Duration>,
}

fn lives(subject: &Subject) -> Result<Times> {
    // The first pays for what is made once: the keeper, the probe, a data directory.
    live(subject, &mut Times::default())?;
    let mut times = Times::default();
    for _ in 0..subject.count {
        live(subject, &mut times)?;
    }
    Ok(times)
}

fn live(subject: &Subject, times: &mut Times) -> Result<()> {
    let plugin = subject.plugin.as_ref();
    let (start, handle) = timed(|| plugin.start());
    let handle: ServiceHandle = handle?;
    times.start.push(start);
    for _ in 0..CHECKS {
        let (health, status) = timed(|| plugin.health_check(&handle));
        assert!(status?.is_healthy(), "`{}` is not healthy", subject.name);
        times.health.push(health);
    }
    let (removal, stopped) = timed(|| plugin.stop(handle));
    times.removal.push(removal);
    stopped
}

fn subjects(backend: &str) -> Vec<Subject> {
    const IMAGE: &str = "clnrm-test/busybox:1";
    let shell = |script: &'static str| {
        let plugin = plugin(IMAGE).command(["sh", "-c", script]);
        plugin.program("sh").args(["-c", script])
    };
    let small: Box<dyn ServicePlugin> = match backend {
        "docker" => Box::new(plugin(IMAGE).command(["sleep", "600"])),
        _ => Box::new(program("sleep").args(["600"])),
    };
    let hears = shell("trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done");
    let deaf = shell("trap '' TERM; echo up; while :; do sleep 0.05; done");
    let subject = |name, plugin, count| Subject {
        name,
        plugin,
        count,
    };
    vec![
        subject("what is smallest", small, 20),
        subject("hears SIGTERM", Box::new(hears.ready(Wait::log("up"))), 20),
        subject("ignores SIGTERM", Box::new(deaf.ready(Wait::log("up"))), 10),
        subject("redis", Box::new(clnrm::redis::plugin()), 20),
        subject("postgres", Box::new(clnrm::postgres::plugin()), 10),
    ]
}
