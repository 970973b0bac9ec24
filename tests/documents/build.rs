//! Makes doctests of the documents: copies in which each block of Rust stands among what its reader knows already.
//!
//! A block keeps its lines, so that the compiler's complaints have the line of the document. It is compiled with the
//! harness of tests, without which the bodies of its tests would not be, and it is not run: the crates it is from are.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The code around a block that does not stand by itself, which is known by its first line.
struct Frame {
    first: &'static str,
    before: &'static str,
    after: &'static str,
}

/// The documents, with the frames of their blocks.
const DOCUMENTS: [(&str, &[Frame]); 2] = [("README.md", &README), ("docs/plugins.md", &GUIDE)];

const README: [Frame; 1] = [Frame {
    first: "#[clnrm::test]",
    before: SHOP,
    after: "",
}];

const GUIDE: [Frame; 7] = [
    Frame {
        first: "// tests/it.rs",
        before: SUPPLIER,
        after: "",
    },
    Frame {
        first: "#[clnrm_runtime::service(Supplier::default().with_region(\"us\"))]",
        before: SUPPLIER,
        after: "use clnrm_runtime::Running; use clnrm_supplier::Supplier;",
    },
    Frame {
        first: "// src/archive.rs",
        before: "",
        after: "}",
    },
    Frame {
        first: "/// The archive, as tests name it.",
        before: SUPPLIER,
        after: "use clnrm_runtime::ServiceHandle; use clnrm_supplier::Archive;",
    },
    Frame {
        first: "fn ready(&self, handle: &ServiceHandle) -> Result<()> {",
        before: METHODS,
        after: METHODS_END,
    },
    Frame {
        first: "fn isolation(&self, _: BackendKind) -> Isolation {",
        before: METHODS,
        after: METHODS_END,
    },
    Frame {
        first: "inventory::submit! {",
        before: SUPPLIER,
        after: "use clnrm_runtime::plugin::{Location, PluginRegistration, from_config};
                use clnrm_supplier::Archive; use std::sync::Arc;",
    },
];

/// The shop's tests, of which the README shows one.
const SHOP: &str = r#"
    #[path = "{root}/examples/shop/tests/it/api.rs"] mod api;
    #[path = "{root}/examples/shop/tests/it/client.rs"] mod client;
    #[path = "{root}/examples/shop/tests/it/service.rs"] mod service;
    use api::{buy, stocked}; use hyper::StatusCode; use service::{OrdersDb, Shop};"#;

/// The guide's crate, by its name.
const SUPPLIER: &str = r#"#[path = "{root}/tests/fixtures/plugin/src/lib.rs"] mod clnrm_supplier;"#;

/// Methods that are shown without their `impl`, and what that file imports.
const METHODS: &str = r#"
    #[derive(Debug)] struct Archive { directory: Option<PathBuf> }
    impl ServicePlugin for Archive { fn name(&self) -> &str { "archive" }"#;

const METHODS_END: &str = "}
    use clnrm_runtime::{CleanroomError, Result, ServiceHandle, ServicePlugin};
    use clnrm_runtime::{backend::BackendKind, service::{Isolation, Slice, SliceId, Var}};
    use std::io::{ErrorKind, Read, Write};
    use std::{fs, net::TcpStream, path::PathBuf, time::Duration};";

fn main() -> Result<(), Box<dyn Error>> {
    let own = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let root = own.parent().unwrap_or(&own);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for (document, frames) in DOCUMENTS {
        let path = root.join(document);
        println!("cargo::rerun-if-changed={}", path.display());
        let copy = doctests(&fs::read_to_string(&path)?, frames, root);
        let copy = copy.map_err(|why| format!("{}:{why}", path.display()))?;
        let name = Path::new(document).file_name().unwrap_or_default();
        fs::write(out.join(name), copy)?;
    }
    Ok(())
}

/// The document with its blocks of Rust in their frames.
fn doctests(document: &str, frames: &[Frame], root: &Path) -> Result<String, String> {
    let mut copy = Vec::new();
    let mut unused: Vec<_> = frames.iter().map(|frame| frame.first).collect();
    let mut lines = document.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if !line.starts_with("```") {
            copy.push(line.to_owned());
            continue;
        }
        let rest = lines.by_ref().map(|(_, line)| line);
        let mut block: Vec<_> = rest
            .take_while(|line| *line != "```")
            .map(str::to_owned)
            .collect();
        match line {
            "```rust" => {
                unused.retain(|first| block.first().is_none_or(|line| line != first));
                frame(&mut block, frames, root);
                copy.push("```rust,test_harness,no_run".to_owned());
            }
            _ if line.starts_with("```rust") => {
                return Err(format!("{}: `{line}` would be no doctest", number + 1));
            }
            _ => copy.push(line.to_owned()),
        }
        copy.append(&mut block);
        copy.push("```".to_owned());
    }
    match unused.first() {
        Some(first) => Err(format!(
            " no block begins with `{first}` (hint: see {})",
            file!()
        )),
        None => Ok(copy.join("\n")),
    }
}

/// Puts the block into its frame, on the lines that it has.
fn frame(block: &mut [String], frames: &[Frame], root: &Path) {
    let frame = frames
        .iter()
        .find(|frame| block.first().is_some_and(|line| line == frame.first));
    let (before, after) = frame.map_or(("", ""), |frame| (frame.before, frame.after));
    let on_one_line = |code: &str| {
        let words: Vec<_> = code.split_whitespace().collect();
        words
            .join(" ")
            .replace("{root}", &root.display().to_string())
    };
    if let Some(first) = block.first_mut() {
        *first = format!("{} {first}", on_one_line(before));
    }
    if let Some(last) = block.last_mut() {
        // Services are no items of a function, into which a block without a `main` would be put.
        *last = format!("{last} {} fn main() {{}}", on_one_line(after));
    }
}
