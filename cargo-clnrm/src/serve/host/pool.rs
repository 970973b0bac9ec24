//! One host for each test binary whose plugins are asked something.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use clnrm_runtime::clock::{Clock, Deadline};
use clnrm_runtime::engine::step_deadline;
use clnrm_runtime::plan::ServiceDescription;
use clnrm_runtime::protocol::{HookReply, HookRequest};
use clnrm_runtime::service::{ServiceHandle, ServiceId};
use clnrm_runtime::{CleanroomError, Result};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ambient::Ambient;
use super::live::{LiveHost, Lost};
use super::spawn::{HostBinary, Limits, Spawner};
use super::start::start;
use crate::serve::Reception;

/// The hosts of a run: started when they are first needed, one for each
/// binary, again when they are lost. Clones are the same pool.
///
/// A call whose host is lost is made once more, unless it may have done a part
/// of what cannot be done twice.
#[derive(Debug, Clone)]
pub struct HostPool(Context);

/// What every host of a pool needs.
#[derive(Debug, Clone)]
pub(super) struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    reception: Reception,
    spawner: Arc<dyn Spawner>,
    limits: Limits,
    clock: Clock,
    ambient: OnceLock<Arc<dyn Ambient>>,
    /// Whether a host was of another version.
    skewed: AtomicBool,
    binaries: Mutex<Binaries>,
    tasks: TaskTracker,
    /// Cancelled when the pool is dismissed.
    closing: CancellationToken,
    runtime: Handle,
}

#[derive(Debug, Default)]
struct Binaries {
    slots: BTreeMap<String, Slot>,
    /// A plugin of a crate that several binaries link is in each of them.
    of_service: BTreeMap<ServiceId, Vec<String>>,
}

#[derive(Debug)]
struct Slot {
    binary: HostBinary,
    host: Option<Starting>,
}

/// A host that has been started, or is being; whoever needs it waits together.
type Starting = Shared<BoxFuture<'static, Result<Arc<LiveHost>>>>;

impl HostPool {
    /// A pool whose hosts dial in at `reception`. What a call may take is
    /// measured on `clock`.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn new(
        reception: Reception,
        spawner: Arc<dyn Spawner>,
        limits: Limits,
        clock: Clock,
    ) -> Self {
        Self(Context(Arc::new(Inner {
            reception,
            spawner,
            limits,
            clock,
            ambient: OnceLock::new(),
            skewed: AtomicBool::new(false),
            binaries: Mutex::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            runtime: Handle::current(),
        })))
    }

    /// Says which engine starts what plugin code starts by hand. Once: the
    /// engine needs the pool, so that the pool comes first.
    pub fn with_ambient(&self, ambient: Arc<dyn Ambient>) {
        // A second engine in one run would be a bug that changes nothing here.
        let _ = self.0.0.ambient.set(ambient);
    }

    /// Asks a binary what its services are. From then on their plugins are
    /// asked in its host.
    ///
    /// # Errors
    /// When no host of it can be had, or its declarations contradict each other.
    pub async fn describe(&self, binary: &HostBinary) -> Result<Vec<ServiceDescription>> {
        self.assign(binary, []);
        let reply = self.call_binary(&binary.id, None, &HookRequest::Describe);
        match reply.await? {
            HookReply::Descriptions(all) => {
                self.assign(binary, all.iter().map(|service| service.id.clone()));
                Ok(all)
            }
            other => Err(another_question(&other)),
        }
    }

    /// Says that the plugins of `services` are in `binary`, where that is
    /// known from an earlier describe.
    pub fn assign(&self, binary: &HostBinary, services: impl IntoIterator<Item = ServiceId>) {
        let mut binaries = self.0.binaries();
        binaries
            .slots
            .entry(binary.id.clone())
            .or_insert_with(|| Slot {
                binary: binary.clone(),
                host: None,
            });
        for service in services {
            let of_service = binaries.of_service.entry(service).or_default();
            if !of_service.contains(&binary.id) {
                of_service.push(binary.id.clone());
            }
        }
    }

    /// Whether a host has dialled in with another version, whatever became of
    /// the error that whoever needed it got.
    #[must_use]
    pub fn skewed(&self) -> bool {
        self.0.0.skewed.load(Ordering::Relaxed)
    }

    /// Ends every host, and waits for what calls have left to remove. No call
    /// is made afterwards.
    pub async fn dismiss(&self) {
        let slots = {
            let mut binaries = self.0.binaries();
            // Under the lock: no host is started after this.
            self.0.closing().cancel();
            std::mem::take(&mut binaries.slots)
        };
        let hosts = slots.into_values().filter_map(|slot| slot.host);
        let dismissals = hosts.map(|starting| async {
            if let Ok(host) = starting.await {
                host.dismiss().await;
            }
        });
        futures_util::future::join_all(dismissals).await;
        self.0.0.tasks.close();
        self.0.0.tasks.wait().await;
    }

    /// Asks the plugin of `service`.
    pub(super) async fn call(
        &self,
        service: &ServiceId,
        request: &HookRequest,
    ) -> Result<HookReply> {
        let binary = self.0.binaries().of(service).ok_or_else(|| {
            CleanroomError::plan_error(format!("no test binary has the plugin of `{service}`"))
        })?;
        self.call_binary(&binary, Some(service), request).await
    }

    async fn call_binary(
        &self,
        binary: &str,
        service: Option<&ServiceId>,
        request: &HookRequest,
    ) -> Result<HookReply> {
        let lost = |host: &LiveHost, when: &str| {
            let error = host.lost().with_context(when, request.method());
            match service {
                Some(service) => error.with_context("plugin of", service),
                None => error,
            }
        };
        let first = self.host(binary)?.await?;
        match first.call(service, request, self.0.deadline()).await {
            Ok(result) => return result,
            Err(Lost::Unanswered) if !may_be_repeated(request) => {
                return Err(lost(&first, "during"));
            }
            Err(Lost::Unasked | Lost::Unanswered) => {}
        }
        let why = first.lost();
        tracing::warn!(error = %why.message(), "a host is lost, its call is made again");
        let second = self.host(binary)?.await?;
        match second.call(service, request, self.0.deadline()).await {
            Ok(result) => {
                result.map_err(|error| error.with_context("at the first try", why.message()))
            }
            Err(_) => Err(lost(&second, "twice during")),
        }
    }

    /// The host of a binary: the one there is, or a new one.
    fn host(&self, id: &str) -> Result<Starting> {
        let mut binaries = self.0.binaries();
        if self.0.closing().is_cancelled() {
            return Err(CleanroomError::internal_error(format!(
                "the hosts are dismissed, but `{id}` was asked for"
            )));
        }
        let slot = binaries.slots.get_mut(id).ok_or_else(|| {
            CleanroomError::internal_error(format!("test binary `{id}` is unknown to the hosts"))
        })?;
        if let Some(starting) = slot.host.as_ref().filter(|starting| is_of_use(starting)) {
            return Ok(starting.clone());
        }
        let task = self.0.spawn(start(self.0.clone(), slot.binary.clone()));
        let starting = async {
            task.await.unwrap_or_else(|error| {
                Err(
                    CleanroomError::internal_error("the start of a host got lost")
                        .with_source(error),
                )
            })
        };
        let starting = starting.boxed().shared();
        slot.host = Some(starting.clone());
        Ok(starting)
    }
}

/// Whether a call may be made whose like was made before, to an unknown end. A
/// second `slice` or `migrate` would fail because of the first, and hide why
/// that one was lost; what a first `start` left running nobody would stop.
fn may_be_repeated(request: &HookRequest) -> bool {
    !matches!(
        request,
        HookRequest::Slice(..) | HookRequest::Migrate(_) | HookRequest::Start
    )
}

/// Whether a host still starts, or lives. A failed start is not kept: another
/// call may be luckier.
fn is_of_use(starting: &Starting) -> bool {
    match starting.peek() {
        None => true,
        Some(Ok(host)) => !host.gone.is_cancelled(),
        Some(Err(_)) => false,
    }
}

impl Binaries {
    /// A binary that has the plugin of `service`: one with a host, if any has.
    fn of(&self, service: &ServiceId) -> Option<String> {
        let all = self.of_service.get(service)?;
        let has_host = |id: &&String| {
            let host = self.slots.get(*id).and_then(|slot| slot.host.as_ref());
            host.is_some_and(is_of_use)
        };
        all.iter().find(has_host).or_else(|| all.first()).cloned()
    }
}

impl Context {
    pub(super) fn reception(&self) -> &Reception {
        &self.0.reception
    }

    pub(super) fn spawner(&self) -> &dyn Spawner {
        self.0.spawner.as_ref()
    }

    pub(super) fn limits(&self) -> Limits {
        self.0.limits
    }

    pub(super) fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The deadline of a call that begins now: that of the engine's step, or
    /// one of its own.
    pub(super) fn deadline(&self) -> Deadline {
        step_deadline().unwrap_or_else(|| self.0.clock.deadline(self.0.limits.call))
    }

    /// A host was of another version.
    pub(super) fn note_skew(&self) {
        self.0.skewed.store(true, Ordering::Relaxed);
    }

    pub(super) fn ambient(&self) -> Result<&Arc<dyn Ambient>> {
        self.0.ambient.get().ok_or_else(|| {
            CleanroomError::internal_error("plugin code started something before the engine was up")
        })
    }

    /// Runs a task that [`HostPool::dismiss`] waits for.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.0.tasks.spawn_on(task, &self.0.runtime)
    }

    /// Removes what calls started and nobody owns.
    pub(super) fn free(&self, created: Vec<ServiceHandle>) {
        if created.is_empty() {
            return;
        }
        let context = self.clone();
        self.spawn(async move {
            let Ok(ambient) = context.ambient() else {
                return;
            };
            for handle in created {
                let stopped = tokio::time::timeout(context.limits().call, ambient.stop(&handle));
                // What is left now is found by its label when the run ends.
                if !matches!(stopped.await, Ok(Ok(()))) {
                    tracing::warn!(service = handle.name(), "cannot remove what a call started");
                }
            }
        });
    }

    fn binaries(&self) -> MutexGuard<'_, Binaries> {
        self.0
            .binaries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of a host that answers what it was not asked.
pub(super) fn another_question(reply: &HookReply) -> CleanroomError {
    let kind = match reply {
        HookReply::Done => "done",
        HookReply::Descriptions(_) => "descriptions",
        HookReply::Health(_) => "a health status",
        HookReply::Slice(_) => "a slice",
        HookReply::Names(_) => "names",
        HookReply::External(_) => "an external service",
        HookReply::Handle(_) => "a handle",
    };
    CleanroomError::protocol_error(format!("a host answered with {kind}, asked something else"))
}
