//! The time for an orderly stop, beside the time after which container engines kill.

use std::time::Duration;

use super::report::{About, Level, Report};
use crate::config::load::Loaded;

/// Docker's and podman's default, `docker stop --time`; Kubernetes gives 30 s.
const ENGINE: Duration = Duration::from_secs(10);

/// Compares `stop_within` with the engines, and with the graces that are cut to fit it.
pub(super) fn check(loaded: &Loaded, report: &mut Report) {
    let within = loaded.plan.init.stop_within;
    let shown = humantime::format_duration(within);
    if within >= ENGINE {
        let least = humantime::format_duration(within + Duration::from_secs(5));
        let seconds = (within + Duration::from_secs(5)).as_secs();
        let text = format!(
            "stop_within = \"{shown}\": Docker and podman kill after 10s unless told otherwise; \
             raise both together, --stop-timeout {seconds} (stop_grace_period: {least} in \
             compose, terminationGracePeriodSeconds: {seconds} in Kubernetes)"
        );
        report.say(Level::Warning, About::Stop, "stop_within", text);
        return;
    }
    let graces = loaded.plan.jobs.iter().map(|job| job.run.stop.grace);
    let cut = graces.max().filter(|grace| *grace > within);
    let cut = cut.map_or_else(String::new, |grace| {
        let grace = humantime::format_duration(grace);
        format!("; graces of {grace} are cut to fit it when the container stops")
    });
    let text = format!(
        "stop_within = \"{shown}\" is below the 10s after which Docker and podman kill{cut}"
    );
    report.say(Level::Ok, About::Stop, "stop_within", text);
}
