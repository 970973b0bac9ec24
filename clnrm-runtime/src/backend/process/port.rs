//! Ports of this machine that nobody else is given between our choice and the server's bind.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};

use super::socket;
use crate::error::{CleanroomError, Result};
use crate::service::PortProtocol;

/// Chooses a free TCP port on loopback and keeps the kernel from giving it to
/// anybody else for a minute.
///
/// A connection to it is made and closed by the side that owns the port, which
/// leaves that side in TIME_WAIT: the kernel then passes over the port when it
/// chooses one, and a server that sets `SO_REUSEADDR`, as servers do, can bind it.
///
/// # Errors
/// When the machine has no free port or socket left.
pub(crate) fn reserve() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    linger(&listener)?;
    Ok(port)
}

/// The same for a port that was ours before: a restarted server keeps it.
///
/// # Errors
/// When somebody has it.
pub(super) fn reserve_again(port: u16) -> io::Result<()> {
    linger(&TcpListener::bind((Ipv4Addr::LOCALHOST, port))?)
}

/// Chooses a port that was free a moment ago, for a server that cannot bind
/// one in TIME_WAIT, or for a protocol that has no such state.
///
/// # Errors
/// When the machine has no free port or socket left.
pub(super) fn choose(protocol: PortProtocol) -> io::Result<u16> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let address = match protocol {
        PortProtocol::Tcp => {
            let listener = TcpListener::bind(any)?;
            let address = listener.local_addr()?;
            silence(&listener)?;
            address
        }
        PortProtocol::Udp => UdpSocket::bind(any)?.local_addr()?,
    };
    Ok(address.port())
}

/// Leaves the listener's port in TIME_WAIT, and nobody listening there.
fn linger(listener: &TcpListener) -> io::Result<()> {
    let client = TcpStream::connect(listener.local_addr()?)?;
    let own = client.local_addr()?;
    loop {
        let (accepted, peer) = listener.accept()?;
        // The side that closes first is the one that lingers. A stranger may have gone already.
        let closed = accepted.shutdown(Shutdown::Both);
        if peer == own {
            return closed.and_then(|()| silence(listener));
        }
    }
}

/// Ends the listening now: a child that another thread is just starting has the socket too, until its program is loaded,
/// and would go on with it.
fn silence(listener: &TcpListener) -> io::Result<()> {
    Ok(rustix::net::shutdown(
        listener,
        rustix::net::Shutdown::Read,
    )?)
}

/// Makes sure that a port which the user asked for is free.
///
/// # Errors
/// When it is taken; the message says by whom, where the system tells.
pub(super) fn demand(port: u16, protocol: PortProtocol) -> Result<()> {
    let address = (Ipv4Addr::LOCALHOST, port);
    let bound = match protocol {
        PortProtocol::Tcp => TcpListener::bind(address).and_then(|bound| silence(&bound)),
        PortProtocol::Udp => UdpSocket::bind(address).map(drop),
    };
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => taken(port),
        io::ErrorKind::PermissionDenied => {
            CleanroomError::container_error(format!("port {port} may not be used by this user"))
                .with_hint("ask for a port from 1024, or for none, to get a free one")
        }
        _ => CleanroomError::container_error(format!("port {port} cannot be used"))
            .with_source(error),
    })
}

/// The error of a port that somebody else has.
pub(super) fn taken(port: u16) -> CleanroomError {
    let error = CleanroomError::container_error(format!("port {port} is taken"));
    let error = match socket::holder(port) {
        Some(holder) => error.with_context("held by", holder),
        None => error,
    };
    error.with_hint("stop what holds it, or ask for no host port, to get a free one")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn none_of_2000_reserved_ports_is_handed_out_twice() {
        let mut seen = BTreeSet::new();
        for _ in 0..2000 {
            let port = reserve().unwrap();
            assert!(seen.insert(port), "{port} came twice");
        }
    }

    #[test]
    fn a_reserved_port_can_be_bound_and_connected_to() {
        let port = reserve().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        drop((listener, client));
        reserve_again(port).unwrap();
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }

    #[test]
    fn a_reserved_port_is_free_though_a_child_still_has_the_socket() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let _of_the_child = listener.try_clone().unwrap();
        linger(&listener).unwrap();
        drop(listener);
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err();
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    }

    #[test]
    fn a_taken_port_names_who_holds_it() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = demand(port, PortProtocol::Tcp).unwrap_err();
        assert_eq!(error.message(), format!("port {port} is taken"));
        let holder = error.context("held by").unwrap();
        assert!(
            holder.starts_with(&format!("process {} (", std::process::id())),
            "{holder}"
        );
        silence(&listener).unwrap();
        drop(listener);
        demand(port, PortProtocol::Tcp).unwrap();
    }
}
