//! Exists because `links` needs a build script: cargo then refuses two copies
//! of this crate in one graph, which would be two registries.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
