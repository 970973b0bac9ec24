//! Tests whose services fail in every way there is. None of the bodies runs but that of the one that hangs.

use clnrm::redis::Redis;
use clnrm::{CleanroomError, ServiceHandle, ServicePlugin};

/// Something else has its port: the test of the command.
#[clnrm::service(clnrm::generic::program("redis-server")
    .args(["--port", "{port}"])
    .port("27613:6379"))]
struct PortTaken(clnrm::generic::Generic);

#[clnrm::service(image = "clnrm-test/missing:1", port = 80)]
struct ImageMissing(ServiceHandle);

#[clnrm::service(clnrm::generic::plugin("clnrm-test/Busybox:1"))]
struct BadImage(clnrm::generic::Generic);

#[clnrm::service(program = "no-such-program", port = 80)]
struct ProgramMissing(ServiceHandle);

#[clnrm::service(
    image = "clnrm-test/busybox:1",
    program = "sh",
    command = ["sh", "-c", "echo no config >&2; exit 3"],
    args = ["-c", "echo no config >&2; exit 3"],
    port = 80
)]
struct ExitsAtOnce(ServiceHandle);

#[clnrm::service(
    program = "sh",
    args = ["-c", "echo waiting for nothing; exec tail -f /dev/null"],
    port = 80,
    start_timeout = "5s"
)]
struct NeverReady(ServiceHandle);

/// A plugin that ends the process that its code runs in.
#[derive(Debug)]
struct Aborting;

impl ServicePlugin for Aborting {
    fn name(&self) -> &str {
        "aborting"
    }

    fn start(&self) -> Result<ServiceHandle, CleanroomError> {
        eprintln!("no way out");
        std::process::abort();
    }

    fn stop(&self, handle: ServiceHandle) -> Result<(), CleanroomError> {
        drop(handle);
        Ok(())
    }

    fn health_check(&self, _: &ServiceHandle) -> Result<clnrm::HealthStatus, CleanroomError> {
        Err(CleanroomError::service_error("it never started"))
    }
}

#[clnrm::service(self::Aborting)]
struct HostCrash(ServiceHandle);

#[clnrm::service(
    program = "sh",
    args = ["-c", "echo here; exec tail -f /dev/null"],
    port = 80,
    ready(log = "here")
)]
struct Local(ServiceHandle);

#[clnrm::service(image = "clnrm-test/busybox:1", env(LOCAL = "{local.url}"))]
struct Unreachable {
    handle: ServiceHandle,
    local: Local,
}

#[clnrm::test]
fn port_taken(_service: PortTaken) {}

#[clnrm::test]
fn image_missing(_service: ImageMissing) {}

#[clnrm::test]
fn bad_image(_service: BadImage) {}

#[clnrm::test]
fn program_missing(_service: ProgramMissing) {}

#[clnrm::test]
fn exits_at_once(_service: ExitsAtOnce) {}

#[clnrm::test]
fn never_ready(_service: NeverReady) {}

#[clnrm::test]
fn host_crash(_service: HostCrash) {}

#[clnrm::test]
fn unreachable(_service: Unreachable) {}

#[clnrm::test]
fn wrong_password(_service: Redis) {}

#[clnrm::test(timeout = "5s")]
fn hangs(_service: Local) {
    std::thread::park();
}

#[test]
fn plain() {}

#[test]
#[ignore = "it is counted"]
fn plain_and_ignored() {}
