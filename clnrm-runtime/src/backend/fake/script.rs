//! What a double does when it is asked, and what it was asked, in order.
//!
//! Time is tokio's, so that a paused clock makes a slow step cost nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{CleanroomError, Result};
use crate::wait::backoff::rest;

/// What can be asked of a backend, and of the plugin code that a double of it
/// plays beside one: both write into one journal, so that their order shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the method of its name")]
pub enum Step {
    Create,
    Start,
    Stop,
    Remove,
    Inspect,
    Exec,
    CopyIn,
    CopyOut,
    Pause,
    Unpause,
    Stats,
    CreateNetwork,
    RemoveNetwork,
    List,
    Sweep,
    PluginReady,
    PluginHealth,
    PluginMigrate,
    PluginSlice,
    PluginDropSlice,
    PluginSweep,
    PluginExternal,
    PluginStart,
    PluginStop,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Done,
    /// With an error.
    Failed,
    /// Whoever waited for it gave up.
    Cut,
}

/// A call, with its times since the script began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What was asked.
    pub step: Step,
    /// Of which service.
    pub service: String,
    /// When.
    pub begun: Duration,
    /// When and how it ended; absent while it goes on.
    pub ended: Option<(Duration, End)>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.step, self.service)?;
        match self.ended {
            Some((_, End::Done)) => Ok(()),
            Some((_, end)) => write!(f, " ({end:?})"),
            None => f.write_str(" (goes on)"),
        }
    }
}

/// Says how long each step takes and whether it fails. Clones are the same script.
#[derive(Debug, Clone)]
pub struct Script(Arc<Mutex<Inside>>);

#[derive(Debug)]
struct Inside {
    begin: Instant,
    rules: BTreeMap<(Step, String), Rule>,
    chance: Option<Chance>,
    calls: Vec<Call>,
}

#[derive(Debug, Clone, Default)]
struct Rule {
    takes: Duration,
    hangs: bool,
    fails: usize,
    error: Option<CleanroomError>,
}

impl Default for Script {
    /// Every step takes no time and succeeds.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inside {
            begin: Instant::now(),
            rules: BTreeMap::new(),
            chance: None,
            calls: Vec::new(),
        })))
    }
}

impl Script {
    /// From now on `step` of `service` takes that long.
    pub fn takes(&self, step: Step, service: &str, long: Duration) {
        self.rule(step, service, |rule| rule.takes = long);
    }

    /// From now on `step` of `service` never ends by itself.
    pub fn hangs(&self, step: Step, service: &str) {
        self.rule(step, service, |rule| rule.hangs = true);
    }

    /// The next so many times `step` of `service` fails.
    pub fn fails(&self, step: Step, service: &str, times: usize, error: CleanroomError) {
        self.rule(step, service, |rule| {
            rule.fails = times;
            rule.error = Some(error);
        });
    }

    /// From now on every step takes up to 50 ms, and one of so many that may
    /// fail without leaving anything does.
    pub fn chance(&self, seed: u64, one_of: u64) {
        self.inside().chance = Some(Chance {
            state: seed,
            one_of,
        });
    }

    /// What was asked so far, in the order of its beginning.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.inside().calls.clone()
    }

    /// The calls of `step`.
    #[must_use]
    pub fn of(&self, step: Step) -> Vec<Call> {
        let calls = self.calls().into_iter();
        calls.filter(|call| call.step == step).collect()
    }

    /// The calls that change something, one line each.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        let looks = [Step::Inspect, Step::List, Step::Sweep, Step::PluginReady];
        let calls = self.calls().into_iter();
        let changes = calls.filter(|call| !looks.contains(&call.step));
        changes.map(|call| call.to_string()).collect()
    }

    /// Plays a step: takes its time, and fails if it should.
    ///
    /// # Errors
    /// As the script says.
    pub async fn play(&self, step: Step, service: &str) -> Result<()> {
        let turn = self.begin(step, service);
        let rule = {
            let mut inside = self.inside();
            let mut rule = match inside.rules.get_mut(&(step, service.to_owned())) {
                Some(rule) => {
                    let now = rule.clone();
                    rule.fails = rule.fails.saturating_sub(1);
                    now
                }
                None => Rule::default(),
            };
            if let Some(chance) = &mut inside.chance {
                rule.takes += Duration::from_millis(chance.next() % 50);
                if step.may_fail_by_chance() && chance.next().is_multiple_of(chance.one_of) {
                    rule.fails = 1;
                    rule.error = Some(CleanroomError::service_error("by chance").transient());
                }
            }
            rule
        };
        if rule.hangs {
            std::future::pending::<()>().await;
        }
        if !rule.takes.is_zero() {
            rest(rule.takes).await;
        }
        match rule.error.filter(|_| rule.fails > 0) {
            Some(error) => {
                turn.end(End::Failed);
                Err(error)
            }
            None => {
                turn.end(End::Done);
                Ok(())
            }
        }
    }

    fn begin(&self, step: Step, service: &str) -> Turn {
        let mut inside = self.inside();
        let begun = inside.begin.elapsed();
        inside.calls.push(Call {
            step,
            service: service.to_owned(),
            begun,
            ended: None,
        });
        Turn {
            number: inside.calls.len() - 1,
            script: self.clone(),
        }
    }

    fn rule(&self, step: Step, service: &str, change: impl FnOnce(&mut Rule)) {
        let mut inside = self.inside();
        change(inside.rules.entry((step, service.to_owned())).or_default());
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Step {
    fn may_fail_by_chance(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Start
                | Self::CreateNetwork
                | Self::PluginMigrate
                | Self::PluginSlice
                | Self::PluginStart
        )
    }
}

/// A call that goes on; it was cut if it is dropped before it ended.
struct Turn {
    script: Script,
    number: usize,
}

impl Turn {
    fn end(self, end: End) {
        self.note(end);
    }

    fn note(&self, end: End) {
        let mut inside = self.script.inside();
        let now = inside.begin.elapsed();
        if let Some(call) = inside.calls.get_mut(self.number) {
            call.ended.get_or_insert((now, end));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.note(End::Cut);
    }
}

/// Numbers that look random and are the same for the same seed: Knuth's MMIX
/// generator, upper half.
#[derive(Debug)]
struct Chance {
    state: u64,
    one_of: u64,
}

impl Chance {
    fn next(&mut self) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.state >> 32
    }
}
