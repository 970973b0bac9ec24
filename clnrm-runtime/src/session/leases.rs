//! What one test holds.

use std::collections::BTreeMap;

use crate::declare::{Attachment, NeedTree};
use crate::error::{CleanroomError, Result};
use crate::service::ServiceId;

/// The leases of a test, by declaration. `None` is an optional service that
/// did not start.
#[derive(Debug, Clone, Default)]
pub struct Leases(BTreeMap<ServiceId, Option<Attachment>>);

impl Leases {
    /// Collects what a session gave.
    #[must_use]
    pub fn new(leases: impl IntoIterator<Item = (ServiceId, Option<Attachment>)>) -> Self {
        Self(leases.into_iter().collect())
    }

    /// The lease of `id`.
    ///
    /// # Errors
    /// When it was not asked for.
    pub fn get(&self, id: &str) -> Result<Option<Attachment>> {
        let lease = self.0.get(&ServiceId::new(id)).cloned();
        lease
            .ok_or_else(|| CleanroomError::internal_error(format!("service `{id}` was not leased")))
    }

    /// Whether every service of `tree` is there.
    ///
    /// # Errors
    /// When one was not asked for.
    pub fn are_there(&self, tree: &NeedTree) -> Result<bool> {
        match tree {
            NeedTree::Service { id, .. } => Ok(self.get(id)?.is_some()),
            NeedTree::Optional(_) => Ok(true),
            NeedTree::All(trees) => trees
                .iter()
                .try_fold(true, |all, tree| Ok(all && self.are_there(tree)?)),
        }
    }
}
