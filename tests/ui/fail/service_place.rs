//! A service inside a function has no place that `module_path!()` could name.

#[test]
fn a_function() {
    #[clnrm::service(image = "a:1")]
    struct Local(clnrm::ServiceHandle);
}

#[test]
fn another_function() {
    #[derive(Debug, clnrm::ServicePlugin)]
    #[plugin(type = "local", image = "a:1")]
    struct LocalPlugin;
}
