//! How the service runs from an image.

use clnrm_runtime::Result;
use clnrm_runtime::plugin::Mistakes;
use clnrm_runtime::service::{ContainerSpec, Healthcheck, ImageRef, Limits, Volume};

use crate::config::GenericPlugin;
use crate::spec::templates;
use crate::value;

/// What an engine needs for a container at the least.
const LEAST_MEMORY: u64 = 6 << 20;

impl GenericPlugin {
    pub(crate) fn container(&self, mistakes: &mut Mistakes) -> Option<ContainerSpec> {
        let Some(image) = &self.image else {
            self.refuse_container_settings(mistakes);
            return None;
        };
        let image = mistakes.check(self.image_ref(image));
        let volume = |text: &String| Volume::parse(text, &self.base);
        let mut volumes: Vec<_> = self
            .volumes
            .iter()
            .filter_map(|text| mistakes.check(volume(text)))
            .collect();
        for path in &self.tmpfs {
            check_inside("tmpfs", path, mistakes);
            volumes.push(Volume::Tmpfs { path: path.clone() });
        }
        let workdir = self.workdir.iter();
        workdir.for_each(|path| check_inside("working directory", path, mistakes));
        let command = self
            .command
            .as_ref()
            .map(|texts| templates("command", texts, mistakes));
        if let Some(check) = &self.healthcheck {
            check_health(check, mistakes);
        }
        for name in self.network.iter().chain(&self.aliases) {
            mistakes.check_name(name);
        }
        let limits = self.limits(mistakes);
        let mut container = ContainerSpec::new(image?);
        container.command = command;
        container.entrypoint.clone_from(&self.entrypoint);
        container.volumes = volumes;
        container.healthcheck.clone_from(&self.healthcheck);
        container.network.name.clone_from(&self.network);
        container.network.aliases.clone_from(&self.aliases);
        container.limits = limits;
        container.user.clone_from(&self.user);
        container.workdir.clone_from(&self.workdir);
        Some(container)
    }

    fn refuse_container_settings(&self, mistakes: &mut Mistakes) {
        for (setting, is_there) in [
            ("tag", self.tag.is_some()),
            ("digest", self.digest.is_some()),
            ("volume", !self.volumes.is_empty()),
            ("tmpfs", !self.tmpfs.is_empty()),
            ("command", self.command.is_some()),
            ("entrypoint", self.entrypoint.is_some()),
            ("healthcheck", self.healthcheck.is_some()),
            ("network", self.network.is_some()),
            ("alias", !self.aliases.is_empty()),
            ("memory", self.memory.is_some()),
            ("shm", self.shm.is_some()),
            ("cpus", self.cpus.is_some()),
            ("pids", self.pids.is_some()),
            ("user", self.user.is_some()),
            ("workdir", self.workdir.is_some()),
        ] {
            mistakes.refuse_if(
                is_there,
                format!("`{setting}` is of a container, and there is no image"),
                "leave it out, or start from `plugin(\"image:tag\")`",
            );
        }
    }

    fn limits(&self, mistakes: &mut Mistakes) -> Limits {
        let mut size = |text: &Option<String>| {
            let size = text.as_deref().map(value::size)?;
            mistakes.check(size)
        };
        let (memory, shm) = (size(&self.memory), size(&self.shm));
        mistakes.refuse_if(
            memory.is_some_and(|bytes| bytes < LEAST_MEMORY),
            "the limit of memory is below what a container needs",
            "allow `6m` or more",
        );
        let millis = self.cpus.map(|cpus| (cpus * 1000.0).round());
        mistakes.refuse_if(
            millis.is_some_and(|millis| !(1.0..=1_000_000.0).contains(&millis)),
            "the number of processors is out of range",
            "write `0.5` for half of one",
        );
        mistakes.refuse_if(
            self.pids == Some(0),
            "a container with `0` processes cannot run",
            "leave the limit out, or allow what the service needs",
        );
        Limits {
            memory,
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked above"
            )]
            cpu_millis: millis.map(|millis| millis as u64),
            pids: self.pids,
            shm,
        }
    }

    fn image_ref(&self, image: &str) -> Result<ImageRef> {
        let Some(digest) = &self.digest else {
            return ImageRef::at_tag(image, self.tag.as_deref());
        };
        let tag = self
            .tag
            .as_ref()
            .map_or(String::new(), |tag| format!(":{tag}"));
        format!("{image}{tag}@{digest}").parse()
    }
}

fn check_health(check: &Healthcheck, mistakes: &mut Mistakes) {
    mistakes.refuse_if(
        check.command.first().is_none_or(String::is_empty),
        "the health check has no command",
        "name a program of the image and its arguments",
    );
    mistakes.refuse_if(
        check.interval.is_zero() || check.timeout.is_zero() || check.retries == 0,
        "the health check has an interval, a timeout or a count of zero",
        "leave half a second between two checks, a second for one, and three failures",
    );
}

fn check_inside(what: &str, path: &str, mistakes: &mut Mistakes) {
    mistakes.refuse_if(
        !path.starts_with('/'),
        format!("the {what} `{path}` is not absolute"),
        "write the path inside the container, from `/` on",
    );
}
