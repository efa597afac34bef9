//! `[init]`: what it says, and what holds where it is silent.

use super::common::add_signals;
use crate::config::findings::Findings;
use crate::config::plan::{
    DEFAULT_EVENT_TIMEOUT, DEFAULT_STOP_WITHIN, EventPlan, Format, InitPlan, SignalMap,
};
use crate::config::sheet::Sheet;

pub(super) fn init(sheet: Option<&Sheet>, host_name: &str, findings: &mut Findings) -> InitPlan {
    let text = sheet.and_then(|sheet| sheet.text("name"));
    let mut signals = SignalMap::default();
    if let Some(sheet) = sheet {
        add_signals(sheet, &mut signals);
    }
    InitPlan {
        name: text.unwrap_or(host_name).to_owned(),
        stop_within: sheet
            .and_then(|sheet| sheet.time("stop_within"))
            .unwrap_or(DEFAULT_STOP_WITHIN),
        stay: sheet.and_then(|sheet| sheet.flag("stay")).unwrap_or(false),
        log: sheet
            .and_then(|sheet| sheet.text("log"))
            .and_then(Format::of)
            .unwrap_or_default(),
        signals,
        on_event: sheet.and_then(|sheet| on_event(sheet, findings)),
    }
}

fn on_event(sheet: &Sheet, findings: &mut Findings) -> Option<EventPlan> {
    let inner = sheet.sheet("on_event")?;
    let Some(command) = inner.command("command") else {
        if !inner.has("command") {
            let message = format!("{} has no `command`", inner.title);
            let help = "write on_event = { command = [\"…\"] }";
            findings.missing(&inner.span, message, help);
        }
        return None;
    };
    Some(EventPlan {
        command: command.to_vec(),
        kinds: inner.names("kinds").map(<[_]>::to_vec).unwrap_or_default(),
        timeout: inner.time("timeout").unwrap_or(DEFAULT_EVENT_TIMEOUT),
    })
}
