//! Service types of the shop's own: one derived, one written by hand.

use clnrm::service::{NamedProgram, Port, ProcessSpec, Spec, Template, Wait};
use clnrm::{CleanroomError, Result, Running, ServiceHandle, ServicePlugin};
use serde::{Deserialize, Serialize};

use crate::client::get;

/// A supplier's file server: data says it all, so it is derived.
#[derive(Debug, Clone, Serialize, Deserialize, clnrm::ServicePlugin)]
#[plugin(
    type = "supplier",
    program = "python3",
    args = ["-m", "http.server", "{port}", "--bind", "127.0.0.1"],
    port = 8000,
    ready(http = "/")
)]
pub(crate) struct Supplier {
    #[plugin(env = "SUPPLIER_REGION", default = "eu")]
    region: String,
}

#[clnrm::test]
async fn the_supplier_answers(supplier: Running<Supplier>) -> Result<()> {
    let (status, _) = get(&supplier.url()?).await?;
    assert!(status.is_success());
    assert_eq!(supplier.config().region, "eu");
    Ok(())
}

/// The same server, by hand: its `ready` asks for more than an open port.
#[derive(Debug)]
pub(crate) struct Archive;

impl ServicePlugin for Archive {
    fn name(&self) -> &str {
        "archive"
    }

    fn spec(&self) -> Result<Option<Spec>> {
        let mut process = ProcessSpec::new(NamedProgram::new("python3"));
        process.args = Template::list(["-m", "http.server", "{port}", "--bind", "{host}"])?;
        let mut spec = Spec {
            process: Some(process),
            wait: Wait::Plugin,
            ..Spec::default()
        };
        spec.ports.insert("main".to_owned(), Port::tcp(8000));
        spec.exports = Template::map([("url", "http://{host}:{port}")])?;
        Ok(Some(spec))
    }

    fn ready(&self, handle: &ServiceHandle) -> Result<()> {
        let url = handle.url()?;
        let (status, _) = clnrm::block_on(async move { get(&url).await })??;
        match status.as_u16() {
            200 => Ok(()),
            other => Err(CleanroomError::service_error(format!("it answers {other}"))),
        }
    }
}

/// The archive, as tests name it.
#[clnrm::service(self::Archive)]
pub(crate) struct TheArchive(ServiceHandle);

#[clnrm::test]
fn the_archive_answers(archive: &TheArchive) -> Result<()> {
    let url = archive.url()?;
    let (status, _) = clnrm::block_on(async move { get(&url).await })??;
    assert!(status.is_success());
    Ok(())
}
