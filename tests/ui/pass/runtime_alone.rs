//! A plugin author's crate, which has the runtime and not the facade.

use clnrm_runtime::{Running, ServiceHandle};

#[derive(Debug, clnrm_runtime::ServicePlugin)]
#[plugin(type = "alone", image = "alone:1", port = 1)]
struct Alone {
    #[plugin(default = false)]
    loud: bool,
}

#[clnrm_runtime::service(Alone::default().with_loud(true), env(LOUD = true))]
struct Loud {
    handle: Running<Alone>,
}

#[clnrm_runtime::service(image = "alone:1", ready(log = "up"))]
struct Silent(ServiceHandle);

#[clnrm_runtime::test]
#[ignore = "it is enough that it compiles"]
async fn both(loud: Loud, silent: &Silent) -> clnrm_runtime::Result<()> {
    assert!(loud.config().loud && loud.handle.url()? != silent.url()?);
    Ok(())
}
