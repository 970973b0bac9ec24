//! Expansions of `#[derive(ServicePlugin)]`.

use crate::root::Root;
use crate::snapshot::{assert_text, pretty, tokens};

#[track_caller]
fn check(name: &str, item: &str) {
    let expansion = super::plugin(&Root::facade(), tokens(item));
    assert_text!(name, pretty(expansion));
}

#[test]
fn the_plugin_of_the_design() {
    check(
        "minio",
        "#[plugin(type = \"minio\", image = \"minio/minio:1\", program = \"minio\", args = [\"server\", \"{data_dir}\"],
            port(api = 9000), ready(http = \"/minio/health/ready\", port = \"api\"))]
        pub struct Minio {
            #[plugin(env = \"MINIO_ROOT_USER\", default = \"minioadmin\")]
            user: String,
            #[plugin(env = \"MINIO_ROOT_PASSWORD\", default = \"minioadmin\", secret)]
            password: String,
        }",
    );
}

#[test]
fn every_other_option() {
    check(
        "options",
        "/// A queue.
        #[plugin(type = \"queue\", name = \"jobs\", version = \"1.2.3\", scope = \"run\", crate = own)]
        #[plugin(program = \"queued\", port = 7000, ready(plugin = Self::answers), exports(admin = \"{token}@{host}\"), env(LOG = \"{level}\"))]
        struct Queue {
            #[plugin(default = 3)]
            level: u8,
            token: Option<String>,
            #[plugin(default = \"hidden\")]
            key: clnrm::service::Secret,
            #[plugin(env = \"DIR\")]
            dir: Option<std::path::PathBuf>,
            #[plugin(default = limit())]
            limit: Option<u32>,
        }"
        .replace("{token}", "{key}")
        .as_str(),
    );
}

#[test]
fn a_plugin_without_settings_or_setters() {
    check(
        "unit",
        "#[plugin(type = \"mail\", image = \"mail:1\", description = \"Mail.\", setters = false)] struct Mail;",
    );
}

#[test]
fn a_struct_with_mistakes_is_a_plugin_all_the_same() {
    check(
        "mistakes",
        "#[plugin(image = \"mail\")] struct Mail { user: String }",
    );
}
