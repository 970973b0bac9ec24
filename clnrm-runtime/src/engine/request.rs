//! What a backend is asked to make, with what the instance reads of its dependencies.

use std::collections::BTreeMap;

use super::Engine;
use super::claim::Claim;
use super::explain::{source_of, spec_of};
use crate::backend::{BackendKind, CreateRequest};
use crate::declare::Attachment;
use crate::error::Result;
use crate::plan::PlannedInstance;
use crate::service::{Reader, ServiceHandle, Spec, Template};

/// The dependencies of an instance by field; `None` where an optional one did
/// not start.
pub(super) type Needs = Vec<(String, Option<Attachment>)>;

impl Engine {
    pub(super) async fn request(
        &self,
        claim: &Claim,
        planned: &PlannedInstance,
        needs: &Needs,
    ) -> Result<CreateRequest> {
        let mut spec = spec_of(planned)?.clone();
        let reader = if planned.backend == BackendKind::Docker {
            Reader::Container
        } else {
            Reader::Process
        };
        let mut rendered = BTreeMap::new();
        for (field, need) in needs {
            match need {
                Some(need) => rendered.extend(exports_of(field, &need.handle, reader)?),
                None => leave_out(&mut spec, field),
            }
        }
        let (network, joins) = self.networks(claim, planned, needs).await?;
        Ok(CreateRequest {
            service: planned.name.clone(),
            key: planned.key.clone(),
            label: self.0.run.label(&planned.name, &planned.key),
            spec,
            source: source_of(planned)?.clone(),
            needs: rendered,
            network,
            joins,
        })
    }
}

/// What an instance runs without, for its handle and its health.
pub(super) fn degraded(planned: &PlannedInstance, needs: &Needs) -> Option<String> {
    let missing = needs
        .iter()
        .filter(|(_, need)| need.is_none())
        .map(|(field, _)| format!("`{field}`"));
    let missing = missing.collect::<Vec<_>>();
    (!missing.is_empty()).then(|| format!("`{}` runs without {}", planned.name, missing.join(", ")))
}

/// A variable that names what did not start is left out.
fn leave_out(spec: &mut Spec, field: &str) {
    let own = [
        spec.container.as_mut().map(|container| &mut container.env),
        spec.process.as_mut().map(|process| &mut process.env),
    ];
    for env in own.into_iter().flatten().chain([&mut spec.env]) {
        env.retain(|_, text| !names(text, field));
    }
}

fn names(text: &Template, field: &str) -> bool {
    text.holes().any(|hole| {
        hole.split_once('.')
            .is_some_and(|(first, _)| first == field)
    })
}

fn exports_of(
    field: &str,
    handle: &ServiceHandle,
    reader: Reader,
) -> Result<Vec<(String, String)>> {
    let names = handle.core.exports.keys();
    names
        .map(|name| Ok((format!("{field}.{name}"), handle.export(name, reader)?)))
        .collect()
}
