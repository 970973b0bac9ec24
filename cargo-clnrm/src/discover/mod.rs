//! From a workspace to its tests: build, look into each binary, run none.

mod binary;
mod build;
mod config;
mod doctest;
mod library;
mod manifest;
mod plain;
mod section;
mod select;

pub use binary::{Programs, Scripts, TestBinary, TestKind};
pub use build::{Build, BuildMessage, Built, Severity};
pub use config::{CargoConfig, Runner};
pub use library::Libraries;
pub use plain::{PlainTest, read_list};
pub use section::{SectionError, descriptors};
pub use select::{Discovered, Plain, Selected, graph, select, select_plain};
