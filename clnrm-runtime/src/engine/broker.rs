//! Whose engine the ambient one is: this process's own, or in a host the coordinator's.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ambient::Hook;
use crate::error::{CleanroomError, Result};
use crate::service::{HealthStatus, ServiceHandle, Spec};

/// Answers what plugin code asks of the ambient engine, for one call.
pub(crate) trait Broker: Send + Sync + fmt::Debug {
    /// [`ambient::start`](super::ambient::start).
    fn start(
        &self,
        name: &str,
        service_type: &str,
        spec: &Spec,
        ready: Hook<'_>,
        migrate: Hook<'_>,
    ) -> Result<ServiceHandle>;

    /// [`ambient::stop`](super::ambient::stop).
    fn stop(&self, handle: &ServiceHandle) -> Result<()>;

    /// [`ambient::health_check`](super::ambient::health_check).
    fn health_check(
        &self,
        handle: &ServiceHandle,
        spec: &Spec,
        ready: Hook<'_>,
    ) -> Result<HealthStatus>;
}

thread_local! {
    static BROKER: RefCell<Option<Arc<dyn Broker>>> = const { RefCell::new(None) };
}

/// Set in a host, which owns no resource: it has no engine of its own.
static BROKERED: AtomicBool = AtomicBool::new(false);

/// From now on only calls with a broker have an ambient engine in this process.
pub(crate) fn broker_everything() {
    BROKERED.store(true, Ordering::Relaxed);
}

/// Runs `code` with `broker` as the ambient engine of this thread.
pub(crate) fn with_broker<T>(broker: Arc<dyn Broker>, code: impl FnOnce() -> T) -> T {
    struct Restore(Option<Arc<dyn Broker>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            BROKER.set(self.0.take());
        }
    }
    let _restore = Restore(BROKER.replace(Some(broker)));
    code()
}

/// The broker of this thread; none when this process's own engine is meant.
///
/// # Errors
/// In a host, outside a call.
pub(super) fn broker() -> Result<Option<Arc<dyn Broker>>> {
    let broker = BROKER.with_borrow(Clone::clone);
    if broker.is_none() && BROKERED.load(Ordering::Relaxed) {
        return Err(CleanroomError::plan_error(
            "a service can only be started from within the plugin's own call",
        )
        .with_hint("start it on the thread that `start` is called on, not on one of your own"));
    }
    Ok(broker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ambient;

    #[derive(Debug)]
    struct Healthy;

    impl Broker for Healthy {
        fn start(
            &self,
            name: &str,
            _: &str,
            _: &Spec,
            _: Hook<'_>,
            _: Hook<'_>,
        ) -> Result<ServiceHandle> {
            Err(CleanroomError::service_error(format!("brokered {name}")))
        }

        fn stop(&self, _: &ServiceHandle) -> Result<()> {
            Ok(())
        }

        fn health_check(&self, _: &ServiceHandle, _: &Spec, _: Hook<'_>) -> Result<HealthStatus> {
            Ok(HealthStatus::Healthy)
        }
    }

    fn start() -> String {
        let error = ambient::start("db", "db", &Spec::default(), &|_| Ok(()), &|_| Ok(()));
        error.unwrap_err().message().to_owned()
    }

    #[test]
    fn the_broker_is_that_of_the_innermost_call_and_of_no_other_thread() {
        let before = start();
        assert_ne!(before, "brokered db");
        with_broker(Arc::new(Healthy), || {
            assert_eq!(start(), "brokered db");
            std::thread::scope(|scope| {
                let other = scope.spawn(|| BROKER.with_borrow(Option::is_none));
                assert!(other.join().unwrap());
            });
        });
        assert!(BROKER.with_borrow(Option::is_none));
    }

    #[test]
    fn a_panic_takes_the_broker_with_it() {
        let _ =
            std::panic::catch_unwind(|| with_broker(Arc::new(Healthy), || panic!("on purpose")));
        assert!(BROKER.with_borrow(Option::is_none));
    }
}
