//! What a library declares is there in the tests of another crate.

use accepted::{Clock, Generated, Mail, Queue, inner};
use clnrm::Running;
use clnrm_runtime::declare::ServiceDeclaration;
use clnrm_runtime::plugin::PluginRegistration;

#[clnrm::test]
#[ignore = "it is its descriptor that is looked at"]
async fn uses_them(mail: Mail, other: &inner::Mail, queue: Running<Queue>, _: Running<Clock>, all: Generated) {
    assert!(mail.url().is_ok() && other.url().is_ok() && all.url().is_ok());
    let copy: Queue = queue.config().clone();
    assert!(copy.with_token("t").with_level(2).spec_of().is_some());
}

trait SpecOf {
    fn spec_of(&self) -> Option<clnrm::service::Spec>;
}

impl<P: clnrm::ServicePlugin> SpecOf for P {
    fn spec_of(&self) -> Option<clnrm::service::Spec> {
        self.spec().ok().flatten()
    }
}

#[test]
fn every_declaration_is_linked() {
    let declarations = clnrm_runtime::__private::inventory::iter::<ServiceDeclaration>;
    let mut ids = declarations
        .into_iter()
        .map(|declaration| declaration.id)
        .filter(|id| id.starts_with("accepted/"))
        .collect::<Vec<_>>();
    ids.sort_unstable();
    let names = [
        "Clock", "Cron", "FastQueue", "Generated", "Mail", "Queue", "Site", "Unused", "Worker", "inner::Mail",
    ];
    assert_eq!(ids, names.map(|name| format!("accepted/accepted/accepted::{name}")));
}

#[test]
fn every_plugin_type_is_registered() {
    let registrations = clnrm_runtime::__private::inventory::iter::<PluginRegistration>;
    let mut types = registrations
        .into_iter()
        .filter(|registration| registration.location.file.ends_with("src/lib.rs"))
        .map(|registration| (registration.service_type, registration.description))
        .filter(|(service_type, _)| ["clock", "queue"].contains(service_type))
        .collect::<Vec<_>>();
    types.sort_unstable();
    assert_eq!(
        types,
        [("clock", "A plugin without settings."), ("queue", "A plugin.")]
    );
}
