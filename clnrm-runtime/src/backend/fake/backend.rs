//! The fake as the engine knows it.

use std::collections::BTreeMap;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::time::{sleep_until, timeout};

use super::{Fake, Instance, Step};
use crate::backend::{
    Backend, BackendKind, Capabilities, Capability, CreateRequest, ExecOutput, Inspection, LogLine,
    NetworkId, Started, State, Stats,
};
use crate::error::{CleanroomError, Result};
use crate::label::Label;
use crate::service::{Endpoint, InstanceId, RunId, Stop};

#[async_trait]
impl Backend for Fake {
    fn kind(&self) -> BackendKind {
        BackendKind::Fake
    }

    fn capabilities(&self) -> Capabilities {
        [Capability::Networks, Capability::Pause, Capability::Stats]
            .into_iter()
            .collect()
    }

    async fn create(&self, request: &CreateRequest) -> Result<InstanceId> {
        let Some(instance) = Instance::new(request.clone()) else {
            self.script.play(Step::Create, &request.service).await?;
            return Err(CleanroomError::container_error("there is no such program"));
        };
        let id = {
            let mut inside = self.inside();
            inside.requests.push(request.clone());
            inside.next += 1;
            let id = InstanceId::new(format!("{}-{}", request.service, inside.next));
            inside.instances.insert(id.clone(), instance);
            id
        };
        let played = self.script.play(Step::Create, &request.service).await;
        if let Err(error) = played {
            self.inside().instances.remove(&id);
            return Err(error);
        }
        Ok(id)
    }

    async fn start(&self, id: &InstanceId) -> Result<Started> {
        let service = self.service(id);
        let (port, ends) = {
            let mut inside = self.inside();
            inside.next += 100;
            (20_000 + inside.next, inside.ends.get(&service).copied())
        };
        self.with(id, |instance| instance.start(port, ends))?;
        if let Err(error) = self.script.play(Step::Start, &service).await {
            self.with(id, |instance| instance.become_state(State::Created))?;
            return Err(error);
        }
        self.with(id, |instance| Started {
            endpoints: instance.endpoints.clone(),
            inner: inner(&instance.request),
        })
    }

    async fn stop(&self, id: &InstanceId, stop: Stop) -> Result<()> {
        let service = self.service(id);
        self.grace(id, stop).await;
        self.script.play(Step::Stop, &service).await?;
        // What is gone by now needs no stop.
        let _ = self.with(id, |instance| {
            if matches!(instance.state(), State::Running | State::Paused) {
                instance.become_state(State::Exited { code: 0 });
            }
        });
        Ok(())
    }

    async fn remove(&self, id: &InstanceId) -> Result<()> {
        let service = self.service(id);
        self.script.play(Step::Remove, &service).await?;
        let mut inside = self.inside();
        if !inside.left.contains(&service) {
            inside.instances.remove(id);
        }
        drop(inside);
        self.changed.send_replace(());
        Ok(())
    }

    async fn inspect(&self, id: &InstanceId) -> Result<Inspection> {
        self.script.play(Step::Inspect, &self.service(id)).await?;
        let seen = self.with(id, |instance| {
            (instance.state(), instance.endpoints.clone())
        });
        let (state, endpoints) = seen.unwrap_or((State::Gone, BTreeMap::new()));
        Ok(Inspection {
            state,
            pid: None,
            healthy: None,
            check: None,
            endpoints,
        })
    }

    /// It knows two commands: `say TEXT` and `fail CODE`.
    async fn exec(&self, id: &InstanceId, command: &[String]) -> Result<ExecOutput> {
        self.script.play(Step::Exec, &self.service(id)).await?;
        if self.with(id, Instance::state)? != State::Running {
            return Err(CleanroomError::container_error(format!(
                "instance `{id}` does not run"
            )));
        }
        let words: Vec<_> = command.iter().map(String::as_str).collect();
        let (code, text) = match *words {
            ["say", text] => (0, text),
            ["fail", code] => (code.parse().unwrap_or(1), ""),
            _ => (127, ""),
        };
        Ok(ExecOutput {
            code,
            stdout: text.as_bytes().to_vec(),
            stderr: Vec::new(),
        })
    }

    fn logs(
        &self,
        id: &InstanceId,
        since: Option<SystemTime>,
        follow: bool,
    ) -> BoxStream<'static, Result<LogLine>> {
        let begin = (self.clone(), id.clone(), self.changed.subscribe(), 0);
        let next = move |(fake, id, mut changed, index): (Fake, InstanceId, _, usize)| async move {
            loop {
                let changed: &mut tokio::sync::watch::Receiver<()> = &mut changed;
                changed.mark_unchanged();
                let (line, state, ends) = {
                    let mut inside = fake.inside();
                    let instance = inside.instances.get_mut(&id)?;
                    let line = instance.log.get(index).cloned();
                    (line, instance.state(), instance.ends_at())
                };
                if let Some(line) = line {
                    return Some((line, (fake, id, changed.clone(), index + 1)));
                }
                if !follow || !matches!(state, State::Running | State::Paused) {
                    return None;
                }
                let ends = async {
                    match ends {
                        Some(at) => sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    gone = changed.changed() => gone.ok()?,
                    () = ends => {}
                }
            }
        };
        let late = move |line: &LogLine| since.is_none_or(|since| line.at >= since);
        let lines = stream::unfold(begin, next);
        lines
            .filter_map(move |line| async move { late(&line).then_some(Ok(line)) })
            .boxed()
    }

    async fn copy_in(&self, id: &InstanceId, path: &str, contents: Bytes, _: u32) -> Result<()> {
        self.script.play(Step::CopyIn, &self.service(id)).await?;
        self.with(id, |instance| {
            instance.files.insert(path.to_owned(), contents);
        })
    }

    async fn copy_out(&self, id: &InstanceId, path: &str) -> Result<Bytes> {
        self.script.play(Step::CopyOut, &self.service(id)).await?;
        let file = self.with(id, |instance| instance.files.get(path).cloned())?;
        file.ok_or_else(|| CleanroomError::container_error(format!("there is no file `{path}`")))
    }

    async fn sweep(&self, run: &RunId) -> Result<Vec<String>> {
        self.script.play(Step::Sweep, "").await?;
        let mut inside = self.inside();
        let found = inside.lines(|label| label.run == *run);
        inside
            .instances
            .retain(|_, instance| instance.request.label.run != *run);
        inside.networks.retain(|_, label| label.run != *run);
        drop(inside);
        self.changed.send_replace(());
        Ok(found)
    }

    async fn list(&self, run: &RunId) -> Result<Vec<String>> {
        self.script.play(Step::List, "").await?;
        Ok(self.inside().lines(|label| label.run == *run))
    }

    async fn create_network(&self, name: &str, label: &Label) -> Result<NetworkId> {
        let id = NetworkId(name.to_owned());
        self.inside().networks.insert(id.clone(), label.clone());
        let played = self.script.play(Step::CreateNetwork, &label.service).await;
        if let Err(error) = played {
            self.inside().networks.remove(&id);
            return Err(error);
        }
        Ok(id)
    }

    async fn remove_network(&self, id: &NetworkId) -> Result<()> {
        let service = {
            let inside = self.inside();
            let label = inside.networks.get(id);
            label.map_or_else(String::new, |label| label.service.clone())
        };
        self.script.play(Step::RemoveNetwork, &service).await?;
        let mut inside = self.inside();
        let mut requests = inside.instances.values().map(|it| &it.request);
        if requests.any(|it| it.network.as_ref() == Some(id) || it.joins.contains(id)) {
            return Err(CleanroomError::container_error(format!(
                "network `{}` is in use",
                id.0
            )));
        }
        inside.networks.remove(id);
        Ok(())
    }

    async fn pause(&self, id: &InstanceId) -> Result<()> {
        self.script.play(Step::Pause, &self.service(id)).await?;
        self.freeze(id, &State::Running, State::Paused)
    }

    async fn unpause(&self, id: &InstanceId) -> Result<()> {
        self.script.play(Step::Unpause, &self.service(id)).await?;
        self.freeze(id, &State::Paused, State::Running)
    }

    async fn explain_exit(&self, id: &InstanceId) -> Option<CleanroomError> {
        let service = self.service(id);
        self.inside().reasons.get(&service).cloned()
    }

    async fn stats(&self, id: &InstanceId) -> Result<Stats> {
        self.script.play(Step::Stats, &self.service(id)).await?;
        let memory = self.with(id, |instance| instance.log.len())?;
        Ok(Stats {
            memory: u64::try_from(memory).unwrap_or(u64::MAX),
            ..Stats::default()
        })
    }
}

impl Fake {
    /// Waits until an instance heeds the wish to stop, or is gone.
    async fn grace(&self, id: &InstanceId, stop: Stop) {
        let mut changed = self.changed.subscribe();
        let Ok(heeds) = self.with(id, |instance| instance.heeds(stop)) else {
            return;
        };
        let gone = async {
            while self.inside().instances.contains_key(id) {
                let _ = changed.changed().await;
            }
        };
        // Either end is the end of the grace.
        let _ = timeout(heeds, gone).await;
    }

    fn freeze(&self, id: &InstanceId, from: &State, to: State) -> Result<()> {
        self.with(id, |instance| {
            let state = instance.state();
            if state == *from {
                instance.become_state(to);
                return Ok(());
            }
            let state = format!("{state:?}").to_lowercase();
            let message = format!("instance `{id}` is {state}");
            Err(CleanroomError::container_error(message))
        })?
    }
}

/// As containers of the same network would reach it.
fn inner(request: &CreateRequest) -> BTreeMap<String, Endpoint> {
    let endpoint = |port: u16| Endpoint {
        host: request.service.clone(),
        port,
    };
    let ports = request.spec.ports.iter();
    ports
        .map(|(name, port)| (name.clone(), endpoint(port.number)))
        .collect()
}
