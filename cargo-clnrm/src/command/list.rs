//! `cargo clnrm list`: the tests and what each names, read from the binaries without running them.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use clnrm_runtime::declare::TestDescriptor;
use clnrm_runtime::plan::TestRequest;
use serde::Serialize;

const NAME: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    tests: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    binary_id: &'a str,
    name: &'a str,
    #[serde(flatten)]
    test: &'a TestDescriptor,
}

/// The tests as JSON, versioned.
///
/// # Errors
/// When it cannot be written as JSON, which is a bug.
pub fn json(tests: &[TestRequest]) -> serde_json::Result<String> {
    let tests = tests.iter().map(|TestRequest { test, descriptor }| Entry {
        binary_id: &test.binary,
        name: &test.name,
        test: descriptor,
    });
    let tests = tests.collect();
    serde_json::to_string_pretty(&Document { version: 1, tests })
}

/// The tests for people, binary by binary.
#[must_use]
pub fn text(tests: &[TestRequest]) -> String {
    let mut text = String::new();
    let mut binary = None;
    for TestRequest { test, descriptor } in tests {
        if binary != Some(&test.binary) {
            let _ = writeln!(text, "{NAME}{}{NAME:#}:", test.binary);
            binary = Some(&test.binary);
        }
        let needs = descriptor.needs.iter().map(|need| {
            let mark = if need.optional { "?" } else { "" };
            format!("{}{mark}", need.name)
        });
        let needs = needs.collect::<Vec<_>>().join(", ");
        let ignored = if descriptor.ignored { " (ignored)" } else { "" };
        let _ = writeln!(text, "    {}{ignored}  {DIM}{needs}{DIM:#}", test.name);
    }
    text
}
