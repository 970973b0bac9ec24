//! Which services the features bring.

use clnrm_runtime::registry::plugins;

use crate::ServicePlugin;

#[test]
fn each_feature_brings_its_type() {
    let types = plugins()
        .unwrap()
        .into_iter()
        .map(|plugin| plugin.service_type);
    let features = [
        ("generic", cfg!(feature = "generic")),
        ("postgres", cfg!(feature = "postgres")),
        ("redis", cfg!(feature = "redis")),
    ];
    let on = features
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| name);
    assert_eq!(types.collect::<Vec<_>>(), on.collect::<Vec<_>>());
}

#[test]
fn every_plugin_is_a_value_of_the_trait() {
    fn may_be_shared<T: Send + Sync + std::fmt::Debug + ?Sized>(_: &T) {}
    let all: Vec<Box<dyn ServicePlugin>> = vec![
        #[cfg(feature = "generic")]
        Box::new(crate::generic::plugin("nginx:1.29")),
        #[cfg(feature = "postgres")]
        Box::new(crate::postgres::plugin()),
        #[cfg(feature = "redis")]
        Box::new(crate::redis::plugin()),
    ];
    let names = all.iter().map(|plugin| {
        may_be_shared(plugin.as_ref());
        assert!(plugin.spec().unwrap().is_some());
        plugin.service_type().to_owned()
    });
    let types = plugins()
        .unwrap()
        .into_iter()
        .map(|it| it.service_type.to_owned());
    assert_eq!(names.collect::<Vec<_>>(), types.collect::<Vec<_>>());
}
