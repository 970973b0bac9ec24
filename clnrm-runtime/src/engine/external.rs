//! Uses somebody else's server: asked, swept and prepared, never started or stopped.

use std::future::Future;

use tokio::time::Instant;

use super::claim::Claim;
use super::explain::{declared, explain, spec_of};
use super::instance::Ready;
use super::{Engine, Phases, limit};
use crate::error::Result;
use crate::plan::{PlannedInstance, url_variable};
use crate::service::ServiceHandle;

impl Engine {
    pub(super) async fn use_external(
        &self,
        claim: &Claim,
        planned: &PlannedInstance,
    ) -> Result<Ready> {
        let begun = Instant::now();
        let held = self.hold_resource(claim, planned)?;
        let (service, spec) = (declared(planned)?, spec_of(planned)?);
        let hooks = &self.0.hooks;
        let url = planned.url.clone().unwrap_or_default();
        let external = hooks.external(&service, &url);
        let external = self.asked(planned, "`external`", "read", external).await?;
        let mut handle = ServiceHandle::external(&planned.name, spec, external);
        handle.core.key = planned.key.clone();
        let ready = hooks.ready(&service, &handle);
        self.asked(planned, "`ready`", "ready", ready)
            .await
            .map_err(|error| {
                let variable = url_variable(&planned.name);
                error.with_hint(format!("check `{variable}`"))
            })?;
        let mut live = crate::run::live_runs()?;
        live.retain(|run| run.site() == self.0.run.id().site());
        let sweep = hooks.sweep(&service, &handle, &live);
        match self.asked(planned, "`sweep`", "sweep", sweep).await {
            Ok(swept) if swept.is_empty() => {}
            Ok(swept) => {
                tracing::info!(service = %planned.name, slices = swept.len(), "removed what earlier runs left");
            }
            // It is in nobody's way; the next run tries again.
            Err(error) => {
                tracing::warn!(service = %planned.name, error = %error.report(), "cannot remove what earlier runs left");
            }
        }
        if spec.migrate {
            let migrate = hooks.migrate(&service, &handle);
            self.asked(planned, "`migrate`", "migrate", migrate).await?;
        }
        Ok(Ready {
            id: handle.instance().clone(),
            handle,
            phases: Phases {
                ready: self.0.clock.since(begun),
                ..Phases::default()
            },
            held,
            undo: None,
        })
    }

    /// One call of plugin code.
    async fn asked<T>(
        &self,
        planned: &PlannedInstance,
        method: &str,
        phase: &str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = limit::of_plugin(planned);
        let answer = self.within(limit, method, &planned.name, call).await;
        answer.map_err(|error| explain(error, planned, phase))
    }
}
