//! From a workspace to its tests: build, look into each binary, run none.

mod binary;
mod build;
mod section;
mod select;

pub use binary::{TestBinary, TestKind};
pub use build::{Build, BuildMessage};
pub use section::{SectionError, descriptors};
pub use select::{Discovered, Selected, graph, select};
