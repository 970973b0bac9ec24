//! Ports, and how people write them: `8080:80`, `53:53/udp`, `api=9000`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::spec::MAIN_PORT;
use crate::error::{CleanroomError, Result};

/// A port that the service listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Inside a container. A process gets a free one.
    pub number: u16,
    /// The port asked for on the host; a free one when absent.
    pub host: Option<u16>,
    /// Its protocol.
    pub protocol: PortProtocol,
}

impl Port {
    /// A TCP port on any free host port.
    #[must_use]
    pub fn tcp(number: u16) -> Self {
        Self {
            number,
            host: None,
            protocol: PortProtocol::Tcp,
        }
    }

    /// The ports of a spec that has this one alone, on TCP.
    #[must_use]
    pub fn main(number: u16) -> BTreeMap<String, Self> {
        BTreeMap::from([(MAIN_PORT.to_owned(), Self::tcp(number))])
    }

    /// Reads `[name=][host:]inside[/tcp|/udp]`: the name, if it says one, and the port.
    ///
    /// # Errors
    /// When a part is malformed, or the port inside is 0.
    pub fn parse(text: &str) -> Result<(Option<&str>, Self)> {
        let refuse = |why: &str| {
            CleanroomError::validation_error(format!("bad port `{text}`: {why}")).with_hint(
                "write `80`, `8080:80`, `0:80` for any free one, `53:53/udp` or `api=9000`",
            )
        };
        let (name, rest) = match text.split_once('=') {
            Some((name, rest)) => (Some(name), rest),
            None => (None, text),
        };
        let is_good = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if name.is_some_and(|name| name.is_empty() || !name.bytes().all(is_good)) {
            return Err(refuse(
                "the name has other characters than letters, digits, `_` and `-`",
            ));
        }
        let (rest, protocol) = match rest.split_once('/') {
            None | Some((_, "tcp")) => (rest.trim_end_matches("/tcp"), PortProtocol::Tcp),
            Some((rest, "udp")) => (rest, PortProtocol::Udp),
            Some(_) => return Err(refuse("the protocol is neither `tcp` nor `udp`")),
        };
        let number = |text: &str| {
            let is_number = text.bytes().all(|b| b.is_ascii_digit());
            let number = text.parse::<u16>().ok().filter(|_| is_number);
            number.ok_or_else(|| refuse("a port is a number up to 65535"))
        };
        let (host, inside) = match rest.split(':').collect::<Vec<_>>()[..] {
            [inside] => (None, number(inside)?),
            [host, inside] => (
                Some(number(host)?).filter(|host| *host > 0),
                number(inside)?,
            ),
            _ => return Err(refuse("the address is not to be said: it is loopback")),
        };
        if inside == 0 {
            return Err(refuse("the port inside cannot be 0"));
        }
        Ok((
            name,
            Self {
                number: inside,
                host,
                protocol,
            },
        ))
    }
}

/// The protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_port(
        text: &str,
        name: Option<&str>,
        number: u16,
        host: Option<u16>,
        protocol: PortProtocol,
    ) {
        assert_eq!(
            Port::parse(text).unwrap(),
            (
                name,
                Port {
                    number,
                    host,
                    protocol
                }
            )
        );
    }

    #[test]
    fn the_documented_forms_of_a_port_parse() {
        use PortProtocol::{Tcp, Udp};
        check_port("80", None, 80, None, Tcp);
        check_port("8080:80", None, 80, Some(8080), Tcp);
        check_port("0:80", None, 80, None, Tcp);
        check_port("53:53/udp", None, 53, Some(53), Udp);
        check_port("80/tcp", None, 80, None, Tcp);
        check_port("api=0:9000/tcp", Some("api"), 9000, None, Tcp);
    }

    #[test]
    fn other_forms_of_a_port_are_refused_with_the_reason() {
        for (text, why) in [
            ("", "a port is a number up to 65535"),
            ("http", "a port is a number up to 65535"),
            ("+80", "a port is a number up to 65535"),
            ("65536", "a port is a number up to 65535"),
            ("80:x", "a port is a number up to 65535"),
            ("8000-8010:80", "a port is a number up to 65535"),
            ("80:", "a port is a number up to 65535"),
            ("0", "the port inside cannot be 0"),
            ("80:0", "the port inside cannot be 0"),
            ("80/sctp", "the protocol is neither `tcp` nor `udp`"),
            (
                "127.0.0.1:8080:80",
                "the address is not to be said: it is loopback",
            ),
            ("=80", "the name has other characters"),
            ("a b=80", "the name has other characters"),
        ] {
            let error = Port::parse(text).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
    }
}
