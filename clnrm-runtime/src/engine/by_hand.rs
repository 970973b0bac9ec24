//! A service that nobody declared: a plugin that is started by hand, as a run of one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::declare::{Need, TestDescriptor};
use crate::error::{CleanroomError, Result};
use crate::plan::{Catalog, ServiceDescription, TestRequest};
use crate::service::{InstanceKey, ServiceId, Spec, TestId};

/// The binary that such services are in, where plans ask for one.
const BINARY: &str = "by hand";

/// A service that nobody declared, and the test that would need it.
#[derive(Debug, Clone)]
pub struct ByHand {
    /// The service: unique in this process.
    pub id: ServiceId,
    /// Its only user.
    pub request: TestRequest,
    /// Where a plan finds it.
    pub catalog: Catalog,
}

impl ByHand {
    /// Whether `id` is that of such a service: its plugin was lent for the
    /// start, and cannot be asked any more.
    pub(super) fn made(id: &ServiceId) -> bool {
        id.as_str()
            .strip_prefix(BINARY)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// Makes one of `spec`.
    ///
    /// # Errors
    /// When the spec cannot be written as JSON, which is a bug.
    pub fn new(name: &str, service_type: &str, spec: &Spec) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = ServiceId::new(format!(
            "{BINARY}/{name}/{}",
            NEXT.fetch_add(1, Ordering::Relaxed)
        ));
        let text = serde_json::to_string(spec).map_err(|error| {
            CleanroomError::internal_error("a spec is not JSON").with_source(error)
        })?;
        let description = ServiceDescription {
            id: id.clone(),
            name: name.to_owned(),
            location: "started by hand".to_owned(),
            service_type: service_type.to_owned(),
            version: String::new(),
            scope: None,
            optional: false,
            needs: Vec::new(),
            // Two equal ones at once are two instances, each with the code of its own caller.
            fingerprint: InstanceKey::of([id.as_str(), text.as_str()]).to_string(),
            inputs: Vec::new(),
            spec: Some(spec.clone()),
            isolation: BTreeMap::new(),
            error: None,
        };
        let descriptor = TestDescriptor {
            v: TestDescriptor::VERSION,
            path: id.to_string(),
            file: String::new(),
            line: 0,
            timeout_ms: 0,
            fresh: true,
            ignored: false,
            shared: Vec::new(),
            needs: vec![Need {
                id: id.clone(),
                name: name.to_owned(),
                optional: false,
            }],
        };
        let mut catalog = Catalog::default();
        catalog.add(BINARY, vec![description]);
        let test = TestId {
            binary: BINARY.to_owned(),
            name: id.to_string(),
        };
        Ok(Self {
            id,
            request: TestRequest { test, descriptor },
            catalog,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_equal_ones_at_once_are_two_instances() {
        let make = || ByHand::new("db", "db", &Spec::default()).unwrap();
        let (one, other) = (make(), make());
        let key = |by_hand: &ByHand| {
            let roots = [(&by_hand.id, "db")];
            let closure = by_hand.catalog.closure(BINARY, roots).unwrap();
            closure.first().map(|(key, _)| key.clone())
        };
        assert_ne!(key(&one), key(&other));
    }
}
