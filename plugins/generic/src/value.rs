//! Ports and sizes as people write them.

use clnrm_runtime::service::{Port, PortProtocol};
use clnrm_runtime::{CleanroomError, Result};

/// Reads `[name=][host:]inside[/tcp|/udp]`.
pub(crate) fn port(text: &str) -> Result<(Option<&str>, Port)> {
    let refuse = |why: &str| {
        CleanroomError::validation_error(format!("bad port `{text}`: {why}"))
            .with_hint("write `80`, `8080:80`, `0:80` for any free one, `53:53/udp` or `api=9000`")
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
        Port {
            number: inside,
            host,
            protocol,
        },
    ))
}

/// Reads a number of bytes: `512`, `64k`, `64m`, `1g`; `64mb` and `64MiB` mean `64m`.
pub(crate) fn size(text: &str) -> Result<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = lower.get(digits.len()..).unwrap_or_default();
    let scale = match unit {
        "" | "b" => Some(1_u64),
        "k" | "kb" | "kib" => Some(1 << 10),
        "m" | "mb" | "mib" => Some(1 << 20),
        "g" | "gb" | "gib" => Some(1 << 30),
        _ => None,
    };
    let size = digits.parse::<u64>().ok().zip(scale);
    let size = size.and_then(|(number, scale)| number.checked_mul(scale));
    size.filter(|size| *size > 0).ok_or_else(|| {
        CleanroomError::validation_error(format!("bad size `{text}`"))
            .with_hint("write a whole number of bytes, or `64k`, `64m`, `1g`")
    })
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
            port(text).unwrap(),
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
            let error = port(text).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
    }

    #[test]
    fn sizes_count_in_powers_of_two() {
        for (text, bytes) in [
            ("512", 512),
            ("64k", 65_536),
            ("64m", 67_108_864),
            ("64MB", 67_108_864),
            ("64MiB", 67_108_864),
            ("1g", 1_073_741_824),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "0", "m", "-1m", "1.5g", "64 m", "1t", "99999999999g"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
