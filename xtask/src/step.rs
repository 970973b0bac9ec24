//! Which commands the gate runs, in which order; pure, so that the order can be tested.

use crate::shell::Cmd;

/// What the gate found before its first step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// Leave out what takes long and seldom fails: documentation, features, the release build and the shop.
    pub(crate) fast: bool,
    /// An engine answers and has the test images, so a Docker test that cannot run is a failure.
    pub(crate) docker: bool,
    /// What cargo-deny can check here.
    pub(crate) deny: Deny,
    /// The features of the facade.
    pub(crate) features: Vec<String>,
}

/// What cargo-deny can check here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Deny {
    /// Nothing: it is not installed.
    #[default]
    Absent,
    /// All but the advisories, whose database cannot be fetched.
    Offline,
    /// Everything.
    Full,
}

/// A cargo command of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) name: String,
    arguments: Vec<String>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Step {
    fn new(name: &str, arguments: &str) -> Self {
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Self {
            name: name.to_owned(),
            arguments,
            variables: Vec::new(),
        }
    }

    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    pub(crate) fn cmd(&self) -> Cmd {
        let cmd = Cmd::cargo(self.arguments.iter().map(String::as_str));
        self.variables
            .iter()
            .fold(cmd, |cmd, (name, value)| cmd.env(name, value))
    }
}

/// The gate's steps. The tests come last: their own closing line is how a run is judged, and doctests, whose last
/// line may well count none, come before them.
pub(crate) fn steps(around: &Surroundings) -> Vec<Step> {
    let mut steps = vec![
        Step::new("format", "fmt --all --check"),
        Step::new("lints", "clippy --workspace --all-targets -- -D warnings"),
    ];
    match around.deny {
        Deny::Absent => {}
        Deny::Offline => steps.push(Step::new(
            "dependencies",
            "deny check bans licenses sources",
        )),
        Deny::Full => steps.push(Step::new("dependencies", "deny check")),
    }
    if !around.fast {
        steps.push(
            Step::new("documentation", "doc --no-deps --workspace")
                .env("RUSTDOCFLAGS", "-D warnings"),
        );
        steps.extend(features(&around.features));
    }
    let require = |step: Step| {
        if around.docker {
            step.env("CLNRM_REQUIRE_DOCKER", "1")
        } else {
            step
        }
    };
    steps.push(require(Step::new("doctests", "test --workspace --doc")));
    if !around.fast {
        // What `cargo install` builds.
        steps.push(Step::new("release", "build --workspace --release"));
        steps.extend(shop(around.docker));
    }
    steps.push(require(Step::new(
        "tests",
        "test --workspace --lib --bins --tests --examples --no-fail-fast",
    )));
    steps
}

/// The facade with no feature, and with each alone.
fn features(names: &[String]) -> impl Iterator<Item = Step> {
    const CHECK: &str = "check -p clnrm --no-default-features";
    let alone = names.iter().map(|name| {
        Step::new(
            &format!("feature {name}"),
            &format!("{CHECK} --features {name}"),
        )
    });
    std::iter::once(Step::new("no feature", CHECK)).chain(alone)
}

/// The shop's tests as a user runs them: on the engine if one answers, and without any.
fn shop(docker: bool) -> Vec<Step> {
    let shop = |name| Step::new(name, "clnrm test -p shop");
    let on_engine = docker.then(|| shop("shop on the engine"));
    let without = shop("shop without an engine").env("DOCKER_HOST", "unix:///nonexistent");
    on_engine.into_iter().chain([without]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around() -> Surroundings {
        Surroundings {
            features: vec!["postgres".to_owned(), "redis".to_owned()],
            ..Surroundings::default()
        }
    }

    #[track_caller]
    fn check(around: &Surroundings, expected: &[&str]) {
        let names: Vec<_> = steps(around)
            .into_iter()
            .map(|step| step.name)
            .filter(|name| !name.starts_with("shop"))
            .collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn everything_is_run_and_the_tests_come_last() {
        let features = ["no feature", "feature postgres", "feature redis"];
        let rest = [
            &["format", "lints", "documentation"],
            &features[..],
            &["doctests", "release", "tests"],
        ]
        .concat();
        check(&around(), &rest);
    }

    #[test]
    fn a_fast_run_leaves_out_documentation_and_features() {
        check(
            &Surroundings {
                fast: true,
                ..around()
            },
            &["format", "lints", "doctests", "tests"],
        );
    }

    #[test]
    fn advisories_are_checked_where_their_database_can_be_had() {
        let shown = |deny| {
            let around = Surroundings {
                deny,
                fast: true,
                ..around()
            };
            steps(&around)
                .iter()
                .map(|step| step.cmd().to_string())
                .find(|shown| shown.contains(" deny "))
        };
        assert_eq!(shown(Deny::Absent), None);
        assert_eq!(
            shown(Deny::Offline).unwrap(),
            "cargo deny check bans licenses sources"
        );
        assert_eq!(shown(Deny::Full).unwrap(), "cargo deny check");
    }

    #[test]
    fn docker_tests_must_run_where_an_engine_answers() {
        let tests = |docker| {
            steps(&Surroundings { docker, ..around() })
                .pop()
                .unwrap()
                .cmd()
                .to_string()
        };
        assert_eq!(
            tests(false),
            "cargo test --workspace --lib --bins --tests --examples --no-fail-fast"
        );
        assert_eq!(
            tests(true),
            format!("CLNRM_REQUIRE_DOCKER=1 {}", tests(false))
        );
    }

    #[test]
    fn each_feature_is_checked_alone() {
        let shown: Vec<_> = features(&around().features)
            .map(|step| step.cmd().to_string())
            .collect();
        let check = "cargo check -p clnrm --no-default-features";
        assert_eq!(
            shown,
            [
                check.to_owned(),
                format!("{check} --features postgres"),
                format!("{check} --features redis")
            ]
        );
    }

    #[test]
    fn the_shop_is_run_with_and_without_an_engine() {
        let without = "DOCKER_HOST=unix:///nonexistent cargo clnrm test -p shop";
        let shown = |docker| {
            shop(docker)
                .iter()
                .map(|step| step.cmd().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(shown(false), [without]);
        assert_eq!(shown(true), ["cargo clnrm test -p shop", without]);
    }
}
