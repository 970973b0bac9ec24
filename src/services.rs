//! Which services the features bring.

use clnrm_runtime::registry::plugins;

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
