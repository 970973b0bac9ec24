//! What a test holds of a running service of any kind.

clnrm_runtime::handle! {
    /// A running service of any kind: endpoints, exports, nothing more.
    ///
    /// It derefs to [`ServiceHandle`](clnrm_runtime::ServiceHandle). A test does not
    /// name it itself, since it says no image:
    /// `#[clnrm::service(clnrm::generic::plugin("nginx:1.29").port(80))] struct Web(Generic);`
    /// is what a test names.
    pub struct Generic: "generic", exports &["url", "host", "port"];
}
