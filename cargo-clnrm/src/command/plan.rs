//! `cargo clnrm plan`: which instances would run where and why, for people and for programs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use clnrm_runtime::plan::{LeaseMode, Plan, PlannedInstance};
use clnrm_runtime::service::InstanceKey;
use serde::Serialize;

const NAME: Style = AnsiColor::Cyan.on_default().bold();
const HEAD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// The plan as a program reads it.
#[derive(Debug, Serialize)]
struct Document {
    /// Of this form: 1.
    version: u32,
    #[serde(flatten)]
    plan: Plan,
}

/// The plan as JSON, versioned, without its secrets.
///
/// # Errors
/// When it cannot be written as JSON, which is a bug.
pub fn json(plan: &Plan) -> serde_json::Result<String> {
    let plan = plan.without_secrets();
    serde_json::to_string_pretty(&Document { version: 1, plan })
}

/// The plan for people, with styles that a writer may strip.
#[must_use]
pub fn text(plan: &Plan) -> String {
    let mut text = String::new();
    let order = dependencies_first(plan);
    let (instances, tests) = (
        count(order.len(), "instance"),
        count(plan.tests.len(), "test"),
    );
    let _ = writeln!(text, "{HEAD}Plan{HEAD:#}: {instances} for {tests}\n");
    let width = order.iter().map(|it| it.name.len()).max().unwrap_or(0);
    for instance in order {
        instance_text(&mut text, plan, instance, width);
    }
    for test in &plan.tests {
        let _ = writeln!(text, "{NAME}{}{NAME:#}", test.test);
        if let Some(error) = &test.error {
            let _ = writeln!(
                text,
                "    {BAD}cannot run{BAD:#}: {}",
                error.to_string().replace('\n', "\n    ")
            );
        }
        for lease in &test.leases {
            let dependency = if lease.named { "" } else { " (a dependency)" };
            let _ = writeln!(
                text,
                "    {:width$}  {:6}  {DIM}{}{dependency}{DIM:#}",
                lease.name, lease.mode, lease.reason
            );
        }
    }
    text
}

fn instance_text(text: &mut String, plan: &Plan, instance: &PlannedInstance, width: usize) {
    let own = plan.tests.iter().flat_map(|test| &test.leases);
    let own = own
        .filter(|lease| lease.key == instance.key && lease.mode == LeaseMode::Own)
        .count();
    let shared = instance.users.saturating_sub(own);
    let users = match (own, shared) {
        (0, shared) => format!("one for {}", count(shared, "test")),
        (1, 0) => "one for 1 test".to_owned(),
        (own, 0) => format!("one for each of {}", count(own, "test")),
        (own, shared) => format!(
            "one for {}, and one for each of {own} more",
            count(shared, "test")
        ),
    };
    let _ = writeln!(
        text,
        "{NAME}{:width$}{NAME:#}  {}  on {}, {users}",
        instance.name,
        instance.description.service_type,
        instance.place()
    );
    let _ = writeln!(text, "    {DIM}{}{DIM:#}", instance.reason);
    let needs = instance
        .needs
        .iter()
        .filter_map(|need| plan.instances.get(&need.key));
    let needs = needs.map(|need| need.name.as_str()).collect::<Vec<_>>();
    if !needs.is_empty() {
        let _ = writeln!(text, "    {DIM}starts after {}{DIM:#}", needs.join(", "));
    }
    text.push('\n');
}

/// The instances in an order in which they could start.
fn dependencies_first(plan: &Plan) -> Vec<&PlannedInstance> {
    fn visit<'a>(
        plan: &'a Plan,
        key: &InstanceKey,
        seen: &mut BTreeSet<InstanceKey>,
        order: &mut Vec<&'a PlannedInstance>,
    ) {
        let Some(instance) = plan.instances.get(key) else {
            return;
        };
        if seen.insert(key.clone()) {
            for need in &instance.needs {
                visit(plan, &need.key, seen, order);
            }
            order.push(instance);
        }
    }
    let mut roots = plan.instances.values().collect::<Vec<_>>();
    roots.sort_by(|a, b| (&a.name, &a.key).cmp(&(&b.name, &b.key)));
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for root in roots {
        visit(plan, &root.key, &mut seen, &mut order);
    }
    order
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
