//! Which backend runs what: decided for a whole dependency closure at once.

use std::collections::BTreeMap;

use super::error::{nowhere, unreachable_process, why_no_container};
use super::{
    EngineProbe, ImageProbe, PlannedInstance, Preference, Probe, ProgramProbe, program_key,
};
use crate::backend::{BackendKind, Source};
use crate::error::{CleanroomError, Result};
use crate::service::{InstanceKey, Program, Spec};

/// Where an instance runs, and why.
#[derive(Debug, Clone)]
pub(super) struct Assignment {
    pub(super) backend: BackendKind,
    pub(super) reason: String,
    pub(super) source: Option<Source>,
    pub(super) url: Option<String>,
}

/// What could run one instance.
struct Options {
    /// There is no choice: external, hand-written, a binary of the workspace.
    fixed: Option<Assignment>,
    container: Option<Assignment>,
    process: Option<Assignment>,
    has_image: bool,
    has_program: bool,
}

type Choice = BTreeMap<InstanceKey, Assignment>;

/// Assigns the instances of one closure, or says for each why it cannot run.
pub(super) fn assign(
    instances: &[&PlannedInstance],
    probe: &Probe,
    preference: Preference,
) -> BTreeMap<InstanceKey, Result<Assignment>> {
    let options =
        |instance: &&PlannedInstance| (instance.key.clone(), options(instance, probe, preference));
    let options: BTreeMap<_, _> = instances.iter().map(options).collect();
    let mut conflict = None;
    for &way in ways(preference) {
        let Some(choice) = choose(&options, way) else {
            continue;
        };
        match reachable(instances, &choice) {
            Ok(()) => {
                return choice
                    .into_iter()
                    .map(|(key, assignment)| (key, Ok(assignment)))
                    .collect();
            }
            Err(error) => conflict = conflict.or(Some(error)),
        }
    }
    refuse(instances, &options, probe, preference, conflict.as_ref())
}

/// A way to run a closure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Everything that has an image is a container.
    Containers,
    /// Everything that has a program is a process.
    Processes,
    /// Each as it can be had: containers before processes.
    Mixed,
}

fn ways(preference: Preference) -> &'static [Way] {
    match preference {
        Preference::Auto => &[Way::Containers, Way::Processes, Way::Mixed],
        Preference::Docker => &[Way::Containers],
        Preference::Process => &[Way::Processes],
    }
}

/// What each instance gets that way, when every one can be had.
fn choose(options: &BTreeMap<InstanceKey, Options>, way: Way) -> Option<Choice> {
    let pick = |options: &Options| {
        let Options {
            container, process, ..
        } = options;
        let picked = match way {
            Way::Containers if options.has_image => container.clone(),
            Way::Containers => process.clone(),
            Way::Processes if options.has_program => process.clone(),
            Way::Processes => container.clone(),
            Way::Mixed => container.clone().or_else(|| process.clone()),
        };
        options.fixed.clone().or(picked)
    };
    options
        .iter()
        .map(|(key, options)| Some((key.clone(), pick(options)?)))
        .collect()
}

/// A container cannot reach a process on loopback.
fn reachable(instances: &[&PlannedInstance], choice: &Choice) -> Result<()> {
    let backend = |key: &InstanceKey| choice.get(key).map(|assignment| assignment.backend);
    for instance in instances
        .iter()
        .filter(|instance| backend(&instance.key) == Some(BackendKind::Docker))
    {
        let local = instance
            .needs
            .iter()
            .find(|need| backend(&need.key) == Some(BackendKind::Process));
        if let Some(need) = local {
            let process = instances.iter().find(|other| other.key == need.key);
            let process = process.map_or(need.field.as_str(), |process| process.name.as_str());
            return Err(unreachable_process(&instance.name, process));
        }
    }
    Ok(())
}

fn refuse(
    instances: &[&PlannedInstance],
    options: &BTreeMap<InstanceKey, Options>,
    probe: &Probe,
    preference: Preference,
    conflict: Option<&CleanroomError>,
) -> BTreeMap<InstanceKey, Result<Assignment>> {
    let refuse = |instance: &&PlannedInstance| {
        let answer = match (options.get(&instance.key), conflict) {
            (
                Some(Options {
                    fixed: None,
                    container: None,
                    process: None,
                    ..
                }),
                _,
            )
            | (None, _) => Err(nowhere(&instance.description, probe, preference)),
            (_, Some(conflict)) => Err(conflict.clone()),
            // The closure fails because of another; what does not need that one may run.
            (Some(options), None) => {
                let any = options
                    .fixed
                    .clone()
                    .or_else(|| options.container.clone())
                    .or_else(|| options.process.clone());
                any.ok_or_else(|| nowhere(&instance.description, probe, preference))
            }
        };
        (instance.key.clone(), answer)
    };
    instances.iter().map(refuse).collect()
}

fn options(instance: &PlannedInstance, probe: &Probe, preference: Preference) -> Options {
    let spec = instance.description.spec.as_ref();
    let none = Options {
        fixed: None,
        container: None,
        process: None,
        has_image: spec.is_some_and(|spec| spec.container.is_some()),
        has_program: spec.is_some_and(|spec| spec.process.is_some()),
    };
    if let Some(url) = probe.urls.get(&instance.name) {
        let variable = url_variable(&instance.name);
        let fixed = Assignment {
            backend: BackendKind::External,
            reason: format!("`{variable}` is set: yours is used, never started or stopped"),
            source: None,
            url: Some(url.clone()),
        };
        return Options {
            fixed: Some(fixed),
            ..none
        };
    }
    let Some(spec) = spec else {
        let fixed = Assignment {
            backend: BackendKind::Plugin,
            reason: "its plugin starts it by hand".to_owned(),
            source: None,
            url: None,
        };
        return Options {
            fixed: Some(fixed),
            ..none
        };
    };
    let is_bin = spec
        .process
        .as_ref()
        .is_some_and(|process| matches!(process.program, Program::Bin { .. }));
    let process = process(spec, probe, preference);
    if is_bin {
        return Options {
            fixed: process,
            ..none
        };
    }
    let container = if preference == Preference::Process {
        None
    } else {
        container(spec, probe)
    };
    // Asked for containers, a service that has an image never becomes a process.
    let process = process.filter(|_| preference != Preference::Docker || spec.container.is_none());
    Options {
        container,
        process,
        ..none
    }
}

fn container(spec: &Spec, probe: &Probe) -> Option<Assignment> {
    let image = spec.container.as_ref()?.image.to_string();
    let EngineProbe::Answers {
        local: true,
        version,
    } = &probe.engine
    else {
        return None;
    };
    let Some(ImageProbe::Present { name, pulled }) = probe.images.get(&image) else {
        return None;
    };
    let here = if pulled.is_some() {
        "was pulled"
    } else {
        "is local"
    };
    let mapped = if *name == image {
        String::new()
    } else {
        format!(" (for `{image}`)")
    };
    Some(Assignment {
        backend: BackendKind::Docker,
        reason: format!("{version} answers, and image `{name}`{mapped} {here}"),
        source: Some(Source::Image(name.parse().ok()?)),
        url: None,
    })
}

fn process(spec: &Spec, probe: &Probe, preference: Preference) -> Option<Assignment> {
    let program = &spec.process.as_ref()?.program;
    let ProgramProbe::Found {
        path,
        version,
        how,
        note,
    } = probe.programs.get(&program_key(program))?
    else {
        return None;
    };
    let mut reason = match program {
        Program::Bin { .. } => format!("{program} is a process always"),
        Program::Named(_) => {
            let version = version
                .as_deref()
                .map(|version| format!(" {version}"))
                .unwrap_or_default();
            format!("`{}`{version} ({how})", path.display())
        }
    };
    let image = spec
        .container
        .as_ref()
        .map(|container| container.image.to_string());
    match (image, preference) {
        _ if matches!(program, Program::Bin { .. }) => {}
        (Some(_), Preference::Process) => reason.push_str("; processes are asked for"),
        (Some(image), _) => {
            let present = matches!(probe.images.get(&image), Some(ImageProbe::Present { .. }));
            let why = if present {
                "what it depends on, or what depends on it, has no container".to_owned()
            } else {
                why_no_container(&image, probe).0
            };
            reason = format!("{reason}; no container, as {why}");
        }
        (None, _) => reason.push_str("; it has no image"),
    }
    if let Some(note) = note {
        reason = format!("{reason}; {note}");
    }
    let source = Source::Program {
        path: path.clone(),
        version: version.clone(),
    };
    Some(Assignment {
        backend: BackendKind::Process,
        reason,
        source: Some(source),
        url: None,
    })
}

/// The variable that makes the service called `name` external.
#[must_use]
pub(crate) fn url_variable(name: &str) -> String {
    format!("CLNRM_{}_URL", name.to_uppercase().replace('-', "_"))
}
