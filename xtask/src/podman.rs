//! The container tests on Podman: on an engine of its own, of which nothing is left.
//!
//! Engine and tests run in namespaces of processes, mounts and network. What Podman leaves behind in any of them (bridges,
//! rules, monitors of commands, mounts) ends with the first process there.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::image;
use crate::package::{self, Need};
use crate::shell::{Cmd, say};

const NEEDS: [Need; 4] = [
    Need {
        program: "podman",
        package: "podman",
    },
    Need {
        program: "/usr/lib/podman/netavark",
        package: "netavark",
    },
    // Without it no container finds another by its name.
    Need {
        program: "/usr/lib/podman/aardvark-dns",
        package: "aardvark-dns",
    },
    Need {
        program: "ip",
        package: "iproute2",
    },
];

/// Podman asks for more open files than its own caller may have where that is itself in a container, and takes its
/// locks from memory that all engines of the machine share.
const CONFIGURATION: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
lock_type = "file"
"#;

/// What the gate runs on Docker, as far as it is about containers.
const TESTS: [&str; 3] = [
    "test -p clnrm-runtime --lib backend::docker::tests",
    "test -p clnrm --test integration_plugins",
    "clnrm test -p shop --backend docker",
];

/// How long the engine may take until it listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the tests are run.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The directory of the engine, for ourselves in the namespaces.
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
}

/// Runs the container tests on Podman.
///
/// # Errors
///
/// What is missing, the tests that failed, or what they left behind.
pub(crate) fn run(options: &Options) -> Result<()> {
    match &options.inside {
        Some(directory) => inside(directory),
        None => outside(),
    }
}

/// What needs the machine's own network: packages, images, and the crates that the tests are built of.
fn outside() -> Result<()> {
    image::build_stale(&image::engine()?)?;
    package::ensure(&NEEDS)?;
    Cmd::cargo(["fetch", "--locked"]).read()?;
    let directory = tempfile::Builder::new().prefix("podman-").tempdir();
    let directory = directory.map_err(Error::io("make a directory for Podman"))?;
    let path = directory.path();
    let configured = fs::write(path.join("containers.conf"), CONFIGURATION);
    configured.map_err(Error::io("write Podman's configuration"))?;
    let save = Cmd::new("docker").args(["save", "--output"]);
    save.args([archive(path)])
        .args(image::names())
        .show()
        .read()?;
    let own = std::env::current_exe().map_err(Error::io("find our own program"))?;
    let namespaces = ["--mount", "--net", "--pid", "--fork", "--mount-proc"];
    let outcome = Cmd::new("unshare")
        .args(namespaces)
        .args(["--kill-child"])
        .args([
            own.as_path(),
            Path::new("podman"),
            Path::new("--inside"),
            path,
        ])
        .show()
        .run();
    let closed = directory.close();
    outcome.and(closed.map_err(Error::io("remove the directory of Podman")))
}

/// The first process of the namespaces: when it ends, the engine does.
fn inside(directory: &Path) -> Result<()> {
    Cmd::new("ip").args(["link", "set", "lo", "up"]).read()?;
    // Podman keeps its state of the network there, wherever it keeps the rest.
    let tmpfs = ["-t", "tmpfs", "tmpfs", "/run"];
    Cmd::new("mount").args(tmpfs).read()?;
    serve(directory)?;
    podman(directory)
        .args(["load", "--quiet", "--input"])
        .args([archive(directory)])
        .read()?;
    let version = podman(directory).args(["--version"]).read()?;
    say(format_args!("{} has the images", version.trim()));
    for test in TESTS {
        Cmd::cargo(test.split(' '))
            .env("DOCKER_HOST", address(directory))
            .env("CLNRM_REQUIRE_DOCKER", "1")
            .env("CARGO_NET_OFFLINE", "true")
            .show()
            .run()?;
    }
    match leftovers(directory)? {
        left if left.is_empty() => Ok(()),
        left => Err(Error::Leftovers(left)),
    }
}

/// Starts Podman's API, which says when it listens.
fn serve(directory: &Path) -> Result<()> {
    let ready = directory.join("ready");
    let failed = || Error::io("listen for Podman");
    let listener = UnixDatagram::bind(&ready).map_err(failed())?;
    listener
        .set_read_timeout(Some(PATIENCE))
        .map_err(failed())?;
    let service = podman(directory)
        .args(["system", "service", "--time=0", &address(directory)])
        .env("NOTIFY_SOCKET", &ready)
        .show();
    let command = service.to_string();
    service.leave()?;
    let said = listener.recv(&mut [0; 256]);
    said.map(|_| ()).map_err(|_| Error::Silent {
        command,
        seconds: PATIENCE.as_secs(),
    })
}

/// Whatever the engine has but for images and its own network is from the tests.
fn leftovers(directory: &Path) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for (kind, listing) in [
        ("container", "ps --all --format {{.Names}}"),
        ("network", "network ls --format {{.Name}}"),
        ("volume", "volume ls --format {{.Name}}"),
    ] {
        let names = podman(directory).args(listing.split(' ')).read()?;
        let names = names.lines().filter(|name| *name != "podman");
        left.extend(names.map(|name| format!("{kind} {name}")));
    }
    Ok(left)
}

/// Podman with everything that it keeps in `directory`.
fn podman(directory: &Path) -> Cmd {
    let places = ["root", "runroot", "tmpdir", "network-config-dir"];
    let options = places
        .iter()
        .map(|place| format!("--{place}={}", directory.join(place).display()));
    Cmd::new("podman")
        .args(options)
        .env("CONTAINERS_CONF", directory.join("containers.conf"))
}

fn archive(directory: &Path) -> PathBuf {
    directory.join("images.tar")
}

fn address(directory: &Path) -> String {
    format!("unix://{}", directory.join("podman.sock").display())
}
