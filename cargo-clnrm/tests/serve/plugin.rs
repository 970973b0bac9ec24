//! What this binary is as a host: two services whose plugins do as they are told.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use clnrm_runtime::declare::{ServiceDeclaration, TestDeclaration, line, line_len};
use clnrm_runtime::engine::ambient;
use clnrm_runtime::plugin::{External, Location};
use clnrm_runtime::private::NeedTree;
use clnrm_runtime::private::inventory;
use clnrm_runtime::protocol::wire::{self, host_message, hosts_client::HostsClient};
use clnrm_runtime::protocol::{self, Token};
use clnrm_runtime::service::{
    HealthStatus, NamedProgram, ProcessSpec, ServiceHandle, ServiceId, Slice, SliceId, Spec, Var,
};
use clnrm_runtime::session::{Flavor, TestCase, run_sync};
use clnrm_runtime::{CleanroomError, Result, ServicePlugin};

/// Misbehaviour that begins before the wrapper, by the variable [`BEFORE`].
pub(crate) const BEFORE: &str = "SERVE_TEST_BEFORE";

/// How `start` of [`Odd`] behaves, by this variable.
pub(crate) const START: &str = "SERVE_TEST_START";

const TEST: TestDeclaration = TestDeclaration {
    path: "serve::plugin::host",
    file: file!(),
    line: line!(),
    timeout_ms: 0,
    fresh: false,
    ignored: true,
    shared: &NeedTree::All(&[]),
    needs: &NeedTree::All(&[]),
};
static LINE: [u8; line_len(&TEST)] = line(&TEST);
static CASE: TestCase = TestCase {
    declaration: &TEST,
    line: &LINE,
    package: env!("CARGO_PKG_NAME"),
    target: "serve",
    flavor: Flavor::CurrentThread,
};

#[test]
#[ignore = "the other tests enter it as a host"]
#[expect(clippy::exit, reason = "a host that ends as it should not")]
fn host() {
    match std::env::var(BEFORE).as_deref() {
        Ok("exit") => {
            println!("no license for this test");
            std::process::exit(7);
        }
        Ok("hang") => hang(),
        Ok("skew") => greet_as_another_version(),
        _ => {}
    }
    run_sync(&CASE, async |_| Ok(()), |()| {});
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

/// What a binary of a later release would do.
fn greet_as_another_version() {
    let socket = std::env::var(protocol::HOST_VARIABLE).unwrap();
    let token = Token::new(std::env::var(protocol::TOKEN_VARIABLE).unwrap());
    let hello = wire::HelloRequest {
        version: protocol::VERSION + 1,
        release: "9.9.9".to_owned(),
        install: "cargo install cargo-clnrm@9.9.9".to_owned(),
        pid: std::process::id(),
    };
    let message = wire::HostMessage {
        message: Some(host_message::Message::Hello(hello)),
    };
    let exchange = async move {
        let connection = protocol::connect(socket.as_ref(), &token).await.unwrap();
        let messages = futures_util::stream::iter([message]);
        let mut inbound = HostsClient::new(connection)
            .serve(messages)
            .await
            .unwrap()
            .into_inner();
        // The greeting, then the end of the stream.
        assert!(inbound.message().await.unwrap().is_some());
        assert!(inbound.message().await.unwrap().is_none());
    };
    clnrm_runtime::engine::block_on(exchange).unwrap();
}

/// Does as its URLs say.
#[derive(Debug)]
struct Odd;

impl ServicePlugin for Odd {
    fn name(&self) -> &str {
        "odd"
    }

    fn start(&self) -> Result<ServiceHandle> {
        let how = std::env::var(START).unwrap_or_default();
        let made = ambient::start("made", "odd", &spec(), &|_| Ok(()), &|_| {
            Err(CleanroomError::service_error("migrated"))
        });
        if let (Some(("tell", file)), Err(error)) = (how.split_once(':'), &made) {
            std::fs::write(file, error.message()).unwrap();
        }
        let handle = made?;
        match how.split_once(':') {
            Some(("crash", file)) if first_time(file) => std::process::abort(),
            Some(("fail", _)) => Err(CleanroomError::service_error("made, but no good")),
            Some(("late", _)) => {
                // Its own wish to stop waits for the answer of the engine.
                let _ = ambient::health_check(&handle, &spec(), &|_| Ok(()));
                Ok(handle)
            }
            _ => Ok(handle),
        }
    }

    fn stop(&self, handle: ServiceHandle) -> Result<()> {
        ambient::stop(&handle)
    }

    fn health_check(&self, handle: &ServiceHandle) -> Result<HealthStatus> {
        ambient::health_check(handle, &spec(), &|_| {
            Err(CleanroomError::service_error("not yet"))
        })
    }

    fn migrate(&self, handle: &ServiceHandle) -> Result<()> {
        abort_once(handle);
        Ok(())
    }

    fn slice(&self, handle: &ServiceHandle, id: &SliceId) -> Result<Slice> {
        abort_once(handle);
        Ok(Slice::new(id.clone(), [("database", Var::plain(&id.name))]))
    }

    fn sweep(&self, _: &ServiceHandle, is_stale: &dyn Fn(&str) -> bool) -> Result<Vec<String>> {
        let names = [
            "clnrm_0123456789abcdef_1",
            "clnrm_0123456776543210_1",
            "orders",
        ];
        let stale = names.into_iter().filter(|name| is_stale(name));
        Ok(stale.map(str::to_owned).collect())
    }

    /// Not an external service at all: a way in for the tests.
    fn external(&self, url: &str) -> Result<External> {
        match url.split_once(':').unwrap_or((url, "")) {
            ("echo", text) => Ok(answer(text)),
            ("pid", _) => Ok(answer(&std::process::id().to_string())),
            ("abort" | "abort-then-fail", file) if first_time(file) => abort(),
            ("abort-then-fail", _) => Err(CleanroomError::service_error("it is half there")),
            ("abort", _) => Ok(answer("survived")),
            ("hang", _) => {
                // The engine of the test sees this, and knows that the call is here.
                let _ = ambient::stop(&super::fixture::handle("marker"));
                hang()
            }
            ("hang-once", file) if first_time(file) => self.external("hang:"),
            ("hang-once", _) => Ok(answer("survived")),
            ("heir", _) => Ok(answer(&leave_an_heir())),
            ("thread", _) => {
                let made = std::thread::spawn(|| {
                    ambient::start("made", "odd", &spec(), &|_| Ok(()), &|_| Ok(()))
                });
                made.join().unwrap().map(|_| answer("made"))
            }
            ("variable", name) => Ok(answer(&std::env::var(name).unwrap_or_default())),
            (other, _) => panic!("what is {other}?"),
        }
    }
}

fn abort() -> ! {
    eprintln!("about to abort");
    std::process::abort()
}

/// Crashes at the first call about a service that is named `abort:` and a file.
fn abort_once(handle: &ServiceHandle) {
    match handle.name().split_once(':') {
        Some(("abort", file)) if first_time(file) => abort(),
        _ => {}
    }
}

/// A process that keeps every file of this one open, the stream included, as
/// one that was forked without an exec would.
fn leave_an_heir() -> String {
    use rustix::io::{FdFlags, fcntl_setfd};
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let own = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let names = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = names.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse());
    let numbers: Vec<i32> = numbers.collect::<std::result::Result<_, _>>().unwrap();
    let copy = |number| pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok();
    let copies: Vec<_> = numbers.into_iter().filter_map(copy).collect();
    for copy in &copies {
        fcntl_setfd(copy, FdFlags::empty()).unwrap();
    }
    let heir = std::process::Command::new("sleep").arg("120").spawn();
    heir.unwrap().id().to_string()
}

fn answer(text: &str) -> External {
    External {
        host: text.to_owned(),
        port: 1,
        vars: BTreeMap::new(),
    }
}

/// Whether `file` was not there yet; it is from now on. No file is always new.
fn first_time(file: &str) -> bool {
    if file.is_empty() {
        return true;
    }
    let made = std::fs::File::create_new(file);
    made.and_then(|mut file| file.write_all(b"x")).is_ok()
}

fn spec() -> Spec {
    Spec {
        process: Some(ProcessSpec::new(NamedProgram::new("odd"))),
        ..Spec::default()
    }
}

/// Says its own data; its configuration is wrong.
fn broken() -> Result<Arc<dyn ServicePlugin>> {
    Err(CleanroomError::validation_error("the tag `?` is no tag"))
}

macro_rules! declare {
    ($id:literal, $name:literal, $plugin:expr) => {
        inventory::submit! {
            ServiceDeclaration {
                id: $id,
                name: $name,
                location: Location { file: file!(), line: line!() },
                manifest_dir: env!("CARGO_MANIFEST_DIR"),
                scope: None,
                optional: false,
                needs: &[],
                env: &[],
                plugin: $plugin,
            }
        }
    };
}

declare!("cargo-clnrm/serve/plugin::Odd", "odd", || Ok(Arc::new(Odd)));
declare!("cargo-clnrm/serve/plugin::Broken", "broken", broken);

pub(crate) fn odd() -> ServiceId {
    ServiceId::new("cargo-clnrm/serve/plugin::Odd")
}
