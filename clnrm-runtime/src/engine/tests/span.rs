//! What a trace shows of a service: its spans, whose children they are, and how they ended.

use std::collections::HashMap;
use std::sync::LazyLock;

use opentelemetry::trace::{SpanId, Status, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing::Instrument;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

use super::sketch::{implied, own, service, shared, slice};
use super::stage::{Stage, owner};
use crate::backend::fake::Step;
use crate::engine::Keep;

/// Everything that this thread traces while it lives.
struct Trace {
    exporter: InMemorySpanExporter,
    provider: SdkTracerProvider,
    _guard: DefaultGuard,
}

/// Somebody who always listens: a place that a test without a listener reaches
/// first is otherwise remembered as one that nobody wants to hear of.
static LISTENER: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

impl Trace {
    fn begin() -> Self {
        LazyLock::force(&LISTENER);
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("clnrm"));
        let subscriber = tracing_subscriber::registry().with(layer);
        Self {
            exporter,
            provider,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// The spans that have ended, by the order of their beginning.
    fn spans(&self) -> Vec<SpanData> {
        self.provider.force_flush().unwrap();
        let mut spans = self.exporter.get_finished_spans().unwrap();
        spans.sort_by_key(|span| span.start_time);
        spans
    }

    /// `parent > name service: status`, one for each span.
    fn lines(&self) -> Vec<String> {
        let spans = self.spans();
        let names: HashMap<SpanId, &str> = spans
            .iter()
            .map(|span| (span.span_context.span_id(), span.name.as_ref()))
            .collect();
        let lines = spans.iter().map(|span| {
            let parent = names.get(&span.parent_span_id).unwrap_or(&"-");
            let status = match &span.status {
                Status::Unset => "unset".to_owned(),
                Status::Ok => "ok".to_owned(),
                Status::Error { description } => format!("error {description}"),
            };
            let service = attribute(span, "service");
            format!("{parent} > {} {service}: {status}", span.name)
        });
        lines.collect()
    }
}

fn attribute(span: &SpanData, key: &str) -> String {
    let found = span.attributes.iter().find(|it| it.key.as_str() == key);
    found.map_or_else(String::new, |it| it.value.as_str().into_owned())
}

#[tokio::test(start_paused = true)]
async fn the_life_of_a_service_is_four_spans() {
    let trace = Trace::begin();
    let stage = Stage::new([service("db")]);
    let test = tracing::info_span!("test", service = "");
    async {
        let db = stage.handle("a", own("db")).await;
        stage.engine.health(&db).await.unwrap();
        stage.release("a").await;
    }
    .instrument(test)
    .await;
    insta::assert_snapshot!(trace.lines().join("\n"), @r"
    - > test : unset
    test > plugin_start db: ok
    plugin_start > container_start db: ok
    test > plugin_health_check db: ok
    test > plugin_stop db: ok
    ");
    for span in trace.spans() {
        assert!(span.end_time > span.start_time, "{}", span.name);
        match span.name.as_ref() {
            "test" => {}
            "plugin_health_check" => assert_eq!(attribute(&span, "health"), "healthy"),
            _ => assert_eq!(attribute(&span, "backend"), "fake"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dependency_is_beside_its_dependant() {
    let trace = Trace::begin();
    let stage = Stage::new([service("db"), service("shop").needs(&["db"])]);
    let leases = [own("shop"), implied(shared("db"))];
    let test = tracing::info_span!("test", service = "");
    stage.acquire("a", leases).instrument(test).await.unwrap();
    insta::assert_snapshot!(trace.lines().join("\n"), @r"
    - > test : unset
    test > plugin_start db: ok
    plugin_start > container_start db: ok
    test > plugin_start shop: ok
    plugin_start > container_start shop: ok
    ");
    let spans = trace.spans();
    assert_eq!(attribute(&spans[1], "owner"), "run");
    assert_eq!(attribute(&spans[3], "owner"), "it a");
    stage.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_a_span_with_its_error() {
    let trace = Trace::begin();
    let stage = Stage::new([service("db").attempts(3)]);
    stage.fails_times(Step::Create, "db", 1);
    stage.acquire("a", [own("db")]).await.unwrap();
    stage.release("a").await;
    insta::assert_snapshot!(trace.lines().join("\n"), @r"
    - > plugin_start db: ok
    plugin_start > container_start db: error Create fails
    plugin_start > container_start db: ok
    - > plugin_stop db: ok
    ");
    let error = attribute(&trace.spans()[1], "error");
    assert!(error.starts_with("Create fails\n  service: db"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_is_in_the_span_where_it_did() {
    let trace = Trace::begin();
    let stage = Stage::new([service("db").asks_plugin(), service("cache")]);
    let why = crate::CleanroomError::service_error("no");
    stage.script.fails(Step::PluginReady, "db", usize::MAX, why);
    stage.acquire("a", [own("db")]).await.unwrap_err();
    let cache = stage.handle("b", own("cache")).await;
    stage.fails_times(Step::Inspect, "cache", 1);
    stage.engine.health(&cache).await.unwrap_err();
    stage.fails_times(Step::Stop, "cache", 1);
    stage.engine.release(&owner("b"), Keep::Nothing).await;
    insta::assert_snapshot!(trace.lines().join("\n"), @r"
    - > plugin_start db: error service `db` was not ready within 60.0s
    plugin_start > container_start db: ok
    - > plugin_start cache: ok
    plugin_start > container_start cache: ok
    - > plugin_health_check cache: error Inspect fails
    - > plugin_stop cache: error Stop fails
    ");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_given_up_ends_its_span() {
    let trace = Trace::begin();
    let stage = Stage::new([service("db")]);
    stage.script.hangs(Step::Start, "db");
    let acquiring = stage.acquiring("a", [slice("db")]);
    let second = std::time::Duration::from_secs(1);
    tokio::time::timeout(second, std::future::pending::<()>())
        .await
        .unwrap_err();
    stage.shutdown().await;
    acquiring.await.unwrap().unwrap_err();
    let lines = trace.lines();
    let given_up = "the start of `db` was given up: whoever asked for it has ended";
    assert!(lines.contains(&format!("- > plugin_start db: error {given_up}")));
}
