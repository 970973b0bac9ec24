//! Answers what plugin code asks of the ambient engine, and asks it back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use clnrm_runtime::clock::Deadline;
use clnrm_runtime::engine::Hooks;
use clnrm_runtime::plugin::External;
use clnrm_runtime::protocol::wire::{self, coordinator_message::Message};
use clnrm_runtime::protocol::{AmbientAnswer, AmbientQuestion, check, to_json};
use clnrm_runtime::service::{HealthStatus, RunId, ServiceHandle, ServiceId, Slice, SliceId};
use clnrm_runtime::{CleanroomError, Result};
use tokio::sync::oneshot;

use super::ambient::AmbientStart;
use super::live::LiveHost;

/// The engine's own questions to plugin code that wait for an answer.
#[derive(Default)]
pub(super) struct BackQuestions(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    by_id: BTreeMap<u64, oneshot::Sender<Result<()>>>,
    last: u64,
}

impl fmt::Debug for BackQuestions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackQuestions").finish_non_exhaustive()
    }
}

impl BackQuestions {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> (u64, oneshot::Receiver<Result<()>>) {
        let mut waiting = self.lock();
        waiting.last += 1;
        let id = waiting.last;
        let (send, receive) = oneshot::channel();
        waiting.by_id.insert(id, send);
        (id, receive)
    }

    /// The host has answered.
    pub(super) fn answer(&self, result: &wire::AmbientHookResult) {
        if let Some(waiting) = self.lock().by_id.remove(&result.id) {
            // The engine may have lost interest; then so has this.
            let _ = waiting.send(check(result.error_json.as_deref()));
        }
    }
}

/// Begins to answer `request`, within the call that it is made in.
pub(super) fn begin(host: &Arc<LiveHost>, request: wire::AmbientRequest) {
    let (id, call) = (request.id, request.call);
    let mut table = host.calls.lock();
    let Some(running) = table.running.get_mut(&call) else {
        return;
    };
    // The host has been told: its question has ended by itself.
    if running.is_given_up() {
        return;
    }
    let asked = Asked {
        host: Arc::clone(host),
        id,
        service: running.service.clone(),
        deadline: running.deadline.clone(),
    };
    let task = host.context.spawn(async move {
        let answer = asked.deadline.bound(asked.answer(request));
        let answer = answer.await.unwrap_or_else(|_| {
            Err(CleanroomError::timeout_error(
                "the time of the call ended before the engine answered",
            ))
        });
        settle(&asked.host, call, id, answer);
    });
    running.questions.insert(id, task.abort_handle());
}

/// Notes what was started, and answers; or removes it, when the call is over.
fn settle(host: &Arc<LiveHost>, call: u64, id: u64, answer: Result<AmbientAnswer>) {
    let mut table = host.calls.lock();
    let running = table.running.get_mut(&call);
    match running.filter(|running| !running.is_given_up()) {
        Some(running) => {
            running.questions.remove(&id);
            if let Ok(AmbientAnswer::Handle(handle)) = &answer {
                running.created.push(handle.as_ref().clone());
            }
            drop(table);
            let message = AmbientAnswer::to_wire(id, &answer);
            host.send(Message::AmbientResult(message));
        }
        None => {
            drop(table);
            if let Ok(AmbientAnswer::Handle(handle)) = answer {
                host.context.free(vec![*handle]);
            }
        }
    }
}

/// A question that is being answered.
#[derive(Debug)]
struct Asked {
    host: Arc<LiveHost>,
    id: u64,
    service: Option<ServiceId>,
    deadline: Deadline,
}

impl Asked {
    async fn answer(&self, request: wire::AmbientRequest) -> Result<AmbientAnswer> {
        let question = AmbientQuestion::from_wire(request)?;
        let ambient = self.host.context.ambient()?;
        let hooks = || -> Arc<dyn Hooks> {
            Arc::new(Back {
                host: Arc::clone(&self.host),
                ambient: self.id,
            })
        };
        match question {
            AmbientQuestion::Start {
                name,
                service_type,
                spec,
            } => {
                let service = self.service.clone().ok_or_else(|| {
                    CleanroomError::plan_error("nothing can be started while a binary is described")
                        .with_hint("start services in `start`, not where the plugin is made")
                })?;
                let start = AmbientStart {
                    service,
                    name,
                    service_type,
                    spec: *spec,
                };
                let handle = ambient.start(start, hooks()).await?;
                Ok(AmbientAnswer::Handle(Box::new(handle)))
            }
            AmbientQuestion::Stop(handle) => {
                ambient.stop(&handle).await.map(|()| AmbientAnswer::Done)
            }
            AmbientQuestion::HealthCheck { handle, spec } => ambient
                .health_check(&handle, &spec, hooks())
                .await
                .map(AmbientAnswer::Health),
        }
    }
}

/// The code that asked, as the engine may ask it back: the closures of its own
/// `start`, on the stack of the host's thread.
#[derive(Debug)]
struct Back {
    host: Arc<LiveHost>,
    ambient: u64,
}

impl Back {
    async fn ask(&self, kind: wire::HookKind, handle: &ServiceHandle) -> Result<()> {
        struct Forget<'a>(&'a BackQuestions, u64);
        impl Drop for Forget<'_> {
            fn drop(&mut self) {
                self.0.lock().by_id.remove(&self.1);
            }
        }
        let (id, answer) = self.host.back.open();
        let _forget = Forget(&self.host.back, id);
        self.host.send(Message::Hook(wire::AmbientHook {
            id,
            ambient: self.ambient,
            kind: kind.into(),
            handle_json: to_json(handle)?,
        }));
        tokio::select! {
            answer = answer => answer.unwrap_or_else(|_| Err(self.host.lost())),
            () = self.host.gone.cancelled() => Err(self.host.lost()),
        }
    }

    fn only_ready_and_migrate(&self) -> CleanroomError {
        CleanroomError::internal_error(
            "the engine asked more of a hand-written start than `ready` and `migrate`",
        )
    }
}

#[async_trait]
impl Hooks for Back {
    async fn ready(&self, _: &ServiceId, handle: &ServiceHandle) -> Result<()> {
        self.ask(wire::HookKind::Ready, handle).await
    }

    async fn migrate(&self, _: &ServiceId, handle: &ServiceHandle) -> Result<()> {
        self.ask(wire::HookKind::Migrate, handle).await
    }

    async fn health_check(&self, _: &ServiceId, _: &ServiceHandle) -> Result<HealthStatus> {
        Err(self.only_ready_and_migrate())
    }

    async fn slice(&self, _: &ServiceId, _: &ServiceHandle, _: &SliceId) -> Result<Slice> {
        Err(self.only_ready_and_migrate())
    }

    async fn drop_slice(&self, _: &ServiceId, _: &ServiceHandle, _: &Slice) -> Result<()> {
        Err(self.only_ready_and_migrate())
    }

    async fn sweep(&self, _: &ServiceId, _: &ServiceHandle, _: &[RunId]) -> Result<Vec<String>> {
        Err(self.only_ready_and_migrate())
    }

    async fn external(&self, _: &ServiceId, _: &str) -> Result<External> {
        Err(self.only_ready_and_migrate())
    }

    async fn start(&self, _: &ServiceId) -> Result<ServiceHandle> {
        Err(self.only_ready_and_migrate())
    }

    async fn stop(&self, _: &ServiceId, _: &ServiceHandle) -> Result<()> {
        Err(self.only_ready_and_migrate())
    }
}
