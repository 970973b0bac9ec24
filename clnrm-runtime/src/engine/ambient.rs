//! The engine of this process, for plugins that are started by hand.
//!
//! In a host it is the coordinator's, reached through the broker; in any other
//! process it is the one that plain `cargo test` uses too.

use std::fmt;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use super::broker::broker;
use super::{ByHand, block_on, runtime};
use crate::error::{CleanroomError, Result};
use crate::plugin::ServicePlugin;
use crate::service::{HealthStatus, ServiceHandle, Spec};
use crate::session::local::Local;

/// One call to a plugin's own code about a running service.
pub type Hook<'a> = &'a dyn Fn(&ServiceHandle) -> Result<()>;

/// Starts an instance of `spec` that this process owns, and waits until it is ready.
///
/// # Errors
/// When it cannot be started, or does not become ready in time.
pub fn start(
    name: &str,
    service_type: &str,
    spec: &Spec,
    ready: Hook<'_>,
    migrate: Hook<'_>,
) -> Result<ServiceHandle> {
    if let Some(broker) = broker()? {
        return broker.start(name, service_type, spec, ready, migrate);
    }
    let by_hand = ByHand::new(name, service_type, spec)?;
    let (ask, questions) = channel();
    let relay = Arc::new(Relay {
        name: name.to_owned(),
        ask: Mutex::new(ask.clone()),
    });
    runtime::handle()?.spawn(async move {
        let started = start_here(by_hand, relay).await;
        // Nobody waits only when the starting thread is gone.
        let _ = ask.send(Question::None(Box::new(started)));
    });
    // The plugin's own code is borrowed from the caller, so it runs on the caller's thread.
    while let Ok(question) = questions.recv() {
        match question {
            Question::Ready(handle, answer) => answer.send(ready(&handle)).unwrap_or_default(),
            Question::Migrate(handle, answer) => answer.send(migrate(&handle)).unwrap_or_default(),
            Question::None(started) => return *started,
        }
    }
    Err(CleanroomError::internal_error(format!(
        "the start of `{name}` got lost"
    )))
}

/// Stops an instance and removes everything of it.
///
/// # Errors
/// When something of it is still there afterwards.
pub fn stop(handle: &ServiceHandle) -> Result<()> {
    if let Some(broker) = broker()? {
        return broker.stop(handle);
    }
    let handle = handle.clone();
    block_on(async move {
        let local = Local::current().await?;
        local.engine().discard(&handle).await
    })?
}

/// Says whether an instance runs and is ready.
///
/// # Errors
/// When it cannot be told.
pub fn health_check(handle: &ServiceHandle, spec: &Spec, ready: Hook<'_>) -> Result<HealthStatus> {
    if let Some(broker) = broker()? {
        return broker.health_check(handle, spec, ready);
    }
    let (asked, wait) = (handle.clone(), spec.clone());
    let state = block_on(async move {
        let local = Local::current().await?;
        local.engine().state(&asked, &wait).await
    })??;
    if let Some(reason) = state {
        return Ok(HealthStatus::Unhealthy(reason));
    }
    if spec.wait.asks_plugin()
        && let Err(error) = ready(handle)
    {
        return Ok(HealthStatus::Unhealthy(error.report()));
    }
    Ok(HealthStatus::Healthy)
}

async fn start_here(by_hand: ByHand, relay: Arc<Relay>) -> Result<ServiceHandle> {
    let ByHand {
        id,
        request,
        catalog,
    } = by_hand;
    let local = Local::current().await?;
    local.plugins().insert(id.clone(), relay);
    let plan = local.plan(std::slice::from_ref(&request), &catalog).await?;
    let planned = plan.test(&request.test);
    let planned =
        planned.ok_or_else(|| CleanroomError::internal_error("a plan without its only test"))?;
    let leases = local.engine().acquire(planned, 1).await?;
    let attachment = leases.get(id.as_str())?;
    attachment
        .map(|it| it.handle)
        .ok_or_else(|| CleanroomError::internal_error("a start without a handle"))
}

/// What the engine asks the thread that started a plugin by hand.
enum Question {
    Ready(ServiceHandle, Sender<Result<()>>),
    Migrate(ServiceHandle, Sender<Result<()>>),
    /// Nothing more: this is the end of the start.
    None(Box<Result<ServiceHandle>>),
}

/// Stands for a plugin that is borrowed by another thread.
struct Relay {
    name: String,
    ask: Mutex<Sender<Question>>,
}

impl Relay {
    fn ask(&self, question: impl FnOnce(Sender<Result<()>>) -> Question) -> Result<()> {
        let (answer, answered) = channel();
        let sent = self
            .ask
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(question(answer));
        let gone = || {
            CleanroomError::service_error(format!("whoever started `{}` waits no more", self.name))
        };
        sent.map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())?
    }
}

impl ServicePlugin for Relay {
    fn name(&self) -> &str {
        &self.name
    }

    fn ready(&self, handle: &ServiceHandle) -> Result<()> {
        self.ask(|answer| Question::Ready(handle.clone(), answer))
    }

    fn migrate(&self, handle: &ServiceHandle) -> Result<()> {
        self.ask(|answer| Question::Migrate(handle.clone(), answer))
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
