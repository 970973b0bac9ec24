//! Service types of the shop's own: one derived, one written by hand.

use clnrm::service::{Port, ProcessSpec, Program, Spec, Template, Wait};
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
        let template = |text: &str| text.parse::<Template>();
        let args = ["-m", "http.server", "{port}", "--bind", "{host}"].map(template);
        let mut process = ProcessSpec::new(Program::Named {
            name: "python3".to_owned(),
            well_known: Vec::new(),
            version: None,
            require_version: false,
            provision: None,
        });
        let malformed = |error| CleanroomError::validation_error("malformed").with_source(error);
        process.args = args
            .into_iter()
            .collect::<std::result::Result<_, _>>()
            .map_err(malformed)?;
        let mut spec = Spec {
            process: Some(process),
            wait: Wait::Plugin,
            ..Spec::default()
        };
        spec.ports.insert("main".to_owned(), Port::tcp(8000));
        spec.exports.insert(
            "url".to_owned(),
            template("http://{host}:{port}").map_err(malformed)?,
        );
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
