//! What became of a lock directory, in words, and the reason in one.

use std::borrow::Cow;

use nix::errno::Errno;

use super::super::fields::Fields;
use super::super::words::Short;
use crate::core::note::{Dead, Fate};
use crate::trouble;

/// The words behind the name of a lock directory.
pub(super) fn fate_of(fate: Fate, to: &mut Fields<'_>) -> Cow<'static, str> {
    let (reason, text): (_, Cow<'static, str>) = match fate {
        Fate::Removed(Dead::Stale(silent)) => {
            let silent = Short(silent);
            ("stale", format!("removed: not refreshed for {silent}").into())
        }
        Fate::Removed(Dead::Ahead(ahead)) => {
            let ahead = Short(ahead);
            ("ahead", format!("removed: its time lies {ahead} in the future").into())
        }
        Fate::Removed(Dead::Alone) => (
            "alone",
            "removed: nobody else uses the login".into(),
        ),
        Fate::Removed(Dead::Silent(watched)) => {
            let watched = Short(watched);
            let text = format!("removed: the run left it, no sign of life for {watched}");
            ("silent", text.into())
        }
        Fate::Remains => (
            "remains",
            "removed for good: a sweep that was killed had put it aside".into(),
        ),
        Fate::BroughtBack => (
            "brought_back",
            "is back in its place: a sweep that was killed had put it aside".into(),
        ),
        Fate::Owned => ("owned", "left alone: it was there before the run".into()),
        Fate::Refreshed => ("refreshed", "left alone: its owner lives".into()),
        Fate::CutShort => (
            "cut_short",
            "left alone: no time to watch it; the start of a run removes it when it is stale".into(),
        ),
        Fate::Late => (
            "late",
            "left alone: we were not running all the time, and its owner perhaps was not either; \
             the start of a run removes it when it is stale"
                .into(),
        ),
        Fate::NotEmpty => (
            "not_empty",
            "left alone: it is not empty, and no lock; remove it by hand, or take it out of lock_dirs"
                .into(),
        ),
        Fate::NotAFolder => (
            "not_a_folder",
            "left alone: it is no directory; remove it by hand, or take it out of lock_dirs".into(),
        ),
        Fate::Denied { errno } => {
            to.errno = Some(errno);
            let why = trouble::why(Errno::from_raw(errno));
            let text = format!("left alone, it can be neither judged nor moved: {why}");
            ("denied", text.into())
        }
        Fate::Unwatched { errno } => {
            to.errno = Some(errno);
            let why = Errno::from_raw(errno).desc();
            let text = format!("cannot be watched ({why}): compared once, at the end");
            ("unwatched", text.into())
        }
        Fate::Disturbed { back: true } => (
            "disturbed",
            "was refreshed in the instant in which it was moved, and is back: its owner may have \
             missed it, and have to log in again"
                .into(),
        ),
        Fate::Disturbed { back: false } => (
            "lost",
            "was refreshed in the instant in which it was moved, and somebody has made another: \
             two may have used the login at once; see whether both are still logged in"
                .into(),
        ),
    };
    to.reason = Some(reason);
    text
}
