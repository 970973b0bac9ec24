//! Any image or program as a service, configured where it is declared.
//!
//! ```
//! use clnrm_generic::plugin;
//! use clnrm_runtime::ServicePlugin;
//! use clnrm_runtime::service::Wait;
//!
//! // `#[clnrm::service(EXPR)] struct Web(Generic);` makes it a parameter of tests.
//! let web = plugin("nginx:1.29")
//!     .port(80)
//!     .volume("./site:/usr/share/nginx/html:ro")
//!     .ready(Wait::http("/"));
//! assert!(web.spec().is_ok());
//! ```
//!
//! # Configuration
//!
//! | method | key | default | meaning |
//! | --- | --- | --- | --- |
//! | [`named`](GenericPlugin::named) | `name` | `generic` | the service's name, where no declaration gives one |
//! | [`plugin`], [`tag`](GenericPlugin::tag), [`digest`](GenericPlugin::digest) | `image`, `tag`, `digest` | | the image |
//! | [`program`](GenericPlugin::program), [`args`](GenericPlugin::args) | `program`, `args` | | what runs where there is no engine |
//! | [`env`](GenericPlugin::env) | `env` | | environment, with holes: `{host}`, `{port}` |
//! | [`secret`](GenericPlugin::secret) | `secrets` | | environment that is never printed |
//! | [`port`](GenericPlugin::port), [`named_port`](GenericPlugin::named_port) | `ports` | | `80`, `8080:80`, `0:80`, `53:53/udp`, `api=9000` |
//! | [`volume`](GenericPlugin::volume), [`tmpfs`](GenericPlugin::tmpfs) | `volumes`, `tmpfs` | | `/on/host:/inside[:ro]`, or `/inside` alone |
//! | [`command`](GenericPlugin::command), [`entrypoint`](GenericPlugin::entrypoint) | `command`, `entrypoint` | the image's | what the container runs |
//! | [`healthcheck`](GenericPlugin::healthcheck) | `healthcheck` | the image's | how an engine tells that it is healthy |
//! | [`network`](GenericPlugin::network), [`alias`](GenericPlugin::alias) | `network`, `aliases` | the owner's, its name | who reaches it, and as what |
//! | [`memory`](GenericPlugin::memory), [`shm`](GenericPlugin::shm), [`cpus`](GenericPlugin::cpus), [`pids`](GenericPlugin::pids) | the same | | what the container may use |
//! | [`user`](GenericPlugin::user), [`workdir`](GenericPlugin::workdir) | the same | the image's | whom it runs as, and where |
//! | [`ready`](GenericPlugin::ready), [`start_timeout`](GenericPlugin::start_timeout) | the same | see below, 60 s | what makes it ready, and by when |
//! | [`export`](GenericPlugin::export) | `exports` | `url`, `host`, `port` | what dependants and tests may read |
//!
//! Ready means, unless told otherwise: its health check says so where one is
//! given, else a TCP port accepts, else it runs.
//!
//! A program finds its port in `$PORT`, and as `{port}` in its arguments.

mod config;
mod container;
mod handle;
mod plugin;
mod spec;

pub use config::{GenericPlugin, plugin, program};
pub use handle::Generic;
