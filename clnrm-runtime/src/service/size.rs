//! Sizes as people write them: `64m`, `1g`.

use crate::error::{CleanroomError, Result};

/// Reads a number of bytes: `512`, `64k`, `64m`, `1g`; `64mb` and `64MiB` mean `64m`.
///
/// # Errors
/// When it is no such number, zero, or too large.
pub fn bytes(text: &str) -> Result<u64> {
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

    #[test]
    fn sizes_count_in_powers_of_two() {
        for (text, count) in [
            ("512", 512),
            ("64k", 65_536),
            ("64m", 67_108_864),
            ("64MB", 67_108_864),
            ("64MiB", 67_108_864),
            ("1g", 1_073_741_824),
        ] {
            assert_eq!(bytes(text).unwrap(), count, "{text}");
        }
        for text in ["", "0", "m", "-1m", "1.5g", "64 m", "1t", "99999999999g"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
