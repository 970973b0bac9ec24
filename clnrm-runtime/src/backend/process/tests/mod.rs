//! Real processes of this machine, each test in a run of its own.

mod contract;
mod instance;
mod real;
mod seed;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{ProcessBackend, ProcessConfig};
use crate::backend::{Backend, CreateRequest, LogLine, Source, Started, State};
use crate::cache::Cache;
use crate::error::CleanroomError;
use crate::keeper::Keeper;
use crate::run::Run;
use crate::service::{
    InstanceId, InstanceKey, MAIN_PORT, NamedProgram, Port, ProcessSpec, Spec, Template,
};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A run with its keeper, a backend, and a cache of its own.
struct Bed {
    run: Run,
    keeper: Keeper,
    backend: ProcessBackend,
    cache: TempDir,
}

impl Bed {
    async fn new() -> Self {
        let cache = tempfile::tempdir().unwrap();
        // As root, servers run as another user, who has to pass through.
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let (run, keeper, backend) = begin(cache.path()).await;
        Self {
            run,
            keeper,
            backend,
            cache,
        }
    }

    fn request(&self, name: &str, spec: Spec, program: &Path) -> CreateRequest {
        let key = InstanceKey::of([name]);
        CreateRequest {
            service: name.to_owned(),
            label: self.run.label(name, &key),
            key,
            spec,
            source: Source::Program {
                path: program.to_owned(),
                version: None,
            },
            needs: BTreeMap::from([("db.url".to_owned(), "postgres://there".to_owned())]),
            network: None,
            joins: Vec::new(),
        }
    }

    /// Creates and starts what `spec` says.
    async fn start(&self, spec: Spec, program: &Path) -> (InstanceId, Started) {
        let request = self.request("it", spec, program);
        let id = self.backend.create(&request).await.unwrap();
        let started = self.backend.start(&id).await.unwrap();
        (id, started)
    }

    async fn perl(&self, script: &str, ports: &[&str]) -> (InstanceId, Started) {
        self.start(perl(script, ports), Path::new("/usr/bin/perl"))
            .await
    }

    async fn exit(&self, id: &InstanceId) -> i32 {
        until("the exit", async || {
            match self.backend.inspect(id).await.unwrap().state {
                State::Exited { code } => Some(code),
                _ => None,
            }
        })
        .await
    }

    async fn lines(&self, id: &InstanceId) -> Vec<LogLine> {
        let lines = self.backend.logs(id, None, false).collect::<Vec<_>>().await;
        lines.into_iter().map(Result::unwrap).collect()
    }

    async fn texts(&self, id: &InstanceId) -> Vec<String> {
        let lines = self.lines(id).await.into_iter();
        lines.map(|line| line.text).collect()
    }

    async fn said(&self, id: &InstanceId, text: &str) {
        let line = async {
            let mut lines = self.backend.logs(id, None, true);
            while let Some(line) = lines.next().await {
                if line.unwrap().text.contains(text) {
                    return;
                }
            }
            panic!(
                "it ended without saying `{text}`: {:?}",
                self.texts(id).await
            );
        };
        tokio::time::timeout(DEADLINE, line).await.unwrap();
    }

    fn dir(&self, id: &InstanceId) -> PathBuf {
        self.run.dir().join(id.as_str())
    }

    /// Ends the run, of which nothing may be left.
    async fn end(self) {
        end(self.run, self.keeper, self.backend).await;
    }
}

async fn begin(cache: &Path) -> (Run, Keeper, ProcessBackend) {
    let run = Run::begin().unwrap();
    let keeper = Keeper::start(&run).await.unwrap();
    let config = ProcessConfig {
        cache: Cache::at(cache),
        user: None,
    };
    let backend = ProcessBackend::new(&run, keeper.clone(), config);
    (run, keeper, backend)
}

async fn end(run: Run, keeper: Keeper, backend: ProcessBackend) {
    backend.sweep(run.id()).await.unwrap();
    assert!(backend.list(run.id()).await.unwrap().is_empty());
    let left: Vec<_> = fs::read_dir(run.dir()).unwrap().flatten().collect();
    let left: Vec<_> = left.iter().filter(|entry| entry.path().is_dir()).collect();
    assert!(left.is_empty(), "{left:?}");
    drop(backend);
    keeper.dismiss().await.unwrap();
    let dir = run.dir().to_owned();
    run.end().unwrap();
    assert!(!dir.exists());
}

/// A Perl script, which every Debian can run: `$ARGV[0]` is its first port.
fn perl(script: &str, ports: &[&str]) -> Spec {
    let mut process = ProcessSpec::new(NamedProgram::new("perl"));
    process.args = vec![Template::literal("-e"), Template::literal(script)];
    if !ports.is_empty() {
        process.args.push("{port}".parse().unwrap());
    }
    let ports = ports
        .iter()
        .map(|name| ((*name).to_owned(), Port::tcp(80)))
        .collect();
    Spec {
        process: Some(process),
        ports,
        ..Spec::default()
    }
}

/// Accepts connections on its first port until it is ended.
const SERVER: &str = r#"
    use IO::Socket::INET;
    $| = 1;
    my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => $ARGV[0], Listen => 8, ReuseAddr => 1)
        or die "cannot bind: $!\n";
    print "to stdout\n";
    print STDERR "to stderr\n";
    while (my $c = $s->accept) { print $c "hello\n"; close $c }
"#;

fn port(started: &Started) -> u16 {
    started.endpoints[MAIN_PORT].port
}

async fn connect(port: u16) -> TcpStream {
    until(&format!("an answer on port {port}"), async || {
        TcpStream::connect(("127.0.0.1", port)).await.ok()
    })
    .await
}

async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        let mut pause = tokio::time::interval(Duration::from_millis(5));
        loop {
            pause.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(DEADLINE, asking).await;
    answer.unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// Whether a process is there and has not ended.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: crate::Result<T>) -> CleanroomError {
    result.unwrap_err()
}
