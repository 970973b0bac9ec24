//! `cargo clnrm completions`: a script that completes `cargo clnrm` and leaves the rest of `cargo` to whoever completes it.

use clap_complete::Shell;

/// By what zsh's `_cargo` looks for the function of a subcommand.
const FOR_ZSH: &str = "cargo-clnrm";
/// A command that nobody has: of names with a `-` clap's script completes no subcommand.
const FOR_BASH: &str = "cargo_clnrm";

/// The script of a shell.
#[must_use]
pub fn script(shell: Shell) -> String {
    match shell {
        Shell::Bash => alone(shell, FOR_BASH) + BASH,
        Shell::Zsh => alone(shell, FOR_ZSH),
        // Fish adds what several scripts say of one command. Its helpers have names of their own here.
        Shell::Fish => generated(shell, crate::cli::command(), "cargo")
            .replace("__fish_cargo_", "__fish_cargo_clnrm_"),
        _ => generated(shell, crate::cli::command(), "cargo"),
    }
}

/// For the subcommand as a command of its own.
fn alone(shell: Shell, name: &'static str) -> String {
    let cargo = crate::cli::command();
    let clnrm = cargo.find_subcommand("clnrm").cloned();
    generated(shell, clnrm.unwrap_or(cargo).name(name), name)
}

fn generated(shell: Shell, mut command: clap::Command, name: &str) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Bash has one function for `cargo`: ours asks that of before for all that is not ours.
const BASH: &str = r#"
if ! complete -p cargo &>/dev/null; then
    # bash-completion reads cargo's own only when it is first wanted.
    if declare -F _comp_load &>/dev/null; then
        _comp_load cargo &>/dev/null
    elif declare -F _completion_loader &>/dev/null; then
        _completion_loader cargo &>/dev/null
    fi
fi
if [[ "$(complete -p cargo 2>/dev/null)" =~ \ -F\ ([^ ]+) && "${BASH_REMATCH[1]}" != _cargo_clnrm__or_other ]]; then
    _cargo_clnrm__other="${BASH_REMATCH[1]}"
fi

_cargo_clnrm__or_other() {
    local words=("${COMP_WORDS[@]:2}")
    if [[ "${COMP_CWORD}" -gt 1 && "${COMP_WORDS[1]}" == clnrm ]]; then
        local COMP_WORDS=(cargo_clnrm "${words[@]}") COMP_CWORD=$((COMP_CWORD - 1))
        _cargo_clnrm cargo_clnrm "$2" "$3"
        return
    fi
    COMPREPLY=()
    if [[ -n "${_cargo_clnrm__other}" ]]; then
        "${_cargo_clnrm__other}" "$@"
    fi
    if [[ "${COMP_CWORD}" -eq 1 && " ${COMPREPLY[*]} " != *" clnrm "* ]]; then
        COMPREPLY+=($(compgen -W clnrm -- "$2"))
    fi
}

complete -o bashdefault -o default -F _cargo_clnrm__or_other cargo
"#;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What bash offers for a line whose last word is being written, where cargo's own script was read before.
    #[track_caller]
    fn check(words: &[&str], expected: &str) {
        let program = r#"
            _cargo() { COMPREPLY=(build test); }
            complete -F _cargo cargo
            eval "$SCRIPT"
            eval "$SCRIPT"
            [[ "$(complete -p cargo)" =~ \ -F\ ([^ ]+) ]]
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            "${BASH_REMATCH[1]}" cargo "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
            echo "${COMPREPLY[*]}"
        "#;
        let output = Command::new("bash")
            .args(["--norc", "-c", program, "bash"])
            .args(words)
            .env("SCRIPT", script(Shell::Bash))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected);
    }

    #[test]
    fn bash_completes_clnrm_and_leaves_cargo_to_itself() {
        check(&["cargo", "clnrm", "do"], "doctor");
        check(&["cargo", "clnrm", "test", "--keep"], "--keep-failed");
        check(&["cargo", "clnrm", "test", "--run-ignored", "o"], "only");
        check(&["cargo", "build", "--rel"], "build test");
        check(&["cargo", "c"], "build test clnrm");
    }

    #[test]
    fn zsh_defines_the_function_that_its_cargo_looks_for() {
        let script = script(Shell::Zsh);
        assert!(script.starts_with("#compdef cargo-clnrm\n"), "{script}");
        assert!(script.contains("\n_cargo-clnrm() {"), "{script}");
        assert!(!script.contains("compdef _cargo "), "{script}");
    }

    #[test]
    fn fish_gets_no_helper_that_others_may_have() {
        let script = script(Shell::Fish);
        assert!(script.contains("function __fish_cargo_clnrm_needs_command"));
        assert!(
            !script
                .replace("__fish_cargo_clnrm_", "")
                .contains("__fish_cargo_")
        );
    }
}
