//! How the processes of one run talk: protobuf and gRPC over one Unix socket.
//!
//! A test leases from the coordinator, a host runs plugin code for it; both
//! dial in. The messages are in [`wire`], as `proto/clnrm.proto` says them;
//! the rest of the module gives them types, authenticates both ends and finds
//! out about two versions. It decides nothing about services.

mod ambient;
mod call;
mod connection;
mod document;
#[cfg(test)]
mod golden;
mod lease;
mod socket;
mod token;
mod version;

/// The messages, generated from `proto/clnrm.proto`.
#[rustfmt::skip]
#[path = "generated.rs"]
#[allow(
    missing_docs,
    clippy::allow_attributes_without_reason,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::str_to_string,
    reason = "generated code is as its generator writes it"
)]
pub mod wire;

pub use ambient::{AmbientAnswer, AmbientQuestion};
pub use call::{Call, HookReply, HookRequest};
pub use connection::{Authorize, Connection, MAX_MESSAGE_BYTES, TOKEN_METADATA, connect, hello};
pub use document::{check, error_from_json, error_to_json, from_json, status_error, to_json};
pub use lease::{Finished, Operation, OperationReply, Outcome};
pub use socket::{MAX_SOCKET_PATH_BYTES, accept, bind, is_our_own};
pub use token::Token;
pub use version::{RELEASE, Skew, VERSION, Version, install_command};

/// The variable with the path of the coordinator's socket, for a test.
pub const SOCKET_VARIABLE: &str = "CLNRM_SOCKET";
/// The variable with the path of the coordinator's socket, for a host: a
/// wrapper that sees it serves instead of testing.
pub const HOST_VARIABLE: &str = "CLNRM_HOST";
/// The variable with the secret of this one process.
pub const TOKEN_VARIABLE: &str = "CLNRM_TOKEN";
/// The variable with the id of the run.
pub const RUN_VARIABLE: &str = "CLNRM_RUN";
