//! A container as it will be made: everything rendered, nothing made yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use crate::backend::{CreateRequest, NetworkId, Source, Surroundings};
use crate::error::{CleanroomError, Result};
use crate::label::Label;
use crate::service::{
    ContainerSpec, Healthcheck, ImageRef, InstanceId, Limits, Port, PortProtocol, Template, Volume,
};

/// The label with the instance's id, also on its anonymous volumes.
pub(super) const INSTANCE: &str = "clnrm.instance";

/// The label with the ports by name, so that anybody can read them off a container.
pub(super) const PORTS: &str = "clnrm.ports";

/// The label with the name that others in the container's network call it by.
pub(super) const ALIAS: &str = "clnrm.alias";

/// What `{host}` means inside a container.
const EVERYWHERE: &str = "0.0.0.0";

/// A container that is about to be made.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// The container's name, by which the engine knows it before it is made.
    pub(super) id: InstanceId,
    pub(super) service: String,
    pub(super) label: Label,
    pub(super) image: ImageRef,
    pub(super) command: Option<Vec<String>>,
    pub(super) entrypoint: Option<Vec<String>>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) mounts: Vec<Volume>,
    pub(super) files: Vec<Contents>,
    pub(super) healthcheck: Option<Healthcheck>,
    pub(super) network: Option<NetworkId>,
    /// Joined without a name, besides `network`.
    pub(super) joins: Vec<NetworkId>,
    /// The service's name and those that the spec gives it.
    pub(super) aliases: BTreeSet<String>,
    pub(super) limits: Limits,
    pub(super) user: Option<String>,
    pub(super) workdir: Option<String>,
    pub(super) ports: BTreeMap<String, Port>,
}

/// A file that is written into the container before it starts.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    pub(super) path: String,
    pub(super) bytes: Bytes,
    pub(super) mode: u32,
}

impl Prepared {
    /// Renders `request` for an image that declares `image_volumes`.
    ///
    /// # Errors
    /// When the request is not for a container, or a template names what is not there.
    pub(super) fn new(request: &CreateRequest, image_volumes: &[String]) -> Result<Self> {
        let container = request.spec.container.as_ref();
        let (Some(container), Source::Image(image)) = (container, &request.source) else {
            return Err(CleanroomError::internal_error(format!(
                "service `{}` has no image, and was planned for a container",
                request.service
            )));
        };
        let inner_ports = request.spec.ports.iter();
        let around = Surroundings {
            host: EVERYWHERE.to_owned(),
            ports: inner_ports
                .map(|(name, port)| (name.clone(), port.number))
                .collect(),
            data_dir: container.data_dir.clone(),
            seed_dir: String::new(),
        };
        let render = |what: &str, template: &Template| {
            let text = template.render(|hole| request.lookup(hole, &around));
            text.map_err(|error| {
                CleanroomError::validation_error(format!("cannot render {what}"))
                    .with_context("service", &request.service)
                    .with_source(error)
            })
        };
        let env = request.spec.env.iter().chain(&container.env);
        let env = env.map(|(name, value)| {
            let text = render(&format!("variable `{name}`"), value)?;
            Ok((name.clone(), text))
        });
        let command = container.command.as_ref().map(|words| {
            let words = words.iter().map(|word| render("the command", word));
            words.collect::<Result<Vec<_>>>()
        });
        let aliases = container.network.aliases.iter().cloned();
        let files = container.files.iter().map(|file| Contents {
            path: file.path.clone(),
            bytes: Bytes::from(file.contents.clone()),
            mode: file.mode,
        });
        Ok(Self {
            id: id_of(&request.service, &request.label),
            service: request.service.clone(),
            label: request.label.clone(),
            image: image.clone(),
            command: command.transpose()?,
            entrypoint: container.entrypoint.clone(),
            env: env.collect::<Result<_>>()?,
            mounts: mounts(request, container, image_volumes),
            files: files.collect(),
            healthcheck: container.healthcheck.clone(),
            network: request.network.clone(),
            joins: request.joins.clone(),
            aliases: aliases.chain([request.service.clone()]).collect(),
            limits: container.limits,
            user: container.user.clone(),
            workdir: container.workdir.clone(),
            ports: request.spec.ports.clone(),
        })
    }

    /// Publishes ports that an image exposes, written as `80/tcp`, by their
    /// numbers. Those that have a name keep it.
    pub(super) fn publish(&mut self, exposed: &[String]) {
        // Of TCP and UDP by one number the first has its name.
        let exposed: BTreeSet<&String> = exposed.iter().collect();
        let ports = exposed.into_iter().filter_map(|text| {
            let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            let protocol = match protocol {
                "tcp" => PortProtocol::Tcp,
                "udp" => PortProtocol::Udp,
                _ => return None,
            };
            let number = number.parse().ok()?;
            Some(Port {
                protocol,
                ..Port::tcp(number)
            })
        });
        for port in ports {
            let is_it = |it: &&Port| (it.number, it.protocol) == (port.number, port.protocol);
            if self.ports.values().find(is_it).is_none() {
                let name = port.number.to_string();
                self.ports.entry(name).or_insert(port);
            }
        }
    }

    /// Looks for what is mounted from the host, where the host is this one.
    ///
    /// # Errors
    /// For the first path that is not there.
    pub(super) fn mounted_paths_exist(&self) -> Result<()> {
        let missing = self.mounts.iter().find_map(|mount| match mount {
            Volume::Bind { host, .. } if !host.exists() => Some(host),
            _ => None,
        });
        let Some(path) = missing else {
            return Ok(());
        };
        Err(CleanroomError::validation_error(format!(
            "cannot create service `{}`: mounted path `{}` does not exist on the host",
            self.service,
            path.display()
        ))
        .with_context("service", &self.service)
        .with_context("image", &self.image)
        .with_hint("make it first; a relative path means the declaring crate's directory"))
    }

    /// What the container and its volumes carry.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.label.to_map();
        labels.insert(INSTANCE.to_owned(), self.id.to_string());
        labels.insert(PORTS.to_owned(), encode(&self.ports));
        if self.network.is_some() {
            labels.insert(ALIAS.to_owned(), self.service.clone());
        }
        labels
    }

    /// The program and its arguments as two lists of which the first has one
    /// word at most: an entry point of several words is the same command line.
    pub(super) fn command_line(&self) -> (Option<String>, Vec<String>) {
        let command = self.command.clone().unwrap_or_default();
        match self.entrypoint.as_deref() {
            Some([program, rest @ ..]) => {
                let words = rest.iter().cloned().chain(command);
                (Some(program.clone()), words.collect())
            }
            Some([]) | None => (None, command),
        }
    }

    /// Whether testcontainers can make it: it knows one network, and no name in
    /// it but that of the host.
    pub(super) fn fits_testcontainers(&self) -> bool {
        let more_names = self.network.is_some() && self.aliases.len() > 1;
        !more_names && self.joins.is_empty()
    }
}

/// `clnrm-<run>-<service>-<attempt>`: what `docker ps` shows, and unique on the
/// engine, as attempts are in a run.
fn id_of(service: &str, label: &Label) -> InstanceId {
    InstanceId::new(plain(&format!(
        "clnrm-{}-{service}-{}",
        label.run, label.attempt
    )))
}

/// Replaces what the names of containers and networks cannot have.
pub(super) fn plain(text: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.chars()
        .map(|c| if keep(c) { c } else { '-' })
        .collect()
}

/// The declared mounts, the data directory where a template names it, and the
/// volumes that the image declares: those would come without our labels.
fn mounts(request: &CreateRequest, container: &ContainerSpec, of_image: &[String]) -> Vec<Volume> {
    let mut mounts = container.volumes.clone();
    let templates = request.spec.env.values().chain(container.env.values());
    let mut templates = templates.chain(container.command.iter().flatten());
    let names_data = templates.any(|template| template.holes().any(|hole| hole == "data_dir"));
    let data_dir = names_data.then_some(&container.data_dir);
    for path in data_dir.into_iter().chain(of_image) {
        let path = path.trim_end_matches('/');
        if !path.is_empty() && !mounts.iter().any(|mount| path_of(mount) == path) {
            mounts.push(Volume::Anonymous {
                path: path.to_owned(),
            });
        }
    }
    mounts
}

fn path_of(mount: &Volume) -> &str {
    let (Volume::Bind { path, .. } | Volume::Anonymous { path } | Volume::Tmpfs { path }) = mount;
    path.trim_end_matches('/')
}

fn encode(ports: &BTreeMap<String, Port>) -> String {
    // A map of plain data always has a JSON form.
    serde_json::to_string(ports).unwrap_or_default()
}

/// The ports by name out of a container's labels. One that clnrm did not make has none.
pub(super) fn decode_ports(labels: &BTreeMap<String, String>) -> BTreeMap<String, Port> {
    let text = labels.get(PORTS).map(String::as_str).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

/// Nanoseconds, as the engine counts time.
pub(super) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
