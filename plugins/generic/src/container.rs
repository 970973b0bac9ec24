//! How the service runs from an image.

use clnrm_runtime::Result;
use clnrm_runtime::plugin::Mistakes;
use clnrm_runtime::service::{ContainerSpec, ImageRef, Limits, Network, Volume, bytes};

use crate::config::GenericPlugin;

impl GenericPlugin {
    pub(crate) fn container(&self, mistakes: &mut Mistakes) -> Option<ContainerSpec> {
        let Some(image) = &self.image else {
            self.refuse_container_settings(mistakes);
            return None;
        };
        // What has a mistake is never run: with any image the rest can be checked.
        let image = mistakes.check(self.image_ref(image));
        let image = image.or_else(|| "any:1".parse().ok())?;
        let volume = |text: &String| mistakes.check(Volume::parse(text, &self.base));
        let mut volumes: Vec<_> = self.volumes.iter().filter_map(volume).collect();
        let tmpfs = self.tmpfs.iter().cloned();
        volumes.extend(tmpfs.map(|path| Volume::Tmpfs { path }));
        let command = self.command.as_ref();
        let command = command.map(|texts| mistakes.check_templates("command", texts));
        let limits = self.limits(mistakes);
        Some(ContainerSpec {
            command,
            entrypoint: self.entrypoint.clone(),
            volumes,
            healthcheck: self.healthcheck.clone(),
            network: Network {
                name: self.network.clone(),
                aliases: self.aliases.clone(),
            },
            limits,
            user: self.user.clone(),
            workdir: self.workdir.clone(),
            ..ContainerSpec::new(image)
        })
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
        let mut size = |text: &Option<String>| mistakes.check(bytes(text.as_deref()?));
        let (memory, shm) = (size(&self.memory), size(&self.shm));
        let millis = self.cpus.map(|cpus| (cpus * 1000.0).round());
        mistakes.refuse_if(
            millis.is_some_and(|millis| !(1.0..=1_000_000.0).contains(&millis)),
            "the number of processors is out of range",
            "write `0.5` for half of one",
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
