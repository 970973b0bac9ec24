//! What only the types of a plugin tell.

#[derive(Debug, clnrm::ServicePlugin)]
#[plugin(type = "a", image = "a:1")]
struct Fields {
    #[plugin(default = vec![])]
    list: Vec<String>,
    maybe: Option<Vec<u8>>,
    #[plugin(default = std::time::Duration::from_secs(1))]
    every: std::time::Duration,
    #[plugin(default = 7)]
    title: String,
    #[plugin(default = "7")]
    size: u16,
}

#[derive(clnrm::ServicePlugin)]
#[plugin(type = "b", image = "a:1", ready(plugin = answers))]
struct NotDebug;

fn answers(_: &NotDebug) -> clnrm::Result<()> {
    Ok(())
}
