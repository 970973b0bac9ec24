//! Says to the tests of this project what only a build script can.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for (name, value) in [
        ("SAMPLE_BUILT", "first"),
        ("SAMPLE_BUILT", "last"),
        ("SAMPLE_BOTH", "built"),
        ("CARGO_PKG_DESCRIPTION", "built"),
    ] {
        println!("cargo::rustc-env={name}={value}");
    }
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    println!("cargo::rustc-link-search=native={out}");
}
