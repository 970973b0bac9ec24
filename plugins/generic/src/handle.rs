//! What a test holds of a running service of any kind.

use std::ops::Deref;

use clnrm_runtime::declare::{Attachment, Service};
use clnrm_runtime::{Result, ServiceHandle};

/// A running service of any kind: endpoints, exports, nothing more.
///
/// It derefs to [`ServiceHandle`]. A test does not name it itself, since it says
/// no image: `#[clnrm::service(clnrm::generic::plugin("nginx:1.29").port(80))]
/// struct Web(Generic);` is what a test names.
#[derive(Debug, Clone)]
pub struct Generic(ServiceHandle);

impl From<ServiceHandle> for Generic {
    fn from(handle: ServiceHandle) -> Self {
        Self(handle)
    }
}

impl Deref for Generic {
    type Target = ServiceHandle;

    fn deref(&self) -> &ServiceHandle {
        &self.0
    }
}

impl Service for Generic {
    const ID: &'static str = "clnrm-generic/clnrm_generic/clnrm_generic::Generic";
    const NAME: &'static str = "generic";
    const EXPORTS: &'static [&'static str] = &["url", "host", "port"];

    fn attach(lease: Attachment) -> Result<Self> {
        Ok(Self(lease.handle))
    }
}
