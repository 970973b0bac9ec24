//! What makes two declarations the same instance, as one hash.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{CleanroomError, Result};
use crate::plugin::ServicePlugin;
use crate::service::{Program, Spec};

/// Hashes type, version, configuration, spec and the contents of the inputs.
/// 64 hexadecimal digits. Relative inputs mean `manifest_dir`.
///
/// # Errors
/// When the configuration cannot be had, or an input cannot be read.
pub(super) fn fingerprint(
    plugin: &dyn ServicePlugin,
    spec: Option<&Spec>,
    manifest_dir: &Path,
) -> Result<String> {
    let mut hash = Hash(Sha256::new());
    hash.part(plugin.service_type().as_bytes());
    hash.part(plugin.version().to_string().as_bytes());
    hash.part(canonical(plugin.config()?).to_string().as_bytes());
    let spec = serde_json::to_value(spec.map(portable)).map_err(|error| {
        CleanroomError::internal_error("a spec cannot be written as JSON").with_source(error)
    })?;
    hash.part(canonical(spec).to_string().as_bytes());
    for input in plugin.inputs() {
        let path = manifest_dir.join(&input);
        hash.input(&path).map_err(|error| {
            CleanroomError::validation_error(format!("cannot read `{}`", path.display()))
                .with_context("named by", format!("plugin `{}`", plugin.service_type()))
                .with_hint("a relative path means the directory of the declaring crate")
                .with_source(error)
        })?;
    }
    Ok(hash.finish())
}

/// The spec without the path of a binary: only the integration tests of its
/// own package know it, and it is the same service to all others.
fn portable(spec: &Spec) -> Spec {
    let mut spec = spec.clone();
    if let Some(process) = &mut spec.process
        && let Program::Bin { path, .. } = &mut process.program
    {
        *path = None;
    }
    spec
}

/// The same value with the keys of every object sorted, whichever map
/// `serde_json` was built with.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|a, b| a.0.cmp(&b.0));
            let fields = fields
                .into_iter()
                .map(|(key, value)| (key, canonical(value)));
            Value::Object(fields.collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(canonical).collect()),
        other => other,
    }
}

struct Hash(Sha256);

impl Hash {
    /// The length keeps `ab`+`c` apart from `a`+`bc`.
    fn part(&mut self, bytes: &[u8]) {
        self.0.update(bytes.len().to_le_bytes());
        self.0.update(bytes);
    }

    /// A file, or a directory with everything below it. The path itself does
    /// not count: a checkout elsewhere is the same service.
    fn input(&mut self, path: &Path) -> io::Result<()> {
        if fs::metadata(path)?.is_dir() {
            self.directory(path)
        } else {
            self.part(&fs::read(path)?);
            Ok(())
        }
    }

    fn directory(&mut self, path: &Path) -> io::Result<()> {
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        self.part(&entries.len().to_le_bytes());
        for entry in entries {
            self.part(entry.file_name().as_encoded_bytes());
            let path = entry.path();
            // A link to a directory may lead back up: its text stands for it.
            if entry.file_type()?.is_symlink() && fs::metadata(&path)?.is_dir() {
                self.part(fs::read_link(&path)?.as_os_str().as_encoded_bytes());
            } else {
                self.input(&path)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> String {
        let digest = self.0.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{ProcessSpec, Template};
    use semver::Version;
    use serde_json::json;
    use std::path::PathBuf;

    #[derive(Debug, Clone)]
    struct Plugin {
        service_type: &'static str,
        version: Version,
        config: Value,
        inputs: Vec<PathBuf>,
    }

    impl ServicePlugin for Plugin {
        fn name(&self) -> &str {
            self.service_type
        }

        fn version(&self) -> Version {
            self.version.clone()
        }

        fn config(&self) -> Result<Value> {
            Ok(self.config.clone())
        }

        fn inputs(&self) -> Vec<PathBuf> {
            self.inputs.clone()
        }
    }

    fn plugin() -> Plugin {
        Plugin {
            service_type: "db",
            version: Version::new(1, 0, 0),
            config: json!({"tag": "15", "users": {"b": 1, "a": 2}}),
            inputs: Vec::new(),
        }
    }

    fn of(plugin: &Plugin, spec: Option<&Spec>) -> String {
        fingerprint(plugin, spec, Path::new("/nonexistent")).unwrap()
    }

    #[test]
    fn the_order_of_keys_does_not_count() {
        let mut other = plugin();
        other.config = serde_json::from_str(r#"{"users":{"a":2,"b":1},"tag":"15"}"#).unwrap();
        assert_eq!(of(&plugin(), None), of(&other, None));
    }

    #[test]
    fn type_version_configuration_and_spec_count() {
        let mut spec = Spec::default();
        let empty = of(&plugin(), Some(&spec));
        spec.env.insert("A".to_owned(), Template::literal("b"));
        let changes: [fn(&mut Plugin); 3] = [
            |plugin| plugin.service_type = "other",
            |plugin| plugin.version = Version::new(1, 0, 1),
            |plugin| plugin.config["tag"] = json!("16"),
        ];
        let mut seen = vec![of(&plugin(), None), empty, of(&plugin(), Some(&spec))];
        for change in changes {
            let mut changed = plugin();
            change(&mut changed);
            seen.push(of(&changed, None));
        }
        let number = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), number);
    }

    #[test]
    fn the_path_of_a_binary_does_not_count() {
        let spec = |path: Option<&str>| Spec {
            process: Some(ProcessSpec::new(Program::Bin {
                package: "shop".to_owned(),
                name: "shop".to_owned(),
                path: path.map(PathBuf::from),
            })),
            ..Spec::default()
        };
        assert_eq!(
            of(&plugin(), Some(&spec(None))),
            of(&plugin(), Some(&spec(Some("/t/shop"))))
        );
    }

    #[test]
    fn contents_of_inputs_count_and_their_place_does_not() {
        let write = |name: &str, text: &str| {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("migrations")).unwrap();
            fs::write(dir.path().join("migrations").join(name), text).unwrap();
            dir
        };
        let mut plugin = plugin();
        plugin.inputs = vec!["migrations".into()];
        let of = |dir: &tempfile::TempDir| fingerprint(&plugin, None, dir.path()).unwrap();
        let first = of(&write("1.sql", "a"));
        assert_eq!(first, of(&write("1.sql", "a")));
        assert_ne!(first, of(&write("1.sql", "b")));
        assert_ne!(first, of(&write("2.sql", "a")));
    }

    #[test]
    fn a_link_that_leads_back_up_ends() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("..", dir.path().join("up")).unwrap();
        let mut plugin = plugin();
        plugin.inputs = vec![".".into()];
        assert!(fingerprint(&plugin, None, dir.path()).is_ok());
    }

    #[test]
    fn an_input_that_is_missing_is_named() {
        let mut plugin = plugin();
        plugin.inputs = vec!["migrations".into()];
        let error = fingerprint(&plugin, None, Path::new("/nonexistent")).unwrap_err();
        assert_eq!(error.message(), "cannot read `/nonexistent/migrations`");
    }
}
