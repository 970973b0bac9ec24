//! What ended by itself while somebody held it: a test may pass without noticing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use super::Engine;
use super::table::Instance;
use crate::backend::{BackendKind, State};
use crate::error::CleanroomError;

/// How long a backend may take to say how an instance is that is to be stopped.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many lines of its log are shown.
const SHOWN_LINES: usize = 20;

impl Engine {
    /// The error of an instance that has failed, and that nobody has stopped.
    /// Code 0 is work that is done.
    pub(super) async fn own_end(&self, instance: &Instance) -> Option<CleanroomError> {
        let kind = instance.backend;
        let is_elsewhere = matches!(kind, BackendKind::External | BackendKind::Plugin);
        if is_elsewhere || instance.halted.load(Ordering::Relaxed) {
            return None;
        }
        let backend = self.backend(kind).ok()?;
        let seen = timeout(PATIENCE, backend.inspect(&instance.id)).await;
        let code = match seen.ok()?.ok()?.state {
            State::Exited { code: 0 } => return None,
            State::Exited { code } => code,
            _ => return None,
        };
        let logs = timeout(PATIENCE, self.logs(&instance.handle, None)).await;
        let lines = logs.ok().and_then(Result::ok).unwrap_or_default();
        let last = lines.iter().skip(lines.len().saturating_sub(SHOWN_LINES));
        let last: Vec<_> = last.map(|line| line.text.as_str()).collect();
        let name = &instance.handle.service_name;
        let error = CleanroomError::service_error(format!(
            "`{name}` exited with code {code} before anybody stopped it"
        ));
        let error = match last[..] {
            [] => error,
            _ => error.with_context("log", self.secrets().mask(&last.join("\n"))),
        };
        Some(
            error.with_hint("its log may say why; a test that is to notice it asks for `health()`"),
        )
    }
}
