//! The ports of one instance: chosen at its first start, and kept until it is removed.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::{environment, port, socket};
use crate::error::{CleanroomError, Result};
use crate::service::{Endpoint, Port, PortProtocol};

/// A port stays in TIME_WAIT for a minute: after half of it, it is reserved anew.
const RESERVED: Duration = Duration::from_secs(30);

/// The ports of one instance.
#[derive(Debug, Default)]
pub(super) struct Ports {
    numbers: BTreeMap<String, u16>,
    reserved: Option<Instant>,
}

/// Who has a port that an instance could not bind.
#[derive(Debug)]
pub(super) struct Taken {
    /// Transient where the port was ours to choose.
    pub(super) error: CleanroomError,
    /// Whether nobody has it: what the instance met is the reservation.
    pub(super) reserved: bool,
}

impl Ports {
    /// By the names of the spec.
    pub(super) fn numbers(&self) -> &BTreeMap<String, u16> {
        &self.numbers
    }

    /// Chooses them if that was not done yet, else makes sure that they are
    /// still free. A `shy` program cannot bind a reserved port.
    ///
    /// # Errors
    /// When one is taken, or no more can be had.
    pub(super) fn reserve(&mut self, spec: &BTreeMap<String, Port>, shy: bool) -> Result<()> {
        if self.numbers.is_empty() {
            for (name, port) in spec {
                let number = choose(*port, shy)?;
                self.numbers.insert(name.clone(), number);
            }
        } else if self.reserved.is_none_or(|at| at.elapsed() > RESERVED) {
            for (name, number) in &self.numbers {
                let protocol = spec
                    .get(name)
                    .map_or(PortProtocol::Tcp, |port| port.protocol);
                port::demand(*number, protocol)?;
            }
        }
        self.reserved = Some(Instant::now());
        Ok(())
    }

    /// Reserves them anew, now that the instance no longer holds them.
    pub(super) fn reserve_again(&mut self) {
        let all = self
            .numbers
            .values()
            .map(|number| port::reserve_again(*number));
        // One that is taken is told at the next start, if it still is.
        self.reserved = all.collect::<Result<(), _>>().ok().map(|()| Instant::now());
    }

    /// Where they answer.
    pub(super) fn endpoints(&self) -> BTreeMap<String, Endpoint> {
        let endpoint = |port: &u16| Endpoint {
            host: environment::HOST.to_owned(),
            port: *port,
        };
        let all = self.numbers.iter();
        all.map(|(name, port)| (name.clone(), endpoint(port)))
            .collect()
    }

    /// Why the instance could not bind one of them.
    pub(super) fn taken(&self, spec: &BTreeMap<String, Port>) -> Option<Taken> {
        let held = |number: u16| !socket::listeners(number).is_empty();
        let found = self.numbers.iter().find(|(_, number)| held(**number));
        let (name, number) = found.or_else(|| self.numbers.iter().next())?;
        let asked = spec.get(name).is_some_and(|port| port.host.is_some());
        let error = port::taken(*number);
        Some(Taken {
            error: if asked { error } else { error.transient() },
            reserved: found.is_none() && !asked,
        })
    }
}

fn choose(port: Port, shy: bool) -> Result<u16> {
    let chosen = match (port.host, port.protocol) {
        (Some(asked), protocol) => return port::demand(asked, protocol).map(|()| asked),
        (None, PortProtocol::Tcp) if !shy => port::reserve(),
        (None, protocol) => port::choose(protocol),
    };
    chosen.map_err(|error| {
        CleanroomError::container_error("no free port can be had")
            .with_hint("look at `net.ipv4.ip_local_port_range` and `ulimit -n`")
            .with_source(error)
    })
}

/// Whether a log line is what servers write when they cannot bind.
pub(super) fn says_taken(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ["address already in use", "address in use", "eaddrinuse"]
        .iter()
        .any(|words| line.contains(words))
}
