//! The plan without what nobody may read, for whoever prints it.

use super::Plan;
use crate::service::{File, Spec};

/// What stands for what is hidden.
const HIDDEN: &str = "***";

impl Plan {
    /// The same with `***` for each secret variable, and for what is in files:
    /// a password may be among it.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let mut plan = self.clone();
        let instances = plan.instances.values_mut();
        for spec in instances.filter_map(|it| it.description.spec.as_mut()) {
            hide(spec);
        }
        plan
    }
}

fn hide(spec: &mut Spec) {
    for var in spec.vars.values_mut().filter(|var| var.secret) {
        HIDDEN.clone_into(&mut var.value);
    }
    let container = spec.container.iter_mut().flat_map(|it| &mut it.files);
    container.for_each(hide_file);
    if let Some(process) = &mut spec.process {
        process.files.iter_mut().for_each(hide_file);
        let seed = process.seed.iter_mut().flat_map(|it| &mut it.files);
        seed.for_each(hide_file);
    }
}

fn hide_file(file: &mut File) {
    HIDDEN.clone_into(&mut file.contents);
}
