//! Reads the descriptors out of a test binary's link section, without running it.

use std::fs::File;
use std::path::{Path, PathBuf};

use clnrm_runtime::declare::{SECTION, TestDescriptor, UnreadableDescriptor, parse_descriptors};
use object::{Object, ObjectSection, ReadCache};

/// Why a binary's descriptors cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SectionError {
    /// The file cannot be read.
    #[error("cannot read `{path}`")]
    Io {
        /// The binary.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no object file.
    #[error("`{path}` is no executable that can be read")]
    Object {
        /// The binary.
        path: PathBuf,
        /// What the reader said.
        source: object::Error,
    },
    /// A line of another form.
    #[error("in `{path}`: {source}")]
    Descriptor {
        /// The binary.
        path: PathBuf,
        /// The line and what is wrong with it.
        source: UnreadableDescriptor,
    },
}

/// The clnrm tests of a binary, sorted by path. Only the section's pages are
/// read, so a large binary costs no more than a small one.
///
/// # Errors
/// When the file is no executable, or has a descriptor of another version.
pub fn descriptors(path: &Path) -> Result<Vec<TestDescriptor>, SectionError> {
    let io = |source| SectionError::Io {
        path: path.to_owned(),
        source,
    };
    let object = |source| SectionError::Object {
        path: path.to_owned(),
        source,
    };
    let cache = ReadCache::new(File::open(path).map_err(io)?);
    let file = object::File::parse(&cache).map_err(object)?;
    let Some(section) = file.section_by_name(SECTION) else {
        return Ok(Vec::new());
    };
    let data = section.data().map_err(object)?;
    parse_descriptors(data).map_err(|source| SectionError::Descriptor {
        path: path.to_owned(),
        source,
    })
}
