//! How a Redis runs: from an image, and as a process.

use clnrm_runtime::Result;
use clnrm_runtime::provision::pins;
use clnrm_runtime::service::{ContainerSpec, File, NamedProgram, ProcessSpec, Template};

use crate::config::RedisPlugin;

/// Inside a container: a place that every image has.
const CONTAINER_CONF: &str = "/etc/clnrm-redis.conf";

const WELL_KNOWN: [&str; 5] = [
    "/usr/bin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/usr/local/opt/redis*/bin",
    "/opt/homebrew/opt/redis*/bin",
];

impl RedisPlugin {
    pub(crate) fn container(&self) -> Result<ContainerSpec> {
        let mut container = ContainerSpec::new(self.image_ref()?);
        container.command = Some(vec![CONTAINER_CONF.parse()?]);
        // The server there runs as `redis`, and nobody else looks into its container.
        container.files = vec![self.conf_file(CONTAINER_CONF, 0o644)];
        Ok(container)
    }

    pub(crate) fn process(&self) -> Result<ProcessSpec> {
        let mut process = ProcessSpec::new(NamedProgram {
            well_known: WELL_KNOWN.map(str::to_owned).into(),
            version: self.image_ref()?.major().map(|major| major.to_string()),
            require_version: self.require_version,
            provision: Some(pins::redis()),
            ..NamedProgram::new("redis-server")
        });
        process.args =
            Template::list("redis.conf --port {port} --bind {host} --dir {data_dir}".split(' '))?;
        process.files = vec![self.conf_file("redis.conf", 0o600)];
        Ok(process)
    }

    fn conf_file(&self, path: &str, mode: u32) -> File {
        File {
            path: path.to_owned(),
            contents: self.conf(),
            mode,
        }
    }
}
