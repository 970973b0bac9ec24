//! How a PostgreSQL runs: from an image, and as a process.

use clnrm_runtime::Result;
use clnrm_runtime::provision::pins;
use clnrm_runtime::service::{ContainerSpec, File, NamedProgram, ProcessSpec, Seed, Template};
use postgres_protocol::password;

use crate::config::{MAINTENANCE, PostgresPlugin};

/// Text sorts and folds the same on every backend, and needs no installed locale.
const LOCALE: &str = match cfg!(target_os = "macos") {
    true => "--locale=C",
    false => "--locale=C.UTF-8",
};

const WELL_KNOWN: [&str; 5] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
];

impl PostgresPlugin {
    pub(crate) fn container(&self) -> Result<ContainerSpec> {
        let mut container = ContainerSpec::new(self.image_ref()?);
        container.env = Template::map([
            ("POSTGRES_USER", "{username}"),
            ("POSTGRES_PASSWORD", "{password}"),
            // Its own database is cloned from the template, once that is there.
            ("POSTGRES_DB", MAINTENANCE),
            ("POSTGRES_HOST_AUTH_METHOD", "password"),
            // Nothing of it outlives the container.
            (
                "POSTGRES_INITDB_ARGS",
                "--encoding=UTF8 --locale=C.UTF-8 --no-sync",
            ),
        ])?;
        let mut command = Template::list(["postgres"])?;
        command.extend(self.setting_arguments());
        container.command = Some(command);
        // A parallel query takes more than the 64 MiB of a container by default.
        container.limits.shm = Some(256 << 20);
        Ok(container)
    }

    pub(crate) fn process(&self) -> Result<ProcessSpec> {
        let mut process = ProcessSpec::new(NamedProgram {
            well_known: WELL_KNOWN.map(str::to_owned).into(),
            version: self.image_ref()?.major().map(|major| major.to_string()),
            require_version: self.require_version,
            provision: Some(pins::postgres()),
            ..NamedProgram::new("postgres")
        });
        process.seed = Some(self.seed()?);
        // Paths of sockets are limited to a hundred bytes, and nobody needs them.
        // Shared memory lies in files below its own directory: nothing stays in /dev/shm.
        process.args = Template::list(
            "-D {data_dir} -h {host} -p {port} -c unix_socket_directories= -c dynamic_shared_memory_type=mmap"
                .split(' '),
        )?;
        process.args.extend(self.setting_arguments());
        process.refuses_root = true;
        Ok(process)
    }

    /// The data directory, equal for all instances with these credentials.
    fn seed(&self) -> Result<Seed> {
        let arguments = [
            "--pgdata={seed_dir}",
            "--username={username}",
            "--pwfile=password",
            "--auth=password",
            "--encoding=UTF8",
            LOCALE,
            "--no-sync",
        ];
        let mut seed = Seed::new("initdb", Template::list(arguments)?);
        seed.files = vec![File {
            path: "password".to_owned(),
            contents: self.verifier(),
            mode: 0o600,
        }];
        Ok(seed)
    }

    /// What the server keeps instead of the password, in the form that is
    /// cheapest to check. Against the default one a server hashes 4096 times for
    /// each connection; nothing here is worth that protection.
    pub(crate) fn verifier(&self) -> String {
        password::md5(self.password.expose().as_bytes(), &self.user)
    }

    fn setting_arguments(&self) -> impl Iterator<Item = Template> {
        let settings = self.settings().into_iter();
        let settings = settings.map(|(key, value)| format!("{key}={value}"));
        let arguments = settings.flat_map(|setting| ["-c".to_owned(), setting]);
        let arguments: Vec<_> = arguments.collect();
        arguments.into_iter().map(|text| Template::literal(&text))
    }
}
