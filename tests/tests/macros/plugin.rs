//! `#[derive(ServicePlugin)]`, and services that are a plugin configured.

use clnrm::service::{Secret, Var};
use clnrm::{Running, ServiceHandle, ServicePlugin};
use clnrm_runtime::__private::{PluginType, inventory, serde_json};
use clnrm_runtime::declare::Service;
use clnrm_runtime::plugin::PluginRegistration;
use serde_json::json;

use super::{declaration_of, lease_of, spec_of, texts};

/// Object storage.
///
/// What follows the first line describes nothing.
#[derive(Debug, Clone, clnrm::ServicePlugin)]
#[plugin(type = "minio", image = "minio/minio:1", program = "minio", args = ["server", "{data_dir}"])]
#[plugin(port(api = 9000), ready(plugin = Self::answers), env(BROWSER = "off"), exports(login = "{user}@{host}"))]
struct Minio {
    #[plugin(env = "MINIO_ROOT_USER", default = "minioadmin")]
    user: String,
    #[plugin(env = "MINIO_ROOT_PASSWORD", default = "minioadmin", secret)]
    password: String,
    #[plugin(default = "hidden")]
    key: Secret,
    #[plugin(env = "MINIO_REGION")]
    region: Option<String>,
    #[plugin(env = "MINIO_LIMIT", default = 2 + 2)]
    limit: u16,
}

impl Minio {
    fn answers(&self, handle: &ServiceHandle) -> clnrm::Result<()> {
        Err(clnrm::CleanroomError::service_error(format!(
            "`{}` does not know {}",
            handle.name(),
            self.user
        )))
    }
}

#[clnrm::service(Minio::default().with_user("me").with_region("here"), env(EXTRA = "{user}"), name = "store")]
struct Store(Running<Minio>);

#[clnrm::service(Minio::default())]
struct Plain {
    handle: ServiceHandle,
}

fn registration() -> &'static PluginRegistration {
    let mut all = inventory::iter::<PluginRegistration>.into_iter();
    all.find(|plugin| plugin.service_type == "minio").unwrap()
}

#[test]
fn it_says_what_it_is() {
    let minio = Minio::default();
    assert_eq!((minio.name(), minio.service_type()), ("minio", "minio"));
    assert_eq!(minio.version().to_string(), env!("CARGO_PKG_VERSION"));
    assert_eq!(registration().description, "Object storage.");
    assert_eq!(registration().version, env!("CARGO_PKG_VERSION"));
    assert_eq!(<Minio as PluginType>::NAME, "minio");
    assert_eq!(
        <Running<Minio> as Service>::EXPORTS,
        ["host", "port", "url", "login"]
    );
}

#[test]
fn its_fields_are_environment_and_variables() {
    let spec = Minio::default().spec().unwrap().unwrap();
    assert!(spec.container.is_some() && spec.process.is_some());
    assert_eq!(
        texts(&spec.env),
        [
            "API_PORT={port.api}",
            "BROWSER=off",
            "MINIO_LIMIT={limit}",
            "MINIO_ROOT_PASSWORD={password}",
            "MINIO_ROOT_USER={user}",
            "PORT={port}",
        ]
    );
    assert_eq!(spec.vars["limit"], Var::plain("4"));
    assert_eq!(spec.vars["password"], Var::secret("minioadmin"));
    assert_eq!(spec.vars["key"], Var::secret("hidden"));
    assert!(!spec.vars.contains_key("region"));
}

#[test]
fn its_configuration_shows_no_secret() {
    let config = Minio::default().with_limit(9).config().unwrap();
    assert_eq!(
        (&config["user"], &config["limit"]),
        (&json!("minioadmin"), &json!(9))
    );
    assert_eq!(config["region"], json!(null));
    let text = config.to_string();
    assert!(
        !text.contains("hidden") && text.contains("sha256:"),
        "{text}"
    );
}

#[test]
fn it_is_made_from_json_laid_over_the_defaults() {
    let made = (registration().construct)(json!({ "user": "you", "limit": 1 })).unwrap();
    let config = made.config().unwrap();
    assert_eq!(
        (&config["user"], &config["limit"]),
        (&json!("you"), &json!(1))
    );
    let default = (registration().construct)(serde_json::Value::Null).unwrap();
    assert_eq!(
        default.config().unwrap(),
        Minio::default().config().unwrap()
    );
    let error = (registration().construct)(json!({ "usr": "you" })).unwrap_err();
    assert_eq!(error.hint(), Some("did you mean `user`?"));
}

#[test]
fn its_exchange_is_the_function_that_it_names() {
    let handle = lease_of::<Running<Minio>>(Vec::new()).handle;
    let error = Minio::default().ready(&handle).unwrap_err();
    assert_eq!(error.message(), "`minio` does not know minioadmin");
}

#[test]
fn a_running_one_has_the_defaults() {
    let store = Running::<Minio>::attach(lease_of::<Running<Minio>>(Vec::new())).unwrap();
    assert_eq!(store.config().user, "minioadmin");
    assert_eq!(store.endpoint("api").unwrap().port, 1000);
    assert!(store.config().region.is_none() && store.config().limit == 4);
    assert_eq!(store.config().password, store.config().user);
    assert_eq!(store.config().key.expose(), "hidden");
}

#[test]
fn a_configured_one_has_the_configuration_of_its_declaration() {
    let store = Store::attach(lease_of::<Store>(Vec::new())).unwrap();
    assert_eq!(store.config().user, "me");
    assert_eq!(store.config().region.as_deref(), Some("here"));
    assert_eq!(spec_of::<Store>().vars["user"], Var::plain("me"));
    assert_eq!(
        texts(
            declaration_of::<Store>()
                .env_templates()
                .unwrap()
                .iter()
                .map(|(name, text)| (name, text))
        ),
        ["EXTRA={user}"]
    );
    assert_eq!(Store::EXPORTS, <Running<Minio> as Service>::EXPORTS);
}

#[test]
fn a_handle_alone_leaves_the_exports_to_the_plan() {
    assert_eq!(Plain::EXPORTS, ["*"]);
    let plain = Plain::attach(lease_of::<Plain>(Vec::new())).unwrap();
    assert_eq!(plain.handle.var("user"), Some("minioadmin"));
}

#[clnrm::service(Minio::default().with_user("you"))]
struct StoreOfStore(Store);

#[clnrm::service(clnrm::redis::plugin())]
struct NoStore(Store);

#[clnrm::service(program = "minio", port = 9000)]
struct NoPlugin(Running<Minio>);

#[clnrm::service(program = "postgres", port = 5432)]
struct NoPostgres(clnrm::postgres::Postgres);

/// The error of a declaration that holds what its plugin is not.
#[track_caller]
fn refused<S: Service>() -> (String, String) {
    let error = (declaration_of::<S>().plugin)().unwrap_err();
    (error.message().to_owned(), error.hint().unwrap().to_owned())
}

#[test]
fn a_service_that_holds_another_has_its_own_configuration() {
    let store = StoreOfStore::attach(lease_of::<StoreOfStore>(Vec::new())).unwrap();
    assert_eq!(store.config().user, "you");
}

#[test]
fn what_a_held_service_holds_is_not_run_by_another_plugin() {
    let (message, hint) = refused::<NoStore>();
    assert_eq!(
        message,
        "it is declared with a plugin of type `redis`, and holds a handle of `minio`"
    );
    assert!(hint.contains("a `ServiceHandle`"), "{hint}");
}

#[test]
fn what_options_run_is_held_by_no_handle_of_a_plugin() {
    let (message, hint) = refused::<NoPostgres>();
    assert_eq!(
        message,
        "it is declared by options, and holds a handle of `postgres`"
    );
    assert!(hint.contains("as the first argument"), "{hint}");
    let (message, _) = refused::<NoPlugin>();
    assert!(message.ends_with("a handle of `minio`"), "{message}");
}
