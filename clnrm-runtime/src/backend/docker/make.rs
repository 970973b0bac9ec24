//! Makes and starts a container: by testcontainers, or by the same requests through bollard.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use testcontainers::bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, Mount, MountType,
    MountVolumeOptions, NetworkConnectRequest, NetworkingConfig, PortBinding,
};
use testcontainers::bollard::query_parameters::{
    CreateContainerOptionsBuilder, UploadToContainerOptionsBuilder,
};
use testcontainers::bollard::{Docker, body_full, errors::Error as EngineError};
use testcontainers::core::error::{ClientError, WaitContainerError};
use testcontainers::core::{ContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{
    ContainerRequest, CopyTargetOptions, Healthcheck, Image, ImageExt, ReuseDirective,
    TestcontainersError,
};

use super::archive;
use super::prepared::{Prepared, nanos};
use super::refuse::{About, refuse};
use crate::error::{CleanroomError, Result};
use crate::service::{Port, PortProtocol, Volume};

/// Where published ports are reached from.
pub(super) const LOOPBACK: &str = "127.0.0.1";

/// How long a container may take to be made and started.
const START: Duration = Duration::from_secs(120);

/// Makes and starts it with testcontainers, and gives its handle up: the id is
/// all that is needed from then on.
///
/// # Errors
/// When the engine refuses. What was made by then is left for the caller.
pub(super) async fn by_testcontainers(prepared: &Prepared) -> Result<()> {
    match request(prepared).start().await {
        // The handle declines to remove a container that may be used again, in
        // whatever way it ends, and so it can simply be dropped here.
        Ok(_handle) => Ok(()),
        Err(error) => Err(translate(prepared, error)),
    }
}

/// Makes and starts it with the engine's own requests.
///
/// # Errors
/// As [`by_testcontainers`].
pub(super) async fn by_bollard(docker: &Docker, prepared: &Prepared) -> Result<()> {
    let about = about(prepared);
    let options = CreateContainerOptionsBuilder::new().name(prepared.id.as_str());
    docker
        .create_container(Some(options.build()), body(prepared))
        .await
        .map_err(|error| refuse("create", &about, &error))?;
    for file in &prepared.files {
        let tar = archive::write(file.path.trim_start_matches('/'), &file.bytes, file.mode).await?;
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        docker
            .upload_to_container(prepared.id.as_str(), Some(options), body_full(tar))
            .await
            .map_err(|error| refuse(&format!("write `{}` into", file.path), &about, &error))?;
    }
    for network in &prepared.joins {
        let request = NetworkConnectRequest {
            container: prepared.id.to_string(),
            endpoint_config: None,
        };
        docker
            .connect_network(&network.0, request)
            .await
            .map_err(|error| refuse("join a network for", &about, &error))?;
    }
    docker
        .start_container(prepared.id.as_str(), None)
        .await
        .map_err(|error| refuse("start", &about, &error))
}

pub(super) fn about(prepared: &Prepared) -> About {
    About {
        service: Some(prepared.service.clone()),
        image: Some(prepared.image.to_string()),
        instance: None,
    }
}

/// The image of a service, as testcontainers wants it described.
#[derive(Debug)]
struct ServiceImage {
    name: String,
    tag: String,
    entrypoint: Option<String>,
    command: Vec<String>,
    ports: Vec<ContainerPort>,
}

impl Image for ServiceImage {
    fn name(&self) -> &str {
        &self.name
    }

    fn tag(&self) -> &str {
        &self.tag
    }

    fn ready_conditions(&self) -> Vec<WaitFor> {
        Vec::new()
    }

    fn entrypoint(&self) -> Option<&str> {
        self.entrypoint.as_deref()
    }

    fn cmd(&self) -> impl IntoIterator<Item = impl Into<Cow<'_, str>>> {
        &self.command
    }

    fn expose_ports(&self) -> &[ContainerPort] {
        &self.ports
    }
}

fn request(prepared: &Prepared) -> ContainerRequest<ServiceImage> {
    let reference = prepared.image.to_string();
    // testcontainers joins the two with a colon, which a digest has too.
    let (name, tag) = reference.rsplit_once(':').unwrap_or((&reference, ""));
    let (entrypoint, command) = prepared.command_line();
    let image = ServiceImage {
        name: name.to_owned(),
        tag: tag.to_owned(),
        entrypoint,
        command,
        ports: prepared.ports.values().map(container_port).collect(),
    };
    let host = host_config(prepared);
    let mut request = image
        .with_container_name(prepared.id.as_str())
        .with_hostname(&prepared.service)
        .with_labels(prepared.labels())
        .with_startup_timeout(START)
        .with_host_config_modifier(move |config| *config = host.clone())
        // The attempt's label is in no other container, so nothing is reused;
        // but a handle of such a container removes nothing when it is dropped,
        // cancelled and failed starts and TESTCONTAINERS_COMMAND included.
        .with_reuse(ReuseDirective::Always);
    for (name, value) in &prepared.env {
        request = request.with_env_var(name, value);
    }
    for file in &prepared.files {
        let target = CopyTargetOptions::new(&file.path).with_mode(file.mode);
        request = request.with_copy_to(target, file.bytes.to_vec());
    }
    if let Some(user) = &prepared.user {
        request = request.with_user(user);
    }
    if let Some(workdir) = &prepared.workdir {
        request = request.with_working_dir(workdir);
    }
    if let Some(check) = &prepared.healthcheck {
        let healthcheck = Healthcheck::cmd(&check.command)
            .with_interval(check.interval)
            .with_timeout(check.timeout)
            .with_retries(check.retries)
            .with_start_period(check.start_period);
        request = request.with_health_check(healthcheck);
    }
    request
}

fn body(prepared: &Prepared) -> ContainerCreateBody {
    let (entrypoint, command) = prepared.command_line();
    let env = prepared.env.iter();
    let ports = prepared.ports.values();
    let healthcheck = prepared.healthcheck.as_ref().map(|check| HealthConfig {
        test: Some([&["CMD".to_owned()], &*check.command].concat()),
        interval: Some(nanos(check.interval)),
        timeout: Some(nanos(check.timeout)),
        retries: Some(check.retries.into()),
        start_period: Some(nanos(check.start_period)),
        start_interval: None,
    });
    let networking = prepared.network.as_ref().map(|network| {
        let endpoint = EndpointSettings {
            aliases: Some(prepared.aliases.iter().cloned().collect()),
            ..EndpointSettings::default()
        };
        NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network.0.clone(), endpoint)])),
        }
    });
    ContainerCreateBody {
        image: Some(prepared.image.to_string()),
        hostname: Some(prepared.service.clone()),
        labels: Some(prepared.labels().into_iter().collect()),
        env: Some(env.map(|(name, value)| format!("{name}={value}")).collect()),
        entrypoint: entrypoint.map(|program| vec![program]),
        cmd: (!command.is_empty()).then_some(command),
        exposed_ports: Some(ports.map(port_key).collect()),
        healthcheck,
        user: prepared.user.clone(),
        working_dir: prepared.workdir.clone(),
        host_config: Some(host_config(prepared)),
        networking_config: networking,
        ..ContainerCreateBody::default()
    }
}

/// The port asked for, else one of ours: the engine would choose another one
/// at each start, and a restarted service would answer elsewhere. Where there
/// is none to be had, and for UDP, the choice is the engine's after all.
fn host_port(port: &Port) -> Option<u16> {
    let ours = || match port.protocol {
        PortProtocol::Tcp => crate::backend::process::port::reserve().ok(),
        PortProtocol::Udp => None,
    };
    port.host.or_else(ours)
}

/// What is the same however the container is made.
pub(super) fn host_config(prepared: &Prepared) -> HostConfig {
    let labels: HashMap<_, _> = prepared.labels().into_iter().collect();
    let bindings = prepared.ports.values().map(|port| {
        let binding = PortBinding {
            host_ip: Some(LOOPBACK.to_owned()),
            host_port: host_port(port).map(|port| port.to_string()),
        };
        (port_key(port), Some(vec![binding]))
    });
    let limits = prepared.limits;
    let signed = |number: Option<u64>| number.and_then(|number| i64::try_from(number).ok());
    HostConfig {
        port_bindings: Some(bindings.collect()),
        publish_all_ports: Some(false),
        mounts: Some(
            prepared
                .mounts
                .iter()
                .map(|volume| mount(volume, &labels))
                .collect(),
        ),
        network_mode: prepared.network.as_ref().map(|network| network.0.clone()),
        memory: signed(limits.memory),
        nano_cpus: signed(
            limits
                .cpu_millis
                .and_then(|millis| millis.checked_mul(1_000_000)),
        ),
        pids_limit: signed(limits.pids),
        shm_size: signed(limits.shm),
        ..HostConfig::default()
    }
}

fn mount(volume: &Volume, labels: &HashMap<String, String>) -> Mount {
    match volume {
        Volume::Bind {
            host,
            path,
            read_only,
        } => Mount {
            typ: Some(MountType::BIND),
            source: Some(host.display().to_string()),
            target: Some(path.clone()),
            read_only: Some(*read_only),
            ..Mount::default()
        },
        // Without a source it goes with its container, and with a label it is
        // found when that has failed.
        Volume::Anonymous { path } => Mount {
            typ: Some(MountType::VOLUME),
            target: Some(path.clone()),
            volume_options: Some(MountVolumeOptions {
                labels: Some(labels.clone()),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        },
        Volume::Tmpfs { path } => Mount {
            typ: Some(MountType::TMPFS),
            target: Some(path.clone()),
            ..Mount::default()
        },
    }
}

/// `80/tcp`, as the engine writes a port.
pub(super) fn port_key(port: &Port) -> String {
    container_port(port).to_string()
}

fn container_port(port: &Port) -> ContainerPort {
    match port.protocol {
        PortProtocol::Tcp => ContainerPort::Tcp(port.number),
        PortProtocol::Udp => ContainerPort::Udp(port.number),
    }
}

fn translate(prepared: &Prepared, error: TestcontainersError) -> CleanroomError {
    let about = about(prepared);
    let refused = |action: &str, error: EngineError| refuse(action, &about, &error);
    match error {
        TestcontainersError::Client(error) => match error {
            ClientError::CreateContainer(error) => refused("create", error),
            ClientError::UploadToContainerError(error) => refused("write files into", error),
            // It pulls only what is not there, and that was settled before.
            ClientError::PullImage { err, .. } => refused("find the image of", err),
            ClientError::StartContainer(error)
            | ClientError::Init(error)
            | ClientError::InspectContainer(error)
            | ClientError::ListContainers(error)
            | ClientError::InspectNetwork(error) => refused("start", error),
            other => unexpected(prepared, other),
        },
        TestcontainersError::WaitContainer(WaitContainerError::StartupTimeout) => {
            refused("start", EngineError::RequestTimeoutError)
        }
        other => unexpected(prepared, other),
    }
}

fn unexpected(
    prepared: &Prepared,
    error: impl std::error::Error + Send + Sync + 'static,
) -> CleanroomError {
    CleanroomError::container_error(format!("cannot start service `{}`", prepared.service))
        .with_context("service", &prepared.service)
        .with_context("image", &prepared.image)
        .with_source(error)
}
