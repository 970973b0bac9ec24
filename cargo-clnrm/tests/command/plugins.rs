//! `cargo clnrm plugins`: what is registered, where it stands in the source.

use std::fs;

use serde_json::Value;

use crate::project::Project;

#[test]
fn the_services_of_a_binary_are_those_of_its_source() {
    let project = Project::shared();
    let mut cargo = project.cargo(&[]);
    cargo
        .args(["clnrm", "plugins", "--json", "--manifest-path"])
        .arg(project.manifest())
        .args(["--test", "twins"])
        .current_dir("/");
    let output = cargo.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found: Vec<_> = listed["services"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|service| {
            let line = service["location"]
                .as_str()?
                .strip_prefix("tests/twins.rs:")?;
            let text = |key| service[key].as_str().map(str::to_owned);
            Some((line.parse().ok()?, text("name")?, text("service_type")?))
        })
        .collect();
    found.sort();
    let source = project.manifest().with_file_name("tests/twins.rs");
    let source = fs::read_to_string(source).unwrap();
    let declared = source.lines().zip(1_usize..);
    let declared: Vec<_> = declared
        .filter(|(line, _)| line.starts_with("#[clnrm::service("))
        .zip(["one", "other", "of-the-run"])
        .map(|((_, number), name)| (number, name.to_owned(), "redis".to_owned()))
        .collect();
    assert_eq!(declared.len(), 3);
    assert_eq!(found, declared);
}
