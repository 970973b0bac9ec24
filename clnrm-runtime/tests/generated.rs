//! The committed code of the protocol is what its .proto generates.

use std::error::Error;
use std::fs;
use std::path::Path;

#[test]
fn the_generated_code_is_that_of_the_proto() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = root.join("src/protocol/generated.rs");
    let fresh = generate(&root.join("proto")).unwrap();
    if std::env::var_os("CLNRM_UPDATE_PROTO").is_some() {
        fs::write(&committed, &fresh).unwrap();
    }
    assert!(
        fs::read_to_string(&committed).unwrap_or_default() == fresh,
        "src/protocol/generated.rs is not what proto/clnrm.proto generates \
         (hint: run this test with `CLNRM_UPDATE_PROTO=1`, and raise `protocol::VERSION`)"
    );
}

fn generate(proto: &Path) -> Result<String, Box<dyn Error>> {
    let files = protox::compile(["clnrm.proto"], [proto])?;
    let out = tempfile::tempdir()?;
    tonic_prost_build::configure()
        .build_transport(false)
        .out_dir(out.path())
        .compile_fds(files)?;
    let code = fs::read_to_string(out.path().join("clnrm.rs"))?;
    Ok(format!(
        "// Generated from proto/clnrm.proto by tests/generated.rs.\n{code}"
    ))
}
