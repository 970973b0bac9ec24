//! A coordinator of a later release.

use clnrm_runtime::Result;
use clnrm_runtime::protocol::wire::{self, leases_server};
use clnrm_runtime::protocol::{self, Skew, Token, VERSION};
use clnrm_runtime::session::Remote;
use futures_util::stream;
use tokio_stream::wrappers::UnixListenerStream;

use super::fixture::soon;

/// The coordinator of a later release.
struct Later;

#[async_trait::async_trait]
impl leases_server::Leases for Later {
    type LogsStream = stream::Empty<Result<wire::LogsReply, tonic::Status>>;

    async fn hello(
        &self,
        _: tonic::Request<wire::HelloRequest>,
    ) -> Result<tonic::Response<wire::Welcome>, tonic::Status> {
        Ok(tonic::Response::new(wire::Welcome {
            version: VERSION + 1,
            release: "9.9.9".to_owned(),
            error_json: None,
        }))
    }

    async fn acquire(
        &self,
        _: tonic::Request<wire::AcquireRequest>,
    ) -> Result<tonic::Response<wire::AcquireReply>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }

    async fn begin_body(
        &self,
        _: tonic::Request<wire::BeginBodyRequest>,
    ) -> Result<tonic::Response<wire::BeginBodyReply>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }

    async fn finished(
        &self,
        _: tonic::Request<wire::FinishedRequest>,
    ) -> Result<tonic::Response<wire::FinishedReply>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }

    async fn control(
        &self,
        _: tonic::Request<wire::ControlRequest>,
    ) -> Result<tonic::Response<wire::ControlReply>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }

    async fn logs(
        &self,
        _: tonic::Request<wire::LogsRequest>,
    ) -> Result<tonic::Response<Self::LogsStream>, tonic::Status> {
        Err(tonic::Status::unimplemented(""))
    }
}

#[tokio::test]
async fn a_coordinator_of_another_version_is_an_error_with_the_command_to_install() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = protocol::bind(&socket).unwrap();
    let server = tonic::transport::Server::builder()
        .add_service(leases_server::LeasesServer::new(Later))
        .serve_with_incoming(UnixListenerStream::new(listener));
    let server = tokio::spawn(server);
    let token = Token::random().unwrap();
    let error = soon(Remote::connect_to(&socket, &token)).await.unwrap_err();
    let skew = Skew::of(&error).unwrap();
    assert_eq!(skew.coordinator.release, "9.9.9");
    assert_eq!(skew.install, protocol::install_command());
    server.abort();
}
