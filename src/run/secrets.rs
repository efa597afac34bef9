//! The secrets of a run: the values that the variables named in `redact` have in its environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;

use crate::config::plan::RunPlan;
use crate::core::mask::Secrets;

/// Those of all of `plans`, each as its command finds it.
pub fn of<'a>(plans: impl IntoIterator<Item = &'a RunPlan>) -> Arc<Secrets> {
    let mut values = Vec::new();
    for plan in plans {
        for name in &plan.output.redact {
            let own = plan.env.iter().find(|(set, _)| set == name);
            let value = match own {
                Some((_, value)) => Some(value.into()),
                None => std::env::var_os(name),
            };
            values.extend(value.map(OsString::into_vec));
        }
    }
    Arc::new(Secrets::new(values))
}
