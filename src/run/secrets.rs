//! The secrets of a run: the values that the variables named in `redact` have in its environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;

use crate::config::plan::RunPlan;
use crate::core::mask::Secrets;

/// Those of all of `plans`, each as its command finds it.
pub fn of<'a>(plans: impl IntoIterator<Item = &'a RunPlan>) -> Arc<Secrets> {
    Arc::new(Secrets::new(plans.into_iter().flat_map(values)))
}

/// Their values, as the command of `plan` finds them.
pub fn values(plan: &RunPlan) -> Vec<Vec<u8>> {
    let value = |name: &String| {
        let own = plan.env.iter().find(|(set, _)| set == name);
        match own {
            Some((_, value)) => Some(value.into()),
            None => std::env::var_os(name),
        }
    };
    let values = plan.output.redact.iter().filter_map(value);
    values.map(OsString::into_vec).collect()
}
