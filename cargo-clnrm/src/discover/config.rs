//! Cargo's own configuration: what of it a test can notice, `[env]` and the runner.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_config2::{Config, ResolveOptions, Walk, cargo_home_with_cwd};
use clnrm_runtime::program::cargo;

/// What cargo's configuration gives to the tests that cargo runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CargoConfig {
    /// Of `[env]`, what is not in our own environment, or replaces that.
    pub(super) env: BTreeMap<String, OsString>,
    /// What test binaries are run by.
    pub(super) runner: Option<Runner>,
    /// What could not be followed, for people.
    pub(super) notes: Vec<String>,
}

/// `target.….runner`: a program that is given a test binary, with the arguments of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runner {
    /// A path, or a name in `PATH`.
    pub program: PathBuf,
    /// Its arguments before the test binary.
    pub args: Vec<OsString>,
}

/// Where configuration is looked for.
#[derive(Debug)]
struct Place {
    dir: PathBuf,
    home: Option<PathBuf>,
    env: BTreeMap<OsString, OsString>,
}

impl CargoConfig {
    /// Reads what holds for a cargo that is started here. `target` is its `--target`.
    ///
    /// Cargo has read the same files, so that what is wrong with them was said:
    /// what this does not understand is a note and no error.
    pub(super) fn find(target: Option<&str>) -> Self {
        let Ok(dir) = std::env::current_dir() else {
            return Self::default();
        };
        let place = Place {
            home: cargo_home_with_cwd(&dir),
            env: std::env::vars_os().collect(),
            dir,
        };
        Self::read(&place, target)
    }

    fn read(place: &Place, target: Option<&str>) -> Self {
        let mut notes: Vec<_> = including(place).map(|path| {
            format!("`include` of `{}` is not followed: tests may miss variables or a runner that only `cargo test` gives them", path.display())
        }).collect();
        let read = resolve(place).and_then(|config| {
            let runner = runner(&config, target)?;
            Ok((config, runner))
        });
        let (env, runner) = match read {
            Ok((config, runner)) => (environment(config, &place.env), runner),
            Err(error) => {
                notes.push(format!("cargo's configuration cannot be read, and tests run without its `[env]` and its runner: {}", chain(&error)));
                Default::default()
            }
        };
        Self { env, runner, notes }
    }
}

fn resolve(place: &Place) -> Result<Config, cargo_config2::Error> {
    let options = ResolveOptions::default()
        .cargo(cargo().get_program())
        .cargo_home(place.home.clone())
        .env(place.env.clone());
    Config::load_with_options(&place.dir, options)
}

/// What `[env]` adds to an environment.
fn environment(
    config: Config,
    present: &BTreeMap<OsString, OsString>,
) -> BTreeMap<String, OsString> {
    let given = config
        .env
        .into_iter()
        .filter(|(name, value)| value.force || !present.contains_key(std::ffi::OsStr::new(name)));
    given.map(|(name, value)| (name, value.value)).collect()
}

/// The runner for the first of the targets that are built, as nextest takes it.
fn runner(config: &Config, target: Option<&str>) -> Result<Option<Runner>, cargo_config2::Error> {
    let targets = config.build_target_for_config(target)?;
    let Some(target) = targets.first() else {
        return Ok(None);
    };
    let runner = config.runner(target)?;
    Ok(runner.map(|runner| Runner {
        program: runner.path,
        args: runner.args,
    }))
}

/// The files with an `include`, which the library does not know.
fn including(place: &Place) -> impl Iterator<Item = PathBuf> {
    Walk::with_cargo_home(&place.dir, place.home.clone()).filter(|path| includes(path))
}

fn includes(path: &Path) -> bool {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.parse::<toml::Table>()
        .is_ok_and(|table| table.contains_key("include"))
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A home, and in it a directory that cargo is started in.
    struct Scene {
        dir: tempfile::TempDir,
        env: BTreeMap<OsString, OsString>,
    }

    impl Scene {
        fn new(env: &[(&str, &str)]) -> Self {
            let own = |(name, value): &(&str, &str)| (name.into(), value.into());
            let dir = tempfile::tempdir().unwrap();
            let env = env.iter().map(own).collect();
            Self { dir, env }
        }

        fn write(&self, file: &str, text: &str) -> &Self {
            let path = self.dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        fn read(&self, target: Option<&str>) -> CargoConfig {
            let dir = self.dir.path().join("work/deep");
            fs::create_dir_all(&dir).unwrap();
            let home = Some(self.dir.path().join("home"));
            let env = self.env.clone();
            CargoConfig::read(&Place { dir, home, env }, target)
        }

        fn env(&self) -> Vec<(String, String)> {
            let config = self.read(None);
            assert_eq!(config.notes, [] as [&str; 0]);
            let text = |value: OsString| value.into_string().unwrap();
            let env = config.env.into_iter();
            env.map(|(name, value)| (name, text(value))).collect()
        }
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect()
    }

    #[test]
    fn the_nearest_file_says_what_a_variable_is() {
        let scene = Scene::new(&[]);
        scene
            .write(
                "home/config.toml",
                "[env]\nA = 'home'\nB = 'home'\nC = 'home'",
            )
            .write("work/.cargo/config.toml", "[env]\nA = 'work'\nB = 'work'")
            .write("work/deep/.cargo/config", "[env]\nA = 'deep'");
        let expected = owned(&[("A", "deep"), ("B", "work"), ("C", "home")]);
        assert_eq!(scene.env(), expected);
    }

    #[test]
    fn what_is_set_stays_unless_it_is_forced() {
        let scene = Scene::new(&[("KEPT", ""), ("FORCED", "mine")]);
        let text = "[env]\nKEPT = 'config'\nFORCED = { value = 'config', force = true }\nNEW = ''";
        scene.write("work/.cargo/config.toml", text);
        assert_eq!(scene.env(), owned(&[("FORCED", "config"), ("NEW", "")]));
    }

    #[test]
    fn a_relative_value_begins_above_its_file() {
        let scene = Scene::new(&[]);
        let text = "[env]\nDIR = { value = 'data/x', relative = true }";
        scene.write("work/.cargo/config.toml", text);
        let expected = scene.dir.path().join("work/data/x");
        assert_eq!(scene.env(), owned(&[("DIR", expected.to_str().unwrap())]));
    }

    #[test]
    fn the_runner_is_that_of_the_target() {
        let scene = Scene::new(&[("CARGO_TARGET_X86_64_UNKNOWN_NONE_RUNNER", "qemu -cpu max")]);
        let text = "[target.x86_64-unknown-none]\nrunner = 'other'\n[target.'cfg(unix)']\nrunner = ['bin/run', 'a b']";
        scene.write("work/.cargo/config.toml", text);
        let runner = |target| {
            let runner = scene.read(target).runner.unwrap();
            (runner.program, runner.args)
        };
        let ours = scene.dir.path().join("work/bin/run");
        assert_eq!(runner(None), (ours, vec!["a b".into()]));
        let qemu = vec!["-cpu".into(), "max".into()];
        assert_eq!(runner(Some("x86_64-unknown-none")), ("qemu".into(), qemu));
    }

    #[test]
    fn what_is_not_understood_is_told() {
        let scene = Scene::new(&[]);
        scene.write("work/.cargo/config.toml", "include = ['more.toml']");
        let notes = scene.read(None).notes;
        assert!(notes[0].starts_with("`include` of `"), "{notes:?}");
        scene.write("work/.cargo/config.toml", "[env]\nA = 1");
        let config = scene.read(None);
        let note = &config.notes[0];
        assert!(note.contains("without its `[env]`"), "{note}");
        assert!(note.contains("work/.cargo/config.toml"), "{note}");
        assert!(config.env.is_empty());
    }
}
