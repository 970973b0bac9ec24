//! What a service is, as data: identity, spec, handle, slice, health.

mod container;
mod handle;
mod health;
mod id;
mod image;
mod login;
mod port;
mod process;
mod secret;
mod size;
mod slice;
mod spec;
mod template;
mod volume;
mod wait;

pub use container::{ContainerSpec, Healthcheck, Limits, Network};
pub(crate) use handle::Core;
pub use handle::{Endpoint, Reader, ServiceHandle};
pub use health::HealthStatus;
pub use id::{InstanceId, InstanceKey, OwnerId, RunId, ServiceId, TestId};
pub use image::ImageRef;
pub use login::Login;
pub use port::{Port, PortProtocol};
pub use process::{NamedProgram, ProcessSpec, Program, Provision, Seed};
pub use secret::{Secret, Secrets};
pub use size::bytes;
pub use slice::{Isolation, Scope, Slice, SliceId};
pub(crate) use spec::MAIN_PORT;
pub use spec::{File, Spec, Stop, StopSignal, Var};
pub use template::{Template, TemplateError};
pub use volume::Volume;
pub use wait::{LogStream, Wait};
