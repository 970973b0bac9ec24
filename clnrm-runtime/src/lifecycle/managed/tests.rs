//! A hand-written plugin through its life, with everything that may go wrong in it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::backend::BackendKind;
use crate::error::{CleanroomError, ErrorKind};
use crate::lifecycle::LifecycleState::{Failed, Initialized, Running, Starting, Stopped, Stopping};
use crate::service::{Core, InstanceId, InstanceKey};

/// What the double is told, and what it sees of itself.
#[derive(Debug, Default)]
struct World {
    /// How many services are there.
    there: AtomicUsize,
    starts: AtomicUsize,
    /// The next calls of a method fail, or panic.
    faults: Mutex<Vec<(&'static str, Fault)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Fails,
    Panics,
}

impl World {
    fn next(&self, method: &'static str, fault: Fault) {
        self.faults.lock().unwrap().push((method, fault));
    }

    fn play(&self, method: &'static str) -> Result<()> {
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            let found = faults.iter().position(|(of, _)| *of == method);
            found.map(|index| faults.remove(index).1)
        };
        match fault {
            None => Ok(()),
            Some(Fault::Fails) => Err(CleanroomError::service_error(format!("{method} fails"))),
            Some(Fault::Panics) => panic!("{method} panics"),
        }
    }

    fn there(&self) -> usize {
        self.there.load(Ordering::SeqCst)
    }
}

/// A plugin written by hand.
#[derive(Debug)]
struct Mail(Arc<World>);

impl ServicePlugin for Mail {
    fn name(&self) -> &str {
        "mail"
    }

    fn start(&self) -> Result<ServiceHandle> {
        self.0.starts.fetch_add(1, Ordering::SeqCst);
        self.0.play("start")?;
        self.0.there.fetch_add(1, Ordering::SeqCst);
        let core = Core {
            key: InstanceKey::of(["mail"]),
            instance: InstanceId::new("mail-1"),
            backend: BackendKind::Plugin,
            endpoints: BTreeMap::new(),
            inner: BTreeMap::new(),
            vars: BTreeMap::new(),
            exports: BTreeMap::new(),
            slice: None,
            degraded: None,
        };
        Ok(ServiceHandle::new("mail".to_owned(), core))
    }

    fn stop(&self, _: ServiceHandle) -> Result<()> {
        self.0.play("stop")?;
        self.0.there.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    fn health_check(&self, _: &ServiceHandle) -> Result<HealthStatus> {
        self.0.play("health_check")?;
        Ok(HealthStatus::Healthy)
    }
}

fn managed() -> (Managed<Mail>, Arc<World>) {
    let world = Arc::new(World::default());
    (Managed::new(Mail(Arc::clone(&world))), world)
}

#[test]
fn the_complete_lifecycle() {
    let (plugin, world) = managed();
    assert_eq!(plugin.state.state(), Initialized);
    let handle = plugin.start().unwrap();
    assert_eq!(handle.service_name, "mail");
    assert_eq!(plugin.state.state(), Running);
    assert_eq!(plugin.health_check().unwrap(), HealthStatus::Healthy);
    plugin.stop().unwrap();
    assert_eq!(plugin.state.state(), Stopped);
    assert_eq!(world.there(), 0);
    // And once more.
    plugin.reset().unwrap();
    assert_eq!(plugin.state.state(), Initialized);
    plugin.start().unwrap();
    plugin.stop().unwrap();
    assert_eq!(world.starts.load(Ordering::SeqCst), 2);
    assert_eq!(world.there(), 0);
}

#[test]
fn the_transitions() {
    let (plugin, world) = managed();
    let refused = |result: Result<()>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Validation);
        error.message().to_owned()
    };
    assert_eq!(
        refused(plugin.stop()),
        "lifecycle: an instance that is initialized cannot become stopping"
    );
    assert_eq!(
        refused(plugin.reset()),
        "lifecycle: an instance that is initialized cannot become initialized"
    );
    plugin.start().unwrap();
    assert_eq!(
        refused(plugin.start().map(|_| ())),
        "lifecycle: an instance that is running cannot become starting"
    );
    assert_eq!(
        refused(plugin.reset()),
        "lifecycle: an instance that is running cannot become initialized"
    );
    // What was refused changed nothing.
    assert_eq!(plugin.state.state(), Running);
    assert_eq!(world.starts.load(Ordering::SeqCst), 1);
    plugin.stop().unwrap();
    plugin.stop().unwrap();
    assert_eq!(
        refused(plugin.start().map(|_| ())),
        "lifecycle: an instance that is stopped cannot become starting"
    );
    assert_eq!(world.there(), 0);
}

#[test]
fn the_recovery_from_errors() {
    let (plugin, world) = managed();
    world.next("start", Fault::Fails);
    let error = plugin.start().unwrap_err();
    assert_eq!(error.message(), "start fails");
    assert_eq!(plugin.state.state(), Failed);
    assert!(plugin.start().is_err());
    // A failed one stays failed; a new one starts.
    let plugin = Managed::new(Mail(Arc::clone(&world)));
    plugin.start().unwrap();
    world.next("stop", Fault::Fails);
    assert_eq!(plugin.stop().unwrap_err().message(), "stop fails");
    assert_eq!(plugin.state.state(), Failed);
    assert_eq!(world.there(), 1);
    // What did not stop is stopped in the end.
    drop(plugin);
    assert_eq!(world.there(), 0);
}

#[test]
fn of_32_concurrent_starts_exactly_one_wins() {
    let (plugin, world) = managed();
    let wins = std::thread::scope(|scope| {
        let starts = (0..32).map(|_| scope.spawn(|| plugin.start().is_ok()));
        let starts = starts.collect::<Vec<_>>();
        let wins = starts.into_iter().map(|start| start.join().unwrap());
        wins.filter(|won| *won).count()
    });
    assert_eq!(wins, 1);
    assert_eq!(world.starts.load(Ordering::SeqCst), 1);
    assert_eq!(plugin.state.state(), Running);
}

#[test]
fn of_concurrent_stops_one_stops_it() {
    let (plugin, world) = managed();
    plugin.start().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| plugin.stop().ok());
        }
    });
    assert_eq!((plugin.state.state(), world.there()), (Stopped, 0));
}

#[test]
fn the_state_can_be_seen_while_it_starts_and_stops() {
    /// Notes the state of whatever manages it.
    #[derive(Debug)]
    struct Watched {
        inner: Mail,
        seen: Mutex<Vec<LifecycleState>>,
        manager: std::sync::OnceLock<std::sync::Weak<Managed<Watched>>>,
    }
    impl Watched {
        fn look(&self) {
            let manager = self.manager.get().unwrap().upgrade().unwrap();
            self.seen.lock().unwrap().push(manager.state.state());
        }
    }
    impl ServicePlugin for Watched {
        fn name(&self) -> &str {
            "watched"
        }
        fn start(&self) -> Result<ServiceHandle> {
            self.look();
            self.inner.start()
        }
        fn stop(&self, handle: ServiceHandle) -> Result<()> {
            self.look();
            self.inner.stop(handle)
        }
    }
    let plugin = Arc::new(Managed::new(Watched {
        inner: Mail(Arc::default()),
        seen: Mutex::default(),
        manager: std::sync::OnceLock::new(),
    }));
    plugin.manager.set(Arc::downgrade(&plugin)).unwrap();
    plugin.start().unwrap();
    plugin.stop().unwrap();
    assert_eq!(*plugin.seen.lock().unwrap(), [Starting, Stopping]);
}

#[test]
fn health_is_that_of_what_runs() {
    let (plugin, world) = managed();
    let unhealthy = |state: LifecycleState| HealthStatus::Unhealthy(format!("it is {state}"));
    assert_eq!(plugin.health_check().unwrap(), unhealthy(Initialized));
    plugin.start().unwrap();
    world.next("health_check", Fault::Fails);
    assert!(plugin.health_check().is_err());
    world.next("stop", Fault::Fails);
    plugin.stop().unwrap_err();
    assert_eq!(plugin.health_check().unwrap(), unhealthy(Failed));
}

#[test]
fn a_panic_of_the_plugin_is_an_error_and_leaves_a_state() {
    let (plugin, world) = managed();
    world.next("start", Fault::Panics);
    let error = plugin.start().unwrap_err();
    assert_eq!(error.message(), "`start` of `mail` panicked: start panics");
    assert_eq!(plugin.state.state(), Failed);
    let plugin = Managed::new(Mail(Arc::clone(&world)));
    plugin.start().unwrap();
    world.next("stop", Fault::Panics);
    assert!(plugin.stop().is_err());
    assert_eq!(plugin.state.state(), Failed);
    world.next("stop", Fault::Panics);
    drop(plugin);
    assert_eq!(world.there(), 1);
}

#[test]
fn dropped_while_it_runs_it_is_stopped() {
    let (plugin, world) = managed();
    plugin.start().unwrap();
    drop(plugin);
    assert_eq!(world.there(), 0);
    let (plugin, world) = managed();
    let panicked = catch_unwind(AssertUnwindSafe(move || {
        plugin.start().unwrap();
        panic!("a test fails");
    }));
    assert!(panicked.is_err());
    assert_eq!(world.there(), 0);
}

#[test]
fn a_drop_while_it_runs_is_warned_of() {
    /// What was traced, as lines.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let traced = || String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let (plugin, _) = managed();
        plugin.start().unwrap();
        plugin.stop().unwrap();
        drop(plugin);
        assert_eq!(traced(), "");
        let (plugin, _) = managed();
        plugin.start().unwrap();
        drop(plugin);
    });
    let traced = traced();
    assert!(
        traced.contains(" WARN ") && traced.contains("dropped while active; stopping it"),
        "{traced}"
    );
    assert!(
        traced.contains("service=\"mail\"") && traced.contains("state=running"),
        "{traced}"
    );
}

#[test]
fn dropped_with_a_runtime_that_ends_it_is_stopped() {
    let (plugin, world) = managed();
    plugin.start().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    runtime.spawn(async move {
        let _held = plugin;
        std::future::pending::<()>().await;
    });
    drop(runtime);
    assert_eq!(world.there(), 0);
}

#[test]
fn what_was_stopped_is_not_stopped_again() {
    let (plugin, world) = managed();
    plugin.start().unwrap();
    plugin.stop().unwrap();
    world.next("stop", Fault::Fails);
    drop(plugin);
    assert_eq!(world.faults.lock().unwrap().len(), 1);
    // Nor what never ran.
    drop(Managed::new(Mail(Arc::clone(&world))));
    assert_eq!(world.faults.lock().unwrap().len(), 1);
}
