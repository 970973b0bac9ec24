//! Waits for a TCP connection that a service has accepted, and not a proxy in front of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::service::Endpoint;

/// How long a proxy may take to hang up on us when nothing listens behind it.
const PROXY_HANGS_UP: Duration = Duration::from_millis(100);

/// What a connection to the endpoint reaches.
#[derive(Debug, Clone, Copy)]
pub(super) enum Behind {
    /// The service itself.
    Nothing,
    /// A proxy that accepts before the service does.
    Proxy {
        /// The service's main process, in this machine's process namespace.
        pid: Option<u32>,
        /// The port that the service listens on inside.
        port: u16,
    },
}

/// Who listens on a port inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listening {
    /// It cannot be told from here.
    Unknown,
    /// Nobody.
    Nobody,
    /// Somebody, on loopback addresses alone.
    LoopbackOnly,
    /// Somebody, where the proxy reaches it.
    Reachable,
}

/// Connects once. The error is what came instead.
pub(super) async fn probe(endpoint: &Endpoint, behind: Behind) -> Result<(), String> {
    let listening = match behind {
        Behind::Nothing => Listening::Reachable,
        Behind::Proxy { pid, port } => listening(pid, port).await,
    };
    match (listening, behind) {
        (Listening::Nobody, Behind::Proxy { port, .. }) => {
            return Err(format!("nothing listens on port {port} inside"));
        }
        (Listening::LoopbackOnly, Behind::Proxy { port, .. }) => {
            return Err(format!(
                "port {port} is listened on inside, but on loopback alone: no connection from outside arrives"
            ));
        }
        _ => {}
    }
    let mut stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port))
        .await
        .map_err(|error| format!("cannot connect to {endpoint}: {error}"))?;
    if listening == Listening::Reachable {
        return Ok(());
    }
    // A proxy with nothing behind it hangs up at once. A service either speaks
    // first or waits for us.
    match timeout(PROXY_HANGS_UP, stream.read(&mut [0])).await {
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => Err(format!("{endpoint} accepts and hangs up")),
        Ok(Err(error)) => Err(format!("{endpoint} accepts and breaks off: {error}")),
    }
}

/// Reads the sockets of the network namespace that `pid` is in.
async fn listening(pid: Option<u32>, port: u16) -> Listening {
    let Some(pid) = pid else {
        return Listening::Unknown;
    };
    let mut found = Listening::Unknown;
    for file in ["tcp", "tcp6"] {
        let Ok(text) = tokio::fs::read_to_string(format!("/proc/{pid}/net/{file}")).await else {
            continue;
        };
        for address in listeners(&text, port) {
            if !address.is_loopback() {
                return Listening::Reachable;
            }
            found = Listening::LoopbackOnly;
        }
        if found == Listening::Unknown {
            found = Listening::Nobody;
        }
    }
    found
}

/// The addresses on which `port` is listened on, out of the text of `/proc/net/tcp` or `tcp6`.
fn listeners(text: &str, port: u16) -> Vec<IpAddr> {
    const LISTEN: &str = "0A";
    let rows = text.lines().skip(1);
    rows.filter_map(|row| {
        let mut columns = row.split_whitespace().skip(1);
        let (address, row_port) = columns.next()?.split_once(':')?;
        let state = columns.nth(1)?;
        let is_ours = u16::from_str_radix(row_port, 16) == Ok(port) && state == LISTEN;
        is_ours.then(|| address_of(address)).flatten()
    })
    .collect()
}

/// The kernel prints each word of an address in the machine's own byte order.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |index: usize| {
        let digits = hex.get(index * 8..index * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    if hex.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).into());
    }
    let words = [word(0)?, word(1)?, word(2)?, word(3)?];
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(words.iter().flatten()) {
        *byte = *from;
    }
    Some(Ipv6Addr::from(bytes).to_canonical())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn listeners_are_read_from_the_kernels_table() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue\n";
        let v4 = format!(
            "{head}   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n   \
             1: 00000000:1F91 00000000:0000 0A 00000000:00000000\n   \
             2: 00000000:1F92 0100007F:1234 01 00000000:00000000\n"
        );
        assert_eq!(listeners(&v4, 8080), [IpAddr::from([127, 0, 0, 1])]);
        assert_eq!(listeners(&v4, 8081), [IpAddr::from([0, 0, 0, 0])]);
        assert!(
            listeners(&v4, 8082).is_empty(),
            "a connection is no listener"
        );
        let v6 = format!(
            "{head}   0: 00000000000000000000000001000000:1F90 \
             00000000000000000000000000000000:0000 0A 00000000:00000000\n"
        );
        assert!(listeners(&v6, 8080).iter().all(IpAddr::is_loopback));
        assert_eq!(listeners(&v6, 8080).len(), 1);
        assert!(listeners("nonsense\n x y", 1).is_empty());
    }

    #[tokio::test]
    async fn our_own_listeners_are_seen() {
        let loopback = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wide = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let pid = Some(std::process::id());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        assert_eq!(
            listening(pid, port(&loopback)).await,
            Listening::LoopbackOnly
        );
        assert_eq!(listening(pid, port(&wide)).await, Listening::Reachable);
        assert_eq!(listening(None, port(&wide)).await, Listening::Unknown);
        let free = crate::backend::process::port::reserve().unwrap();
        assert_eq!(listening(pid, free).await, Listening::Nobody);
    }

    /// A proxy in front of nothing, as seen from where the inside cannot be.
    #[tokio::test]
    async fn a_proxy_that_hangs_up_is_not_ready() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
        };
        let behind = Behind::Proxy { pid: None, port: 1 };
        let hang_up = async { drop(listener.accept().await.unwrap()) };
        let (answer, ()) = tokio::join!(probe(&endpoint, behind), hang_up);
        assert!(answer.unwrap_err().contains("accepts and"));
        let keep = listener.accept();
        let (answer, _kept) = tokio::join!(probe(&endpoint, behind), keep);
        assert_eq!(answer, Ok(()));
        let speak = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 hello").await.unwrap();
        };
        let (answer, ()) = tokio::join!(probe(&endpoint, behind), speak);
        assert_eq!(answer, Ok(()));
    }
}
