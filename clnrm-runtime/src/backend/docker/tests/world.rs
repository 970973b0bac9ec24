//! A run of its own for one test, and a look at the engine past the backend.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{FutureExt, StreamExt};
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{ContainerConfig, ContainerInspectResponse};
use testcontainers::bollard::query_parameters::{
    CommitContainerOptionsBuilder, RemoveImageOptions,
};

use crate::backend::docker::DockerBackend;
use crate::backend::docker::connect::Maker;
use crate::backend::{Backend, CreateRequest, NetworkId, Source, Started, State};
use crate::clock::Clock;
use crate::error::Result;
use crate::label::{Label, Owner};
use crate::service::{
    ContainerSpec, Endpoint, ImageRef, InstanceId, InstanceKey, Port, RunId, Secrets, Spec,
    Template, Wait,
};
use crate::wait::{self, Readiness, Target};

pub(super) const BUSYBOX: &str = "clnrm-test/busybox:1";
pub(super) const WEB: &str = "clnrm-test/web:1";

/// An engine, and a run that exists for one test alone.
#[derive(Debug)]
pub(super) struct World {
    pub(super) backend: DockerBackend,
    pub(super) run: RunId,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl World {
    /// Connects; `None` where there is no engine and the test is skipped.
    pub(super) async fn open() -> Option<Self> {
        let backend = match DockerBackend::connect().await {
            Ok(backend) => backend,
            Err(error) => {
                let required = std::env::var_os("CLNRM_REQUIRE_DOCKER").is_some_and(|v| v == "1");
                assert!(!required, "CLNRM_REQUIRE_DOCKER=1, and {error:?}");
                eprintln!("SKIPPED, as no container engine answers: {error}");
                return None;
            }
        };
        Some(Self {
            backend,
            run: run_id(),
        })
    }

    /// As [`Self::open`], with containers made by bollard alone.
    pub(super) async fn open_without_testcontainers() -> Option<Self> {
        let mut world = Self::open().await?;
        world.backend.connection.maker = Maker::Bollard;
        Some(world)
    }

    pub(super) fn is_podman(&self) -> bool {
        self.backend.description.is_podman
    }

    /// How many of `count` anonymous volumes a listing shows: Podman 4 leaves
    /// their labels out, and removes them with their container all the same.
    pub(super) fn labelled(&self, count: usize) -> usize {
        if self.is_podman() { 0 } else { count }
    }

    pub(super) fn docker(&self) -> &Docker {
        &self.backend.connection.docker
    }

    pub(super) fn label(&self, service: &str) -> Label {
        let attempt = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        Label {
            run: self.run.clone(),
            owner: owner(),
            service: service.to_owned(),
            key: InstanceKey::of([service, &attempt]),
            attempt,
        }
    }

    pub(super) fn request(&self, service: &str, spec: Spec) -> CreateRequest {
        let label = self.label(service);
        let image = spec.container.as_ref().unwrap().image.clone();
        CreateRequest {
            service: service.to_owned(),
            key: label.key.clone(),
            label,
            spec,
            source: Source::Image(image),
            needs: BTreeMap::new(),
            network: None,
            joins: Vec::new(),
        }
    }

    /// Creates and starts `spec`.
    pub(super) async fn start(&self, service: &str, spec: Spec) -> (InstanceId, Started) {
        self.start_request(&self.request(service, spec)).await
    }

    pub(super) async fn start_request(&self, request: &CreateRequest) -> (InstanceId, Started) {
        let id = self.backend.create(request).await.unwrap();
        let started = self.backend.start(&id).await.unwrap();
        (id, started)
    }

    /// Starts `spec` and waits for what it waits for.
    pub(super) async fn start_ready(
        &self,
        service: &str,
        spec: Spec,
    ) -> (InstanceId, Started, Result<Readiness>) {
        let (id, started) = self.start(service, spec.clone()).await;
        let ready = self.ready(service, &id, &spec, &started.endpoints, None);
        let outcome = ready.await;
        (id, started, outcome)
    }

    /// Waits for what `spec` waits for.
    pub(super) async fn ready(
        &self,
        service: &str,
        id: &InstanceId,
        spec: &Spec,
        endpoints: &BTreeMap<String, Endpoint>,
        since: Option<SystemTime>,
    ) -> Result<Readiness> {
        let image = spec.container.as_ref().unwrap().image.clone();
        let target = Target {
            backend: &self.backend,
            id,
            service,
            source: &Source::Image(image),
            spec,
            secrets: &Secrets::default(),
            endpoints,
            since,
        };
        let ready = || async { Ok(()) }.boxed();
        let deadline = Clock::default().deadline(spec.start_timeout);
        wait::until_ready(&target, &ready, &deadline).await
    }

    pub(super) async fn network(&self, name: &str) -> NetworkId {
        let label = self.label(name);
        self.backend.create_network(name, &label).await.unwrap()
    }

    /// What the engine says, past the backend.
    pub(super) async fn inspect(&self, id: &InstanceId) -> ContainerInspectResponse {
        let answer = self.docker().inspect_container(id.as_str(), None).await;
        answer.unwrap()
    }

    pub(super) async fn state(&self, id: &InstanceId) -> State {
        self.backend.inspect(id).await.unwrap().state
    }

    /// Runs a shell command inside and gives its standard output and exit code.
    pub(super) async fn shell(&self, id: &InstanceId, command: &str) -> (String, i32) {
        let command = ["sh", "-c", command].map(str::to_owned);
        let output = self.backend.exec(id, &command).await.unwrap();
        (output.stdout_text().trim_end().to_owned(), output.code)
    }

    /// What is there of this run.
    pub(super) async fn left(&self) -> Vec<String> {
        self.backend.list(&self.run).await.unwrap()
    }

    /// Everything is gone without a sweep.
    pub(super) async fn close(self) {
        assert_eq!(self.left().await, Vec::<String>::new());
    }
}

impl Drop for World {
    /// A failed test leaves nothing behind either.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let (run, image) = (self.run.clone(), self.own_image());
        let sweep = async move {
            let backend = DockerBackend::connect().await?;
            let swept = backend.sweep(&run).await;
            let options = None::<RemoveImageOptions>;
            // Most tests have made no image, and then there is nothing to remove.
            let _ = backend
                .connection
                .docker
                .remove_image(&image, options, None)
                .await;
            swept
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(sweep)
        });
        eprintln!("swept after a failure: {:?}", thread.join());
    }
}

fn run_id() -> RunId {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let text = format!("{}/{}/{next}", now.as_nanos(), std::process::id());
    let hash = InstanceKey::of([text.as_str()]);
    RunId::new(&hash.as_str()[..12])
}

/// Who runs the tests may say a word of its own, to tell from others' what they leave.
pub(super) fn owner() -> Owner {
    Owner {
        boot: std::env::var("CLNRM_TEST_OWNER").unwrap_or_else(|_| "test".to_owned()),
        namespace: 0,
        uid: 0,
        pid: std::process::id(),
        started: 0,
    }
}

pub(super) fn image(name: &str) -> ImageRef {
    name.parse().unwrap()
}

pub(super) fn template(text: &str) -> Template {
    text.parse().unwrap()
}

/// A container of `image` that waits for nothing.
pub(super) fn spec(image_name: &str) -> Spec {
    Spec {
        container: Some(ContainerSpec::new(image(image_name))),
        wait: Wait::Running,
        start_timeout: Duration::from_secs(30),
        ..Spec::default()
    }
}

/// A shell script in a busybox.
pub(super) fn script(text: &str) -> Spec {
    let mut spec = spec(BUSYBOX);
    container(&mut spec).command = Some(["sh", "-c", text].map(Template::literal).to_vec());
    spec
}

/// The web server of the test images on its port.
pub(super) fn web() -> Spec {
    let mut spec = spec(WEB);
    spec.ports.insert("main".to_owned(), Port::tcp(80));
    spec.wait = Wait::http("/healthz");
    spec
}

pub(super) fn container(spec: &mut Spec) -> &mut ContainerSpec {
    spec.container.as_mut().unwrap()
}

/// A GET of `path`, as text: the status line, the headers and the body.
pub(super) async fn get(endpoint: &Endpoint, path: &str) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect((&*endpoint.host, endpoint.port)).await?;
    let request = format!("GET {path} HTTP/1.0\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

impl World {
    /// The name of the image that this test may make.
    fn own_image(&self) -> String {
        format!("clnrm-test/{}:1", self.run)
    }

    /// Makes an image: the busybox with one more line of a Dockerfile.
    pub(super) async fn image_with(&self, change: &str) -> String {
        let (id, _) = self.start("base", script("exec sleep 600")).await;
        let name = self.own_image();
        let (repository, tag) = name.split_once(':').unwrap();
        let options = CommitContainerOptionsBuilder::new()
            .container(id.as_str())
            .repo(repository)
            .tag(tag)
            .changes(change)
            .build();
        let commit = self
            .docker()
            .commit_container(options, ContainerConfig::default());
        commit.await.unwrap();
        self.backend.remove(&id).await.unwrap();
        name
    }

    pub(super) async fn remove_image(&self, name: &str) {
        let options = None::<RemoveImageOptions>;
        let removed = self.docker().remove_image(name, options, None);
        removed.await.unwrap();
    }

    /// The log so far, as text.
    pub(super) async fn log(&self, id: &InstanceId) -> String {
        let lines = self.backend.logs(id, None, false);
        let lines: Vec<String> = lines.map(|line| line.unwrap().text).collect().await;
        lines.join("\n")
    }
}
