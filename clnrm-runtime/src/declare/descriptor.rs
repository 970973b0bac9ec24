//! What a test says of itself without being run: one line of JSON in a link section.
//!
//! The writer runs in the compiler, so it is made of `const` functions; the
//! reader takes the bytes of the section of any number of tests.

use serde::{Deserialize, Serialize};

use crate::service::ServiceId;

/// What a parameter needs, as a tree that constants can build.
#[derive(Debug, Clone, Copy)]
pub enum NeedTree {
    /// One service.
    Service {
        /// [`Service::ID`](super::Service::ID).
        id: &'static str,
        /// [`Service::NAME`](super::Service::NAME).
        name: &'static str,
    },
    /// What an `Option` asks for.
    Optional(&'static NeedTree),
    /// What a tuple or a fixture asks for.
    All(&'static [&'static NeedTree]),
}

/// A test, as the attribute knows it when it expands.
#[derive(Debug, Clone, Copy)]
pub struct TestDeclaration {
    /// `module_path!()` and the function's name: with the crate's name first.
    pub path: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// Milliseconds that the body may take; 0 is no limit of its own.
    pub timeout_ms: u64,
    /// Whether every service is the test's own.
    pub fresh: bool,
    /// Whether the test is ignored unless asked for.
    pub ignored: bool,
    /// The services whose run-wide lease it shares.
    pub shared: &'static NeedTree,
    /// What its signature names.
    pub needs: &'static NeedTree,
}

/// The line that describes a test, submitted through inventory and kept in the
/// section [`SECTION`].
#[derive(Debug, Clone, Copy)]
pub struct Line(pub &'static [u8]);

inventory::collect!(Line);

/// The link section of the lines.
#[cfg(not(any(target_vendor = "apple", windows)))]
pub const SECTION: &str = "clnrm_t";
/// The link section of the lines.
#[cfg(target_vendor = "apple")]
pub const SECTION: &str = "__clnrm_t";
/// The link section of the lines.
#[cfg(windows)]
pub const SECTION: &str = ".clnrm_t";

/// A test, as read from its line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestDescriptor {
    /// The version of this form: 1.
    pub v: u32,
    /// The path, with the crate's name first.
    pub path: String,
    /// The source file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// Milliseconds that the body may take; 0 is no limit of its own.
    #[serde(default)]
    pub timeout_ms: u64,
    /// Whether every service is the test's own.
    #[serde(default)]
    pub fresh: bool,
    /// Whether the test is ignored unless asked for.
    #[serde(default)]
    pub ignored: bool,
    /// The services whose run-wide lease it shares.
    #[serde(default)]
    pub shared: Vec<Need>,
    /// What its signature names, fixtures resolved, in order.
    #[serde(default)]
    pub needs: Vec<Need>,
}

impl TestDescriptor {
    /// The only version there is.
    pub const VERSION: u32 = 1;

    /// The name that libtest prints: the path without the crate's name.
    #[must_use]
    pub fn test_name(&self) -> &str {
        self.path
            .split_once("::")
            .map_or(self.path.as_str(), |(_, name)| name)
    }
}

/// A service that a test names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Need {
    /// The declaration.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// Whether the test goes on without it.
    #[serde(default)]
    pub optional: bool,
}

/// A line of a section that is no descriptor this version can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unreadable test descriptor `{line}`: {why} (hint: build the tests with the clnrm version of `cargo clnrm`)"
)]
pub struct UnreadableDescriptor {
    /// The line.
    pub line: String,
    /// What is wrong with it.
    pub why: String,
}

/// Reads the bytes of a section, sorted by path.
///
/// # Errors
/// [`UnreadableDescriptor`] for the first line of another form or version.
pub fn parse_descriptors(section: &[u8]) -> Result<Vec<TestDescriptor>, UnreadableDescriptor> {
    let text = String::from_utf8_lossy(section);
    // Linkers may pad between two statics with zeros.
    let lines = text
        .split(['\n', '\0'])
        .filter(|line| !line.trim().is_empty());
    let mut tests = lines
        .map(|line| {
            let unreadable = |why: String| UnreadableDescriptor {
                line: line.to_owned(),
                why,
            };
            let test: TestDescriptor =
                serde_json::from_str(line).map_err(|error| unreadable(error.to_string()))?;
            match test.v {
                TestDescriptor::VERSION => Ok(test),
                other => Err(unreadable(format!(
                    "it has version {other}, this is version 1"
                ))),
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    tests.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(tests)
}

/// The length of the line of `test`.
#[must_use]
pub const fn line_len(test: &TestDeclaration) -> usize {
    Writer::<0>::new().test(test).len
}

/// The line of `test`; `N` is [`line_len`] of it.
#[must_use]
pub const fn line<const N: usize>(test: &TestDeclaration) -> [u8; N] {
    Writer::<N>::new().test(test).bytes
}

/// Writes JSON into an array, or only counts when the array is too short.
struct Writer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

#[expect(
    clippy::indexing_slicing,
    reason = "const code; every index is compared with the length before"
)]
impl<const N: usize> Writer<N> {
    const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    const fn byte(mut self, byte: u8) -> Self {
        if self.len < N {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
        self
    }

    const fn raw(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            self = self.byte(bytes[at]);
            at += 1;
        }
        self
    }

    const fn string(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        self = self.byte(b'"');
        let mut at = 0;
        while at < bytes.len() {
            if matches!(bytes[at], b'"' | b'\\') {
                self = self.byte(b'\\');
            }
            self = self.byte(bytes[at]);
            at += 1;
        }
        self.byte(b'"')
    }

    const fn number(mut self, number: u64) -> Self {
        let mut unit = 1;
        while number / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            self = self.byte(b'0' + (number / unit % 10) as u8);
            unit /= 10;
        }
        self
    }

    const fn flag(self, name: &str, set: bool) -> Self {
        if set {
            self.raw(",\"").raw(name).raw("\":true")
        } else {
            self
        }
    }

    /// Every service of the tree; `first` says whether a comma is due.
    const fn needs(mut self, tree: &NeedTree, optional: bool, mut first: bool) -> (Self, bool) {
        match tree {
            NeedTree::Service { id, name } => {
                if !first {
                    self = self.byte(b',');
                }
                self = self
                    .raw("{\"id\":")
                    .string(id)
                    .raw(",\"name\":")
                    .string(name);
                self = self.flag("optional", optional).byte(b'}');
                (self, false)
            }
            NeedTree::Optional(tree) => self.needs(tree, true, first),
            NeedTree::All(trees) => {
                let mut at = 0;
                while at < trees.len() {
                    (self, first) = self.needs(trees[at], optional, first);
                    at += 1;
                }
                (self, first)
            }
        }
    }

    const fn test(mut self, test: &TestDeclaration) -> Self {
        self = self.raw("{\"v\":1,\"path\":").string(test.path);
        self = self
            .raw(",\"file\":")
            .string(test.file)
            .raw(",\"line\":")
            .number(test.line as u64);
        if test.timeout_ms > 0 {
            self = self.raw(",\"timeout_ms\":").number(test.timeout_ms);
        }
        self = self.flag("fresh", test.fresh).flag("ignored", test.ignored);
        self = self.raw(",\"shared\":[").needs(test.shared, false, true).0;
        self = self.raw("],\"needs\":[").needs(test.needs, false, true).0;
        self.raw("]}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: NeedTree = NeedTree::Service {
        id: "p/it/it::Db",
        name: "db",
    };
    const CACHE: NeedTree = NeedTree::Service {
        id: "p/it/it::Cache",
        name: "cache",
    };
    const TEST: TestDeclaration = TestDeclaration {
        path: "it::m::two",
        file: "tests\\\"it\".rs",
        line: 120,
        timeout_ms: 30_000,
        fresh: true,
        ignored: false,
        shared: &NeedTree::All(&[]),
        needs: &NeedTree::All(&[&DB, &NeedTree::Optional(&CACHE)]),
    };
    static LINE: [u8; line_len(&TEST)] = line(&TEST);

    #[test]
    fn a_line_written_by_the_compiler_reads_back() {
        let mut section = vec![0; 8];
        section.extend(LINE);
        let [test] = parse_descriptors(&section).unwrap().try_into().unwrap();
        assert_eq!(test.test_name(), "m::two");
        assert_eq!(
            (test.file.as_str(), test.line, test.timeout_ms),
            (TEST.file, 120, 30_000)
        );
        assert!(test.fresh && !test.ignored);
        let needs = test
            .needs
            .iter()
            .map(|need| (need.name.as_str(), need.optional))
            .collect::<Vec<_>>();
        assert_eq!(needs, [("db", false), ("cache", true)]);
    }

    #[test]
    fn another_version_says_what_to_do() {
        let error =
            parse_descriptors(b"{\"v\":2,\"path\":\"a\",\"file\":\"f\",\"line\":1}\n").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("it has version 2, this is version 1")
        );
    }
}
