//! The lifecycle guide's tests: complete, transitions, error recovery; and what a drop while active does.

use clnrm::{HealthStatus, ServicePlugin};
use clnrm_runtime::lifecycle::{LifecycleState, Managed};

use crate::engine::{engine_or_skip, inspect};
use crate::walkthrough::DatabasePlugin;

fn database(name: &str) -> Managed<DatabasePlugin> {
    Managed::new(DatabasePlugin::new(name, "testdb").unwrap())
}

#[tokio::test]
async fn a_complete_lifecycle() {
    engine_or_skip!();
    let plugin = database("lifecycle");
    assert_eq!(plugin.state.state(), LifecycleState::Initialized);
    let handle = plugin.start().unwrap();
    assert_eq!(plugin.state.state(), LifecycleState::Running);
    assert!(plugin.state.state().is_active());
    assert_eq!(plugin.health_check().unwrap(), HealthStatus::Healthy);
    plugin.stop().unwrap();
    assert_eq!(plugin.state.state(), LifecycleState::Stopped);
    assert!(inspect(handle.container_id().unwrap()).is_none());
}

#[tokio::test]
async fn transitions_are_refused_that_are_not_legal() {
    engine_or_skip!();
    let plugin = database("transitions");
    assert!(plugin.state.state().can_start());
    plugin.start().unwrap();
    let second = plugin.start().unwrap_err();
    assert!(second.message().contains("running"), "{second:?}");
    assert!(plugin.state.state().can_stop());
    plugin.stop().unwrap();
    plugin.reset().unwrap();
    assert!(plugin.state.state().can_start());
}

#[tokio::test]
async fn an_error_is_recovered_from() {
    engine_or_skip!();
    // The server refuses to initialise with an option that there is not.
    let broken = DatabasePlugin::new("recovery", "testdb").unwrap();
    let broken = Managed::new(broken.with_env("POSTGRES_INITDB_ARGS", "--no-such-option"));
    let error = broken.start().unwrap_err();
    assert!(error.report().contains("no-such-option"), "{error:?}");
    assert_eq!(broken.state.state(), LifecycleState::Failed);
    assert!(broken.start().is_err());
    let plugin = database("recovery");
    plugin.start().unwrap();
    assert_eq!(plugin.state.state(), LifecycleState::Running);
    plugin.stop().unwrap();
}

#[tokio::test]
async fn dropped_while_active_its_container_goes() {
    engine_or_skip!();
    let plugin = database("dropped");
    let handle = plugin.start().unwrap();
    let id = handle.container_id().unwrap().to_owned();
    assert!(inspect(&id).is_some());
    drop(plugin);
    assert!(inspect(&id).is_none());
    assert!(
        !DatabasePlugin::new("dropped", "testdb")
            .unwrap()
            .health_check(&handle)
            .unwrap()
            .is_healthy()
    );
}
