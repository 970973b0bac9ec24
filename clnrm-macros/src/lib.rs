//! The attributes and the derive of clnrm: parse with syn, check into a model, expand; nothing here runs a service.
//!
//! Each macro is a module: what is written is parsed, the model holds only what
//! makes sense, and its expansion cannot fail. Every mistake of an item is
//! reported at once, and the item is emitted all the same, so that nothing
//! follows from a mistake but its own message.
//!
//! What an expansion names is in `__private` of the crate that the user has:
//! the facade, or the runtime alone. Hence an entry point for each.

mod hint;
mod kind;
mod mistake;
mod once;
mod option;
mod plugin;
mod root;
mod service;
mod spec;
mod test;
mod text;
mod value;

#[cfg(test)]
mod snapshot;

use proc_macro::TokenStream;

use root::Root;

/// Makes a test of a function whose parameters are services.
///
/// The function may be `async` or not, and return nothing, a `Result` or
/// whatever else a test may return. Each parameter is a service, an
/// `Option<Service>` that may be absent, or a
/// fixture (`clnrm::Fixture`); by value (`db: Db`,
/// `mut db: Db`, `_: Db`) or by reference (`db: &Db`). There are twelve at most.
/// One service is named once: a second one of the same kind is a declaration of
/// its own.
///
/// | option | meaning |
/// | --- | --- |
/// | `timeout = "30s"` | what the body may take, in `ms`, `s` or `m`, and as long again for fixtures before it; the start of services does not count |
/// | `flavor = "multi_thread"` | the runtime of an `async` test; `"current_thread"` unless said |
/// | `worker_threads = 2` | the threads of such a runtime; one for each core unless said |
/// | `fresh` | every service is the test's own, nothing is shared |
/// | `shared(db)` | these parameters are the run's own, not slices of them |
/// | `crate = ::clnrm` | where clnrm is, when it is not a dependency of that name |
///
/// `ignore`, `should_panic`, `cfg`, lints and documentation belong to the test
/// as libtest sees it. Every other attribute moves to the body, so that a lock
/// or a log attribute takes effect when the body runs and not before.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    test::test(&Root::facade(), arguments.into(), &item.into()).into()
}

/// Declares a service: a struct that stands for something that runs.
///
/// The field `handle`, or the only field of a tuple struct, is the service
/// itself: a `ServiceHandle`, or, where a plugin runs it, the handle type of that
/// plugin; the struct derefs to it. Every other field is a dependency, an `Option`
/// of one may be absent.
/// `struct Worker;` is a service that nobody talks to.
///
/// The first argument may be a plugin: any expression of a type that implements
/// `ServicePlugin`. It is more than a bare name or call, which would be an
/// option: `self::plugin()`. A `?` in it is fine.
///
/// | option | meaning |
/// | --- | --- |
/// | `image = "postgres:15"` | run as a container; with tag or digest |
/// | `bin = "shop"`, `package = "shop"` | a binary of the workspace, run as a process; of this package unless said |
/// | `program = "minio"` | an installed program, run as a process, where there is no container engine |
/// | `args = ["--port", "{port}"]` | its arguments; the container's too, unless `command` says others |
/// | `command = ["serve"]` | the container's arguments |
/// | `port = 8080`, `port(api = 9000, admin = 9001)` | what it listens on; a free port of the host is mapped to each |
/// | `env(KEY = "text", "log.level" = "info")` | environment, besides a plugin's too |
/// | `ready(..)` | what makes it ready, see below |
/// | `start_timeout = "60s"`, `stop_grace = "1s"` | how long it may take to get ready, and to stop |
/// | `volumes = ["./seed:/seed:ro", "/data"]` | mounts; relative to the crate's directory; a path alone is an anonymous volume |
/// | `alias = "db"`, `aliases = [..]`, `network = "front"` | further host names, and the network, of a container |
/// | `exports(admin = "http://{host}:{port.admin}")` | what dependants may name besides `host`, `port` and `url` |
/// | `scope = "run"`, `scope = "test"` | one for the run, or one for each test |
/// | `optional` | tests go on without it |
/// | `name = "orders-db"` | its name in filters, reports and `CLNRM_<NAME>_URL`; the type's in kebab-case unless said |
/// | `crate = ::clnrm` | where clnrm is, when it is not a dependency of that name |
///
/// # Texts
///
/// `{field.export}` in `env`, `args` and `command` is what the dependency in
/// that field exports, as the service has to write it: checked when this
/// compiles. `{port}`, `{port.api}`, `{host}`, `{name}` and `{data_dir}` are the
/// service's own. `{{` and `}}` are braces.
///
/// # Ready
///
/// Several conditions are all awaited. What details a condition stands behind it.
///
/// | condition | details |
/// | --- | --- |
/// | `http = "/healthz"` | `port = "api"`, `status = 200`, `body = "regex"` |
/// | `tcp` | `port = "api"` |
/// | `log = "regex"` | `count = 2`, `stream = "stderr"` |
/// | `exec = ["pg_isready"]` | |
/// | `healthcheck` | the image's own |
/// | `all(..)`, `any(..)` | conditions |
///
/// `timeout = "10s"` at the end is `start_timeout`. Without `ready`, a service
/// with a port is ready when it accepts a connection.
///
/// A service has no generics, and is declared in a module, not in a function:
/// its name is where it is declared.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    service::service(&Root::facade(), arguments.into(), &item.into()).into()
}

/// Makes a plugin of a configuration struct, and a service of `Running<Self>`.
///
/// `#[plugin(..)]` on the struct takes the options of the attribute `service` that
/// say how to run something, but for `bin` and `package`, and:
///
/// | option | meaning |
/// | --- | --- |
/// | `type = "minio"` | the type of service; required |
/// | `name = "minio"` | the service's name; the type unless said |
/// | `version = "1.0.0"` | the plugin's version; the crate's unless said |
/// | `description = ".."` | one sentence; the first line of the documentation unless said |
/// | `scope = "run"`, `scope = "test"` | who owns an instance |
/// | `ready(plugin = path)` | a function `fn(&Self, &ServiceHandle) -> Result<()>`: one exchange with the service |
/// | `setters = false` | no `with_field` methods |
///
/// Fields are strings, `Secret`s, booleans, integers, paths, or an `Option` of
/// one; `{field}` in a text is the field's value.
///
/// | option of a field | meaning |
/// | --- | --- |
/// | `default = "minioadmin"` | the value when nobody gives one; required, but for an `Option` |
/// | `env = "MINIO_ROOT_USER"` | the variable that carries it |
/// | `secret` | never printed; a `Secret` is one already |
///
/// Besides `ServicePlugin` the derive implements `Default`, and a method
/// `with_field` for each field. The configuration that it can be made from as
/// JSON has the fields' names.
#[proc_macro_derive(ServicePlugin, attributes(plugin))]
pub fn plugin(item: TokenStream) -> TokenStream {
    plugin::plugin(&Root::facade(), item.into()).into()
}

/// As [`macro@test`], for a crate that has `clnrm-runtime` alone.
#[proc_macro_attribute]
pub fn runtime_test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    test::test(&Root::runtime(), arguments.into(), &item.into()).into()
}

/// As [`macro@service`], for a crate that has `clnrm-runtime` alone.
#[proc_macro_attribute]
pub fn runtime_service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    service::service(&Root::runtime(), arguments.into(), &item.into()).into()
}

/// As [`derive@ServicePlugin`], for a crate that has `clnrm-runtime` alone.
#[proc_macro_derive(RuntimeServicePlugin, attributes(plugin))]
pub fn runtime_plugin(item: TokenStream) -> TokenStream {
    plugin::plugin(&Root::runtime(), item.into()).into()
}
