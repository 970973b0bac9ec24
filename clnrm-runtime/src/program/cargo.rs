//! The cargo that runs us, as a command.

use std::process::Command;

use crate::keeper;

/// Starts with these what cargo tells a program about its own package.
const OF_A_PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// Cargo, `$CARGO` first, without what it told this process about its package:
/// build scripts that look at that would run anew, and all that needs them
/// would be compiled anew, at every change between cargo by itself and cargo
/// through us.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let told = |start: &str| name.to_str().is_some_and(|name| name.starts_with(start));
        if OF_A_PACKAGE.iter().any(|start| told(start)) {
            command.env_remove(name);
        }
    }
    keeper::restore_for(&mut command);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_told_us_of_our_package_is_not_passed_on() {
        // Cargo and nextest set both for a test.
        let command = cargo();
        for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME"] {
            assert!(std::env::var_os(name).is_some());
            assert!(command.get_envs().any(|pair| pair == (name.as_ref(), None)));
        }
    }
}
