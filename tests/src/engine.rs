//! Whether there is a container engine for the tests that want one.

use clnrm_runtime::backend::docker::DockerBackend;

/// Whether a container engine answers; a test that wants one ends where none does, and says so.
///
/// # Panics
/// When none does and `CLNRM_REQUIRE_DOCKER=1` says that one must.
#[must_use]
pub fn engine_answers() -> bool {
    let answer = clnrm::block_on(DockerBackend::connect()).and_then(|answer| answer);
    let Err(error) = answer else {
        return true;
    };
    let required = std::env::var_os("CLNRM_REQUIRE_DOCKER").is_some_and(|value| value == "1");
    assert!(!required, "CLNRM_REQUIRE_DOCKER=1, and {error:?}");
    say(&format!(
        "SKIPPED, as no container engine answers: {}",
        error.message()
    ));
    false
}

#[expect(clippy::print_stderr, reason = "a skip is loud")]
fn say(text: &str) {
    eprintln!("{text}");
}
