//! What this machine has: the engine that answers, the images and programs that services need.
//!
//! It asks and decides nothing: the answers go into the plan. Each question is
//! asked once, and only where a service needs the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::OnceCell;

use crate::backend::docker::images::{self, PullPolicy, PullProgress};
use crate::backend::docker::{self, DockerBackend};
use crate::backend::process::{ProcessBackend, ProcessConfig};
use crate::cache::Cache;
use crate::config::Config;
use crate::engine::Engine;
use crate::error::Result;
use crate::keeper::Keeper;
use crate::plan::{
    EngineProbe, ImageProbe, Preference, Probe, ServiceDescription, program_key, url_variable,
};
use crate::program::{Finder, Programs};
use crate::provision::{Progress, Provisioner};
use crate::run::{Run, stale_runs};
use crate::service::{ImageRef, Program};

/// What a person sees while a machine is asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MachineEvent {
    /// An image is pulled.
    Pull(PullProgress),
    /// A program is fetched.
    Fetch(Progress),
}

/// Who hears of [`MachineEvent`]s.
pub type Listener<'a> = &'a (dyn Fn(MachineEvent) + Send + Sync);

/// The machine that a run is on.
pub struct Machine {
    config: Config,
    keeper: Keeper,
    process: Arc<ProcessBackend>,
    docker: OnceCell<(EngineProbe, Option<Arc<DockerBackend>>)>,
    finder: Finder,
    env: fn(&str) -> Option<String>,
}

impl Machine {
    /// The machine, of which nothing has been asked yet.
    ///
    /// # Errors
    /// When there is no place for the managed cache.
    pub fn new(config: Config, run: &Run, keeper: Keeper, programs: Programs) -> Result<Self> {
        let cache = Cache::of_this_user()?;
        let user = config.run_as.clone();
        let process = ProcessBackend::new(
            run,
            keeper.clone(),
            ProcessConfig {
                cache: cache.clone(),
                user,
            },
        );
        let paths = config
            .programs
            .clone()
            .into_iter()
            .chain(programs.paths)
            .collect();
        let programs = Programs { paths, ..programs };
        let provisioner = Provisioner::new(cache, config.offline);
        Ok(Self {
            keeper,
            process: Arc::new(process),
            docker: OnceCell::new(),
            finder: Finder::new(programs, provisioner),
            env: |name| std::env::var(name).ok().filter(|value| !value.is_empty()),
            config,
        })
    }

    /// What the run is configured with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Asks what `services` need to know, and gives `engine` the backends that
    /// answer.
    ///
    /// # Errors
    /// When the keeper cannot be told of the engine.
    pub async fn probe(
        &self,
        services: &[&ServiceDescription],
        engine: Option<&Engine>,
        listener: Listener<'_>,
    ) -> Result<Probe> {
        let mut probe = Probe {
            urls: self.urls(services),
            ..Probe::default()
        };
        let ours = services
            .iter()
            .filter(|service| !probe.urls.contains_key(&service.name))
            .copied();
        let ours = ours.collect::<Vec<_>>();
        let wants_images = self.config.backend != Preference::Process
            && ours.iter().any(|it| image_of(it).is_some());
        if wants_images {
            let (answer, backend) = self.docker().await;
            probe.engine = answer.clone();
            if let Some(backend) = backend {
                probe.images = self.images(backend, &ours, listener).await;
                if let Some(engine) = engine {
                    self.keeper.uses_engine(backend.mark()).await?;
                    sweep_stale(backend).await;
                    engine.add_backend(Arc::clone(backend) as _);
                }
            }
        }
        if let Some(engine) = engine {
            engine.add_backend(Arc::clone(&self.process) as _);
        }
        probe.programs = self.programs(&ours, &probe, listener).await;
        Ok(probe)
    }

    /// The engine, asked once.
    pub async fn docker(&self) -> &(EngineProbe, Option<Arc<DockerBackend>>) {
        self.docker
            .get_or_init(|| async {
                let (probe, backend) = docker::probe().await;
                (probe, backend.map(Arc::new))
            })
            .await
    }

    fn urls(&self, services: &[&ServiceDescription]) -> BTreeMap<String, String> {
        let url = |service: &&ServiceDescription| {
            Some((
                service.name.clone(),
                (self.env)(&url_variable(&service.name))?,
            ))
        };
        services.iter().filter_map(url).collect()
    }

    async fn images(
        &self,
        backend: &DockerBackend,
        services: &[&ServiceDescription],
        listener: Listener<'_>,
    ) -> BTreeMap<String, ImageProbe> {
        let replaceable = |service: &&&ServiceDescription| {
            self.config.backend == Preference::Auto
                && service
                    .spec
                    .as_ref()
                    .is_some_and(|spec| spec.process.is_some())
        };
        let (with_another_way, without): (Vec<_>, Vec<_>) = services.iter().partition(replaceable);
        let progress = |progress| listener(MachineEvent::Pull(progress));
        let ask = |services: Vec<&&ServiceDescription>, policy| {
            let images: BTreeSet<ImageRef> = services
                .into_iter()
                .filter_map(|service| image_of(service).cloned())
                .collect();
            let policy = if self.config.offline {
                PullPolicy::Never
            } else {
                policy
            };
            let progress = &progress;
            async move {
                let images = images.into_iter().collect::<Vec<_>>();
                images::probe(backend, &images, &self.config.images, policy, progress).await
            }
        };
        let stall = self.config.timeouts.pull;
        let (mut one, other) = tokio::join!(
            ask(with_another_way, PullPolicy::MissingUnlessSlow { stall }),
            ask(without, PullPolicy::Missing { stall })
        );
        one.extend(other);
        one
    }

    /// Programs are looked for, and may be downloaded, only where containers
    /// do not do.
    async fn programs(
        &self,
        services: &[&ServiceDescription],
        probe: &Probe,
        listener: Listener<'_>,
    ) -> BTreeMap<String, crate::plan::ProgramProbe> {
        let has_image = |service: &ServiceDescription| {
            let image = image_of(service).map(ToString::to_string);
            image.is_some_and(|image| {
                matches!(probe.images.get(&image), Some(ImageProbe::Present { .. }))
            })
        };
        let local = matches!(probe.engine, EngineProbe::Answers { local: true, .. });
        let containers_do = local
            && services
                .iter()
                .all(|it| image_of(it).is_none() || has_image(it));
        let wanted = services
            .iter()
            .filter(|service| !containers_do || image_of(service).is_none());
        let programs: BTreeMap<String, &Program> = wanted
            .filter_map(|service| Some(&service.spec.as_ref()?.process.as_ref()?.program))
            .map(|program| (program_key(program), program))
            .collect();
        let heard = |progress| listener(MachineEvent::Fetch(progress));
        let found = programs.into_iter().map(|(key, program)| {
            let heard = &heard;
            async move { (key, self.finder.find(program, heard).await) }
        });
        join_all(found).await.into_iter().collect()
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Removes what earlier runs left that were killed together with their keeper.
/// What cannot be removed is left to `cargo clnrm clean`, which says why.
async fn sweep_stale(engine: &DockerBackend) {
    let runs = stale_runs().unwrap_or_default().into_iter();
    let ours = runs.filter(|run| run.engine().is_some_and(|mark| mark.is(&engine.mark())));
    let sweeping = ours.map(|run| async move {
        let id = run.id().clone();
        let swept = match engine.sweep_hastily(&id).await {
            Ok(_) => run.remove(),
            Err(error) => Err(error),
        };
        if let Err(error) = swept {
            tracing::warn!(run = %id, error = %error.report(), "cannot remove what an earlier run left");
        }
    });
    join_all(sweeping).await;
}

fn image_of(service: &ServiceDescription) -> Option<&ImageRef> {
    Some(&service.spec.as_ref()?.container.as_ref()?.image)
}
