//! What `--report` names: a file and its format.

use std::path::PathBuf;
use std::str::FromStr;

/// A report that goes to a file: `junit=PATH` or `json=PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A JUnit file, written at the end.
    Junit(PathBuf),
    /// A file with one JSON object a line, written as things happen.
    Json(PathBuf),
}

/// A text that is no [`Target`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a report (hint: `junit=PATH` or `json=PATH`)")]
pub struct NotATarget(String);

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        match text.split_once('=') {
            Some(("junit", path)) if !path.is_empty() => Ok(Self::Junit(path.into())),
            Some(("json", path)) if !path.is_empty() => Ok(Self::Json(path.into())),
            _ => Err(NotATarget(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_format_and_a_path() {
        assert_eq!("junit=a=b.xml".parse(), Ok(Target::Junit("a=b.xml".into())));
        assert_eq!("json=/x/y".parse(), Ok(Target::Json("/x/y".into())));
    }

    #[test]
    fn what_is_no_target_is_told() {
        for text in ["", "junit", "junit=", "html=x"] {
            let error = text.parse::<Target>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{text}` is not a report (hint: `junit=PATH` or `json=PATH`)")
            );
        }
    }
}
