//! What the macros declare, looked at without running anything.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as tests do"
)]

mod descriptor;
mod plugin;
mod service;

use clnrm::service::{Spec, Template};
use clnrm_runtime::__private::inventory;
use clnrm_runtime::declare::{Attachment, Service, ServiceDeclaration};
use clnrm_runtime::plugin::External;
use std::collections::BTreeMap;

/// The declaration of a service of this binary.
#[track_caller]
fn declaration_of<S: Service>() -> &'static ServiceDeclaration {
    let mut all = inventory::iter::<ServiceDeclaration>.into_iter();
    all.find(|declaration| declaration.id == S::ID).unwrap()
}

/// The spec that its plugin gives.
#[track_caller]
fn spec_of<S: Service>() -> Spec {
    let plugin = (declaration_of::<S>().plugin)().unwrap();
    plugin.spec().unwrap().unwrap()
}

/// A lease of somebody else's server, which stands for one that runs.
#[track_caller]
fn lease_of<S: Service>(needs: Vec<(String, Option<Attachment>)>) -> Attachment {
    let external = External {
        host: format!("{}.test", S::NAME),
        port: 1000,
        vars: BTreeMap::new(),
    };
    let handle = clnrm::ServiceHandle::external(S::NAME, &spec_of::<S>(), external);
    Attachment { handle, needs }
}

/// Templates by name, as they were written.
fn texts<'a>(templates: impl IntoIterator<Item = (&'a String, &'a Template)>) -> Vec<String> {
    let written = |(name, text): (&String, &Template)| format!("{name}={text}");
    templates.into_iter().map(written).collect()
}
