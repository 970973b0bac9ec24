//! What plugin code asks of the ambient engine, sent to the coordinator.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::serve::Host;
use crate::engine::ambient::Hook;
use crate::engine::broker::Broker;
use crate::error::{CleanroomError, Result};
use crate::plugin::guard;
use crate::protocol::wire::{self, host_message::Message};
use crate::protocol::{AmbientAnswer, AmbientQuestion, error_to_json, from_json};
use crate::service::{HealthStatus, ServiceHandle, Spec};

/// What comes back to a thread that asked.
pub(super) enum Event {
    /// The engine asks the plugin back before it can answer.
    Hook(wire::AmbientHook),
    /// The answer.
    Answer(Box<Result<AmbientAnswer>>),
}

/// The questions that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<Open>);

#[derive(Default)]
struct Open {
    /// Every call that is being run, and whether it has been cancelled.
    calls: BTreeMap<u64, bool>,
    /// By their ids: the call, and the thread that waits.
    waiting: BTreeMap<u64, (u64, mpsc::Sender<Event>)>,
    last: u64,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.calls).finish()
    }
}

impl Questions {
    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins.
    pub(super) fn begin(&self, call: u64) {
        self.open().calls.insert(call, false);
    }

    /// A call is over, as far as this process goes.
    pub(super) fn end(&self, call: u64) {
        self.open().calls.remove(&call);
    }

    /// Nobody waits for the call any more: what it waits for is in vain, too.
    pub(super) fn cancel(&self, call: u64) {
        let mut open = self.open();
        if let Some(cancelled) = open.calls.get_mut(&call) {
            *cancelled = true;
        }
        open.waiting.retain(|_, (of, _)| *of != call);
    }

    /// Passes an event to the thread that waits for it, if one still does.
    pub(super) fn deliver(&self, question: u64, event: Event) {
        if let Some((_, thread)) = self.open().waiting.get(&question) {
            // A thread that went away a moment ago has no use for it.
            let _ = thread.send(event);
        }
    }

    fn ask(&self, call: u64) -> Result<(u64, mpsc::Receiver<Event>)> {
        let mut open = self.open();
        match open.calls.get(&call) {
            Some(false) => {
                open.last += 1;
                let id = open.last;
                let (send, receive) = mpsc::channel();
                open.waiting.insert(id, (call, send));
                Ok((id, receive))
            }
            Some(true) | None => Err(cancelled()),
        }
    }

    fn forget(&self, question: u64) {
        self.open().waiting.remove(&question);
    }
}

/// The ambient engine of one call.
#[derive(Debug)]
pub(super) struct CallBroker {
    host: Arc<Host>,
    call: u64,
    deadline: Instant,
}

impl CallBroker {
    pub(super) fn new(host: Arc<Host>, call: u64, deadline: Instant) -> Self {
        Self {
            host,
            call,
            deadline,
        }
    }

    /// Asks, and runs what the engine asks back on this very thread: the
    /// plugin's own code, which lives on its stack.
    fn ask(
        &self,
        question: &AmbientQuestion,
        ready: Hook<'_>,
        migrate: Hook<'_>,
    ) -> Result<AmbientAnswer> {
        let (id, events) = self.host.questions.ask(self.call)?;
        let result = self.exchange(id, &events, question, ready, migrate);
        self.host.questions.forget(id);
        result
    }

    fn exchange(
        &self,
        id: u64,
        events: &mpsc::Receiver<Event>,
        question: &AmbientQuestion,
        ready: Hook<'_>,
        migrate: Hook<'_>,
    ) -> Result<AmbientAnswer> {
        let message = question.to_wire(id, self.call)?;
        self.host.send(Message::Ambient(message));
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match events.recv_timeout(left) {
                Ok(Event::Answer(answer)) => return *answer,
                Ok(Event::Hook(hook)) => {
                    let result = run_hook(&hook, ready, migrate);
                    self.host.send(Message::HookResult(wire::AmbientHookResult {
                        id: hook.id,
                        error_json: result.err().map(|error| error_to_json(&error)),
                    }));
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(CleanroomError::timeout_error(
                        "the time of the call ended before the engine answered",
                    ));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(cancelled()),
            }
        }
    }
}

impl Broker for CallBroker {
    fn start(
        &self,
        name: &str,
        service_type: &str,
        spec: &Spec,
        ready: Hook<'_>,
        migrate: Hook<'_>,
    ) -> Result<ServiceHandle> {
        let question = AmbientQuestion::Start {
            name: name.to_owned(),
            service_type: service_type.to_owned(),
            spec: Box::new(spec.clone()),
        };
        match self.ask(&question, ready, migrate)? {
            AmbientAnswer::Handle(handle) => Ok(*handle),
            _ => Err(another_question()),
        }
    }

    fn stop(&self, handle: &ServiceHandle) -> Result<()> {
        let question = AmbientQuestion::Stop(handle.clone());
        match self.ask(&question, &asks_nothing, &asks_nothing)? {
            AmbientAnswer::Done => Ok(()),
            _ => Err(another_question()),
        }
    }

    fn health_check(
        &self,
        handle: &ServiceHandle,
        spec: &Spec,
        ready: Hook<'_>,
    ) -> Result<HealthStatus> {
        let question = AmbientQuestion::HealthCheck {
            handle: handle.clone(),
            spec: Box::new(spec.clone()),
        };
        match self.ask(&question, ready, &asks_nothing)? {
            AmbientAnswer::Health(status) => Ok(status),
            _ => Err(another_question()),
        }
    }
}

fn run_hook(hook: &wire::AmbientHook, ready: Hook<'_>, migrate: Hook<'_>) -> Result<()> {
    let handle: ServiceHandle = from_json("handle", &hook.handle_json)?;
    match hook.kind() {
        wire::HookKind::Ready => guard("`ready`", || ready(&handle)),
        wire::HookKind::Migrate => guard("`migrate`", || migrate(&handle)),
        wire::HookKind::Unspecified => Err(CleanroomError::protocol_error(
            "a hook of a kind that this version does not know",
        )),
    }
}

/// There is nothing to ask back about a stop, and only `ready` about a health check.
fn asks_nothing(_: &ServiceHandle) -> Result<()> {
    Err(another_question())
}

fn another_question() -> CleanroomError {
    CleanroomError::protocol_error("the coordinator answered another question")
}

fn cancelled() -> CleanroomError {
    CleanroomError::service_error("the call was cancelled")
}
