//! Whether the sources of a library have documentation tests, as far as a look at their text tells.

use std::fs;
use std::path::Path;

/// Words after a fence with which rustdoc still makes a test of the code.
const RUST: [&str; 6] = [
    "rust",
    "should_panic",
    "no_run",
    "compile_fail",
    "standalone_crate",
    "test_harness",
];

/// Whether any source below `dir` has a documentation test.
pub(super) fn has_doctests(dir: &Path) -> bool {
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
            } else if path.extension().is_some_and(|it| it == "rs")
                && fs::read_to_string(&path).is_ok_and(|text| is_tested(&text))
            {
                return true;
            }
        }
    }
    false
}

/// Whether a source has a documentation test, or documentation from a file that may have one.
fn is_tested(source: &str) -> bool {
    let mut fenced = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#![doc = include_str!") || line.starts_with("#[doc = include_str!") {
            return true;
        }
        let doc = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"));
        let Some(doc) = doc else {
            fenced = false;
            continue;
        };
        let Some(words) = doc.trim().strip_prefix("```") else {
            continue;
        };
        if !fenced && is_rust(words) {
            return true;
        }
        fenced = !fenced;
    }
    false
}

fn is_rust(words: &str) -> bool {
    let mut words = words.split([',', ' ']).filter(|word| !word.is_empty());
    words.all(|word| {
        let error = word
            .strip_prefix('E')
            .is_some_and(|code| code.parse::<u16>().is_ok());
        RUST.contains(&word) || word.starts_with("edition") || error
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_documentation_is_a_test_unless_its_words_say_otherwise() {
        let check = |source, expected| assert_eq!(is_tested(source), expected, "{source}");
        check("//! ```\n//! a();\n//! ```\n", true);
        check("    /// ```no_run\n", true);
        check("/// ```compile_fail,E0308\n", true);
        check("#![doc = include_str!(\"../README.md\")]", true);
        check("/// ```text\n/// a\n/// ```\n", false);
        check("/// ```ignore\n/// a\n/// ```\nfn a() {}\n", false);
        check("// ```\nlet fence = \"```\";\n", false);
    }
}
