//! What a run is asked to do: flags over the environment over clnrm.toml over defaults.

use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use clnrm_runtime::config::{Config, Profile};
use clnrm_runtime::plan::Preference;
use clnrm_runtime::{CleanroomError, Result};

use crate::cli::{PlanArgs, RunArgs};
use crate::report::Target;

/// Why a run ended before its tests: the code, and what to tell, if it has not been told.
#[derive(Debug)]
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// What to tell.
    pub error: Option<CleanroomError>,
}

impl From<CleanroomError> for Ended {
    fn from(error: CleanroomError) -> Self {
        Self {
            code: crate::exit::of(&error),
            error: Some(error),
        }
    }
}

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file, the environment and the flags, put together.
    pub config: Config,
    /// The name of the profile.
    pub profile: String,
    /// Tests at once.
    pub threads: usize,
    /// Attempts of each test.
    pub attempts: u32,
    /// Whether the first failure ends the run.
    pub fail_fast: bool,
    /// Reports to write.
    pub reports: Vec<Target>,
}

impl Settings {
    /// Reads the configuration of the workspace and applies the flags.
    ///
    /// # Errors
    /// When the file is malformed, or has no such profile.
    pub fn of_plan(args: &PlanArgs, root: &Path) -> Result<Self> {
        let mut config = Config::find(root, |name| std::env::var(name).ok())?;
        let profile = profile(&config, args.profile.as_deref())?;
        config.backend = match (args.backend, std::env::var_os("CLNRM_BACKEND")) {
            (Some(backend), _) => backend,
            (None, None) => profile.backend.unwrap_or(config.backend),
            (None, Some(_)) => config.backend,
        };
        config.offline |= args.offline;
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            threads: profile.test_threads.unwrap_or(cores).max(1),
            attempts: profile.retries.unwrap_or(0) + 1,
            fail_fast: profile.fail_fast.unwrap_or(false),
            reports: profile
                .report
                .iter()
                .map(|text| target(text))
                .collect::<Result<_>>()?,
            profile: args.profile.clone().unwrap_or_else(|| "default".to_owned()),
            config,
        })
    }

    /// As [`Settings::of_plan`], with the flags of `test`.
    ///
    /// # Errors
    /// As [`Settings::of_plan`].
    pub fn of_run(args: &RunArgs, root: &Path) -> Result<Self> {
        let mut settings = Self::of_plan(&args.plan, root)?;
        settings.threads = args.test_threads.unwrap_or(settings.threads);
        if args.no_capture {
            settings.threads = 1;
        }
        settings.attempts = args
            .retries
            .map_or(settings.attempts, |retries| retries + 1);
        settings.fail_fast = !args.no_fail_fast && (args.fail_fast || settings.fail_fast);
        settings.reports.extend(args.report.iter().cloned());
        Ok(settings)
    }

    /// How long the parts of a test may take: limit, slow, grace.
    #[must_use]
    pub fn times(&self) -> (Duration, Duration, Duration) {
        let timeouts = &self.config.timeouts;
        (timeouts.test, timeouts.slow, timeouts.grace)
    }

    /// The backend that is preferred.
    #[must_use]
    pub fn preference(&self) -> Preference {
        self.config.backend
    }
}

fn profile(config: &Config, name: Option<&str>) -> Result<Profile> {
    let Some(name) = name else {
        return Ok(config.profile.get("default").cloned().unwrap_or_default());
    };
    config.profile.get(name).cloned().ok_or_else(|| {
        let known = config
            .profile
            .keys()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let known = if known.is_empty() {
            "there is none yet".to_owned()
        } else {
            format!("there are {known}")
        };
        CleanroomError::validation_error(format!("no profile is called `{name}`"))
            .with_hint(format!("add `[profile.{name}]` to clnrm.toml; {known}"))
    })
}

fn target(text: &str) -> Result<Target> {
    text.parse().map_err(|error: crate::report::NotATarget| {
        CleanroomError::validation_error("a profile has a malformed report").with_source(error)
    })
}
