//! What a test holds of a running service of any kind.

use clnrm_runtime::declare::ANY_EXPORT;

clnrm_runtime::handle! {
    /// A running service of any kind: endpoints, exports, nothing more.
    ///
    /// Which exports it has is up to its declaration: the plan looks whether
    /// there is one that a dependant names. It derefs to [`ServiceHandle`](clnrm_runtime::ServiceHandle). A test does not
    /// name it itself, since it says no image:
    /// `#[clnrm::service(clnrm::generic::plugin("nginx:1.29").port(80))] struct Web(Generic);`
    /// is what a test names.
    pub struct Generic: "generic", exports &[ANY_EXPORT];
}
