//! Durations as people write them: `500ms`, `30s`, `2m`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// Reads `500ms`, `30s`, `2m` or `1h`.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "`{text}` is no duration: write `500ms`, `30s` or `2m`"
        ))
    })
}

/// Of a limit that nothing could keep if it were 0.
pub(super) fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration = deserialize(deserializer)?;
    if duration.is_zero() {
        let why = "0 leaves no time at all: write at least `1ms`";
        return Err(serde::de::Error::custom(why));
    }
    Ok(duration)
}
