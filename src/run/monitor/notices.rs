//! What the command says on its `NOTIFY_SOCKET`, and what init is told of it.
//!
//! Owns `Monitor::notify`. It is read before the end of a process is looked at, so that what somebody
//! said last is heard, and while he can still be found in /proc.

use super::Monitor;
use crate::core::event::Event;
use crate::core::note::Note;
use crate::core::notice::status_line;
use crate::run::message::{Progress, send, send_event};
use crate::run::notify::{Heard, NotifySocket};
use crate::sys::datagram::Sender;

/// So many are read in one go, which is more than can wait (`max_dgram_qlen`, unix(7)): a flood does
/// not keep us from our signals and deadlines, and what was said before a deadline is heard before it.
const AT_ONCE: usize = 1024;

impl Monitor<'_> {
    pub(super) fn read_notices(&mut self) {
        for _ in 0..AT_ONCE {
            let Some(heard) = self.notify.as_mut().and_then(NotifySocket::hear) else {
                return;
            };
            match heard {
                Heard::Notice(mut notice) => {
                    let secrets = &self.setup.secrets;
                    notice.status = notice.status.map(|text| status_line(&secrets.hide(&text)));
                    self.step(Event::Noticed(notice));
                }
                Heard::Noise => {}
                Heard::Stranger(Sender { pid, uid }) => {
                    self.setup.journal.note(Note::NoticeRefused { pid, uid });
                }
            }
        }
    }

    /// What was noted and is an event.
    pub(super) fn tell_events(&self) {
        for event in self.setup.journal.events() {
            if let Some(init) = self.setup.init {
                send_event(init, event);
            }
        }
    }

    /// Past the guard, whom it does not concern, and who is not to be woken for it.
    pub(super) fn tell_init(&self, progress: &Progress) {
        if let Some(init) = self.setup.init {
            send(init, progress);
        }
    }
}
