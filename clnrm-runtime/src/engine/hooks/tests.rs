//! Hooks that refuse, panic and wait.

use super::*;

#[derive(Debug)]
struct Panics;

impl ServicePlugin for Panics {
    fn name(&self) -> &str {
        "panics"
    }

    fn external(&self, url: &str) -> Result<External> {
        panic!("cannot read {url}")
    }
}

fn hooks() -> LocalHooks {
    let id = ServiceId::new("p/it/it::Panics");
    LocalHooks::new(PluginSet::new([(id, Arc::new(Panics) as _)]))
}

#[tokio::test(flavor = "current_thread")]
async fn a_panic_is_an_error_of_that_call() {
    let id = ServiceId::new("p/it/it::Panics");
    for _ in 0..2 {
        let error = hooks().external(&id, "x:/").await.unwrap_err();
        assert_eq!(
            error.message(),
            "`external` of `panics` panicked: cannot read x:/"
        );
    }
    let error = hooks().start(&id).await.unwrap_err();
    assert_eq!(error.message(), "plugin `panics` has no spec");
}

/// A plugin that refuses everything, each time in other words.
#[derive(Debug)]
struct Refuses;

fn refused<T>(what: &str) -> Result<T> {
    Err(CleanroomError::service_error(format!("no {what}")))
}

impl ServicePlugin for Refuses {
    fn name(&self) -> &str {
        "refuses"
    }
    fn start(&self) -> Result<ServiceHandle> {
        refused("start")
    }
    fn stop(&self, handle: ServiceHandle) -> Result<()> {
        refused(&format!("stop of {}", handle.name()))
    }
    fn health_check(&self, _: &ServiceHandle) -> Result<HealthStatus> {
        refused("health")
    }
    fn ready(&self, _: &ServiceHandle) -> Result<()> {
        refused("ready")
    }
    fn migrate(&self, _: &ServiceHandle) -> Result<()> {
        refused("migrate")
    }
    fn slice(&self, _: &ServiceHandle, id: &SliceId) -> Result<Slice> {
        refused(&format!("slice {}", id.number))
    }
    fn drop_slice(&self, _: &ServiceHandle, slice: &Slice) -> Result<()> {
        refused(&format!("end of slice {}", slice.id.number))
    }
    fn sweep(&self, _: &ServiceHandle, stale: &dyn Fn(&str) -> bool) -> Result<Vec<String>> {
        refused(&format!("sweep: {}", stale("clnrm_0123456776543210_3")))
    }
    fn external(&self, url: &str) -> Result<External> {
        refused(url)
    }
}

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T>, message: &str) {
    assert_eq!(result.unwrap_err().message(), message);
}

#[tokio::test]
async fn every_hook_is_what_the_plugin_says() {
    let id = ServiceId::new("p/it/it::Refuses");
    let hooks = LocalHooks::new(PluginSet::new([(id.clone(), Arc::new(Refuses) as _)]));
    let server = External {
        host: "db.test".to_owned(),
        port: 1,
        vars: std::collections::BTreeMap::new(),
    };
    let db = ServiceHandle::external("db", &crate::service::Spec::default(), server);
    let number = SliceId {
        name: "clnrm_0123456789abcdef_7".to_owned(),
        number: 7,
    };
    let slice = Slice::new::<String>(number.clone(), []);
    let run = RunId::new("0123456789abcdef");
    says(hooks.start(&id).await, "no start");
    says(hooks.stop(&id, &db).await, "no stop of db");
    says(hooks.health_check(&id, &db).await, "no health");
    says(hooks.ready(&id, &db).await, "no ready");
    says(hooks.migrate(&id, &db).await, "no migrate");
    says(hooks.slice(&id, &db, &number).await, "no slice 7");
    says(
        hooks.drop_slice(&id, &db, &slice).await,
        "no end of slice 7",
    );
    says(hooks.sweep(&id, &db, &[run]).await, "no sweep: true");
    says(hooks.external(&id, "x:/").await, "no x:/");
}

#[tokio::test]
async fn a_service_of_another_binary_is_an_error() {
    let error = hooks()
        .start(&ServiceId::new("p/other/other::Db"))
        .await
        .unwrap_err();
    assert_eq!(
        error.message(),
        "service `p/other/other::Db` is not in this binary"
    );
}

#[tokio::test]
async fn a_plugin_that_blocks_does_not_stall_the_caller() {
    #[derive(Debug)]
    struct Waits(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);
    impl ServicePlugin for Waits {
        fn name(&self) -> &str {
            "waits"
        }
        fn external(&self, _: &str) -> Result<External> {
            self.0.lock().unwrap().recv().unwrap();
            Err(CleanroomError::service_error("done"))
        }
    }
    let (send, receive) = std::sync::mpsc::channel();
    let id = ServiceId::new("p/it/it::Waits");
    let plugin = Arc::new(Waits(std::sync::Mutex::new(receive)));
    let hooks = LocalHooks::new(PluginSet::new([(id.clone(), plugin as _)]));
    let (result, ()) = tokio::join!(hooks.external(&id, ""), async {
        send.send(()).unwrap();
    });
    assert_eq!(result.unwrap_err().message(), "done");
}

#[test]
fn only_slices_of_runs_that_are_over_are_stale() {
    let live = [RunId::new("0123456789abcdef")];
    let is_stale = |name, live: &[RunId]| is_stale(name, live, |_| false);
    assert!(!is_stale("clnrm_0123456776543210_3", &[]));
    assert!(is_stale("clnrm_0123456776543210_3", &live));
    assert!(!is_stale("clnrm_0123456789abcdef_3", &live));
    for name in [
        "orders",
        "clnrm_template_15",
        "clnrm_0123456776543210_",
        "clnrm_012345677654321_3",
        // A run of another machine that uses the same server.
        "clnrm_ba98765476543210_3",
    ] {
        assert!(!is_stale(name, &live), "{name}");
    }
    // One that began after the list was made.
    let begun = |run: &RunId| run.as_str() == "0123456776543210";
    assert!(!super::is_stale("clnrm_0123456776543210_3", &live, begun));
    assert!(super::is_stale("clnrm_0123456776543211_3", &live, begun));
}
