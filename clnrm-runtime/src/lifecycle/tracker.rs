//! Counts what a run holds, type by type, so that a limit is a limit and an end is an end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{CleanroomError, Result};

/// What is held, by type: `container`, `process`, `network`, `port`, …
///
/// Cloning gives another view of the same count.
#[derive(Debug, Clone, Default)]
pub struct ResourceTracker(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    limits: BTreeMap<String, usize>,
    /// By type, then by id: two types that share a prefix are never confused.
    resources: BTreeMap<String, BTreeMap<u64, String>>,
    next: u64,
}

/// One held resource; dropping it gives it back.
#[derive(Debug)]
pub struct Resource {
    tracker: ResourceTracker,
    kind: String,
    id: u64,
}

impl ResourceTracker {
    /// Limits how many of `kind` may be held at once.
    #[must_use]
    pub fn with_limit(self, kind: impl Into<String>, limit: usize) -> Self {
        self.held().limits.insert(kind.into(), limit);
        self
    }

    /// Takes one of `kind`; `what` says which, for messages.
    ///
    /// # Errors
    /// A resource limit error that lists what is held, when there are no more.
    pub fn allocate(&self, kind: &str, what: impl Into<String>) -> Result<Resource> {
        let mut held = self.held();
        let limit = held.limits.get(kind).copied();
        let id = held.next;
        let resources = held.resources.entry(kind.to_owned()).or_default();
        if limit.is_some_and(|limit| resources.len() >= limit) {
            let holders = resources.values().cloned().collect::<Vec<_>>().join(", ");
            return Err(CleanroomError::resource_limit_error(format!(
                "no {kind} is left: all {} are held",
                resources.len()
            ))
            .with_context("held by", holders)
            .with_hint("run fewer tests at once with `-j`, or raise the limit"));
        }
        resources.insert(id, what.into());
        held.next += 1;
        Ok(Resource {
            tracker: self.clone(),
            kind: kind.to_owned(),
            id,
        })
    }

    /// How many of `kind` are held.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.held().resources.get(kind).map_or(0, BTreeMap::len)
    }

    /// What is held, `type: what`, one line each.
    #[must_use]
    pub fn list(&self) -> Vec<String> {
        let held = self.held();
        let each = held
            .resources
            .iter()
            .flat_map(|(kind, all)| all.values().map(move |what| format!("{kind}: {what}")));
        each.collect()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resource {
    /// Its name: the type and a number that no other resource of the tracker has.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}_{}", self.kind, self.id)
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        if let Some(resources) = self.tracker.held().resources.get_mut(&self.kind) {
            resources.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn of_64_tasks_exactly_the_limit_gets_one() {
        let tracker = ResourceTracker::default().with_limit("container", 10);
        let tasks = (0..64).map(|number| {
            let tracker = tracker.clone();
            tokio::spawn(async move { tracker.allocate("container", format!("task {number}")) })
        });
        let mut got = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            got.push(task.await.unwrap());
        }
        assert_eq!(got.iter().filter(|result| result.is_ok()).count(), 10);
        assert_eq!(tracker.count("container"), 10);
        drop(got);
        assert_eq!(tracker.list(), Vec::<String>::new());
    }

    #[test]
    fn types_that_share_a_prefix_are_apart() {
        let tracker = ResourceTracker::default().with_limit("port", 1);
        let _range = tracker.allocate("port_range", "8000-8010").unwrap();
        let port = tracker.allocate("port", "8080").unwrap();
        assert_eq!((tracker.count("port"), tracker.count("port_range")), (1, 1));
        assert_eq!(
            tracker
                .allocate("port", "81")
                .unwrap_err()
                .context("held by"),
            Some("8080")
        );
        drop(port);
        assert_eq!(tracker.list(), ["port_range: 8000-8010"]);
    }
}
