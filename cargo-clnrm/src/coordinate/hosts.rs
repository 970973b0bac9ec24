//! Hosts as children of the keeper.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use async_trait::async_trait;
use clnrm_runtime::Result;
use clnrm_runtime::keeper::{Child, Exit, Keeper, Signal, Spawn, Stdio, Target};

use crate::discover::TestBinary;
use crate::serve::{HostBinary, HostProcess, HostSpawn, Spawner};

/// Starts hosts through the keeper.
#[derive(Debug)]
pub(super) struct KeptHosts(pub(super) Keeper);

#[async_trait]
impl Spawner for KeptHosts {
    async fn spawn(&self, spawn: HostSpawn) -> Result<Arc<dyn HostProcess>> {
        let HostSpawn {
            program,
            args,
            env,
            dir,
            stdout,
            stderr,
        } = spawn;
        let spawn = Spawn {
            program,
            args,
            env,
            workdir: dir,
            user: None,
            isolate: false,
        };
        let child = self
            .0
            .spawn(
                spawn,
                Stdio {
                    stdin: None,
                    stdout,
                    stderr,
                },
            )
            .await?;
        Ok(Arc::new(KeptHost(child)))
    }
}

#[derive(Debug)]
struct KeptHost(Child);

#[async_trait]
impl HostProcess for KeptHost {
    async fn wait(&self) -> String {
        match self.0.wait().await {
            Ok(Exit::Code(code)) => format!("with exit code {code}"),
            Ok(Exit::Signal(signal)) => format!("by signal {signal}"),
            Err(error) => format!("unseen: {}", error.message()),
        }
    }

    async fn kill(&self) -> Result<()> {
        self.0.signal(Signal::Kill, Target::Tree).await?;
        self.0.wait().await.map(|_| ())
    }
}

/// A test binary as a host, by one of its clnrm tests.
pub(super) fn host_binary(binary: &TestBinary, test: &str) -> HostBinary {
    let (path, args) = binary.command([]);
    HostBinary {
        id: binary.id.clone(),
        path,
        args,
        test: test.to_owned(),
        dir: binary.dir.clone(),
        env: environment(binary),
    }
}

/// What cargo would give the tests of a binary: our own environment, and what
/// belongs to its package.
pub(super) fn environment(binary: &TestBinary) -> BTreeMap<OsString, OsString> {
    let mut env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    env.extend(
        binary
            .env
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    env
}
