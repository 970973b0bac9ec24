//! What a service is, as data: identity, spec, handle, slice, health.

mod handle;
mod health;
mod id;
mod image;
mod login;
mod port;
mod secret;
mod size;
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
pub use login::Login;
pub use port::{Port, PortProtocol};
pub use secret::Secret;
pub use size::bytes;
pub use slice::{Isolation, Scope, Slice, SliceId};
pub(crate) use spec::MAIN_PORT;
pub use spec::{
    ContainerSpec, File, Healthcheck, Limits, NamedProgram, Network, ProcessSpec, Program,
    Provision, Seed, Spec, Stop, StopSignal, Var, Volume,
};
pub use template::{Template, TemplateError};
pub use wait::{LogStream, Wait};
