//! Redis as a plugin.

use std::sync::Arc;

use clnrm_runtime::backend::BackendKind;
use clnrm_runtime::plugin::{External, Location, PluginRegistration, from_config};
use clnrm_runtime::service::{
    Isolation, Login, Port, Secret, Slice, SliceId, Spec, Template, Wait,
};
use clnrm_runtime::{CleanroomError, Result, ServiceHandle, ServicePlugin};
use redis::{ConnectionAddr, IntoConnectionInfo as _, cmd};

use crate::account;
use crate::config::RedisPlugin;
use crate::connection::{connect, refused, takes_any_password};

/// The type of service.
const TYPE: &str = "redis";

impl ServicePlugin for RedisPlugin {
    fn name(&self) -> &str {
        &self.name
    }

    fn service_type(&self) -> &str {
        TYPE
    }

    fn spec(&self) -> Result<Option<Spec>> {
        self.check()?;
        Ok(Some(Spec {
            container: Some(self.container()?),
            process: Some(self.process()?),
            ports: Port::main(6379),
            env: Template::literals(&self.env),
            vars: self.login().vars(),
            exports: Login::exports("redis")?,
            wait: Wait::Plugin,
            ..Spec::default()
        }))
    }

    fn ready(&self, handle: &ServiceHandle) -> Result<()> {
        let mut connection = connect(handle)?;
        let ping = cmd("PING").query::<()>(&mut connection);
        ping.map_err(|error| refused("PING", error))?;
        let is_ours = handle.backend() != BackendKind::External && handle.slice().is_none();
        if is_ours && takes_any_password(&mut connection)? {
            let message = "the Redis that answers takes any password: it is not ours";
            return Err(CleanroomError::service_error(message));
        }
        Ok(())
    }

    fn isolation(&self, backend: BackendKind) -> Isolation {
        match backend {
            BackendKind::Process => Isolation::Instance,
            _ => Isolation::Slice,
        }
    }

    fn slice(&self, handle: &ServiceHandle, id: &SliceId) -> Result<Slice> {
        let login = account::open(&mut connect(handle)?, id)?;
        Ok(Slice::new(id.clone(), login.vars()))
    }

    fn drop_slice(&self, handle: &ServiceHandle, slice: &Slice) -> Result<()> {
        let database = slice.vars.get("database").map(|var| var.value.as_str());
        let mut connection = connect(handle)?;
        account::close(&mut connection, &slice.id.name, database.unwrap_or("0"))
    }

    fn sweep(
        &self,
        handle: &ServiceHandle,
        is_stale: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<String>> {
        let mut connection = connect(handle)?;
        let mut swept = Vec::new();
        for (database, name) in account::list(&mut connection)? {
            if is_stale(&name) {
                account::close(&mut connection, &name, &database)?;
                swept.push(name);
            }
        }
        Ok(swept)
    }

    fn external(&self, url: &str) -> Result<External> {
        // The URL itself is left out: a password may stand in it.
        let wrong = |why: &str| {
            CleanroomError::validation_error(format!("bad Redis URL: {why}"))
                .with_hint("write `redis://user:password@host:6379/0`")
        };
        let info = url.into_connection_info();
        let info = info.map_err(|error| wrong("it does not parse").with_source(error))?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            let why = "it names no host and port that can be reached without TLS";
            return Err(wrong(why));
        };
        let settings = info.redis_settings();
        let login = Login {
            user: settings.username().unwrap_or("default").to_owned(),
            password: settings.password().map(Secret::from),
            database: settings.db().to_string(),
        };
        Ok(External::new(host, *port, login.vars()))
    }
}

inventory::submit! {
    PluginRegistration {
        service_type: TYPE,
        version: "0.1.0",
        description: "Redis: a server of its own for each test, or a numbered database of a shared one.",
        location: Location { file: file!(), line: line!() },
        construct: |config| Ok(Arc::new(from_config::<RedisPlugin>(TYPE, config)?)),
    }
}
