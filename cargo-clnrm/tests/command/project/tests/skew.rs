//! A binary whose hosts are of another version where `SAMPLE_SKEW` names a file that is there.

use std::path::Path;

use clnrm::redis::Redis;
use clnrm_runtime::declare::{TestDeclaration, line, line_len};
use clnrm_runtime::private::NeedTree;
use clnrm_runtime::protocol::wire::{HelloRequest, HostMessage, host_message};
use clnrm_runtime::protocol::wire::hosts_client::HostsClient;
use clnrm_runtime::protocol::{self, Token};
use clnrm_runtime::session::{Flavor, TestCase, run_sync};

#[clnrm::test]
fn needs_its_plugin(_cache: Redis) {}

const TEST: TestDeclaration = TestDeclaration {
    path: "skew::a_host",
    file: file!(),
    line: line!(),
    timeout_ms: 0,
    fresh: false,
    ignored: false,
    shared: &NeedTree::All(&[]),
    needs: &NeedTree::All(&[]),
};

/// What `#[clnrm::test]` leaves.
#[used]
#[unsafe(link_section = "clnrm_t")]
static LINE: [u8; line_len(&TEST)] = line(&TEST);

static CASE: TestCase = TestCase {
    declaration: &TEST,
    line: &LINE,
    package: env!("CARGO_PKG_NAME"),
    target: "skew",
    flavor: Flavor::CurrentThread,
};

/// The first test of this binary: it is entered as its host.
#[test]
fn a_host() {
    let socket = std::env::var(protocol::HOST_VARIABLE);
    let skewed = std::env::var_os("SAMPLE_SKEW").is_some_and(|it| Path::new(&it).exists());
    if let (Ok(socket), true) = (socket, skewed) {
        greet_as_another_version(socket);
    }
    run_sync(&CASE, async |_| Ok(()), |()| {});
}

/// What a binary of a later release would do.
fn greet_as_another_version(socket: String) {
    let token = Token::new(std::env::var(protocol::TOKEN_VARIABLE).unwrap());
    let hello = HelloRequest {
        version: protocol::VERSION + 1,
        release: "9.9.9".to_owned(),
        install: "cargo install cargo-clnrm@9.9.9".to_owned(),
        pid: std::process::id(),
    };
    let message = HostMessage {
        message: Some(host_message::Message::Hello(hello)),
    };
    let exchange = async move {
        let connection = protocol::connect(socket.as_ref(), &token).await.unwrap();
        let messages = futures_util::stream::iter([message]);
        let mut greeting = HostsClient::new(connection).serve(messages).await.unwrap();
        // The greeting, then the end of the stream, or of this process.
        while let Ok(Some(_)) = greeting.get_mut().message().await {}
    };
    clnrm_runtime::engine::block_on(exchange).unwrap();
}
