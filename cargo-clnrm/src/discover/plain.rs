//! Tests without clnrm's attribute, as libtest lists them. Pure.

use serde::{Deserialize, Serialize};

/// A test without clnrm's attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainTest {
    /// libtest's name.
    pub name: String,
    /// Whether it is `#[ignore]`d.
    pub ignored: bool,
}

/// The tests of a binary, from what it prints for `--list --format terse`, and
/// for the same with `--ignored`. Benchmarks are no tests.
#[must_use]
pub fn read_list(all: &str, ignored: &str) -> Vec<PlainTest> {
    let ignored: Vec<_> = names(ignored).collect();
    let test = |name: &str| PlainTest {
        name: name.to_owned(),
        ignored: ignored.contains(&name),
    };
    names(all).map(test).collect()
}

fn names(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter_map(|line| line.strip_suffix(": test"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_with_what_is_ignored() {
        let all = "noise\na::adds: test\nslow: test\nspeed: benchmark\n";
        let expected = [("a::adds", false), ("slow", true)];
        let expected = expected.map(|(name, ignored)| PlainTest {
            name: name.to_owned(),
            ignored,
        });
        assert_eq!(read_list(all, "slow: test\n"), expected);
    }
}
