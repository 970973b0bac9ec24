//! Ports for what asks for a certain one.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::net::{Shutdown, shutdown};

/// A free one that the system gives to nobody who asks for any: those begin at 32768.
pub(crate) fn free() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut ports = std::iter::from_fn(|| {
        // Another process that does this most likely begins elsewhere.
        let next = std::process::id().wrapping_mul(64) + NEXT.fetch_add(1, Ordering::Relaxed);
        u16::try_from(20_000 + next % 12_000).ok()
    });
    let is_free = |port: &u16| {
        // A child that another test is just starting has the socket too, and must not listen in our place.
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, *port));
        bound.is_ok_and(|listener| shutdown(&listener, Shutdown::Read).is_ok())
    };
    ports.find(is_free).unwrap()
}
