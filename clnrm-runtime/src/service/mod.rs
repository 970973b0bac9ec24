//! What a service is, as data: identity, spec, handle, slice, health.

mod handle;
mod health;
mod id;
mod image;
mod secret;
mod slice;
mod spec;
mod template;
mod volume;
mod wait;

pub(crate) use handle::Core;
pub use handle::{Endpoint, Reader, ServiceHandle};
pub use health::HealthStatus;
pub use id::{InstanceId, InstanceKey, OwnerId, RunId, ServiceId, TestId};
pub use image::ImageRef;
pub use secret::Secret;
pub use slice::{Isolation, Scope, Slice, SliceId};
pub(crate) use spec::MAIN_PORT;
pub use spec::{
    ContainerSpec, File, Healthcheck, Limits, Network, Port, PortProtocol, ProcessSpec, Program,
    Provision, Seed, Spec, Stop, StopSignal, Var, Volume,
};
pub use template::{Template, TemplateError};
pub use wait::{LogStream, Wait};
