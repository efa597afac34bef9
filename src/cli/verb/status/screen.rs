//! A terminal whose whole screen shows one text, and which is as it was when that is over.
//!
//! The text goes to the other of its two screens, without a cursor and without lines that go on in the
//! next one. What ends us by KILL leaves it so: `reset` helps.

use std::io::stdout;
use std::os::fd::AsFd as _;

use nix::errno::Errno;

use crate::cli::print;
use crate::sys::tty;

const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";

/// The screen while it is ours.
#[derive(Debug)]
pub(super) struct Screen {
    shown: String,
}

impl Screen {
    pub(super) fn enter() -> Result<Self, Errno> {
        print::out(ENTER)?;
        Ok(Self {
            shown: String::new(),
        })
    }

    /// How many columns and lines there are.
    pub(super) fn size() -> (usize, usize) {
        tty::size(stdout().as_fd()).unwrap_or((80, 24))
    }

    /// Shows `text`, which fits; nothing is written where it is shown already.
    pub(super) fn show(&mut self, text: String) -> Result<(), Errno> {
        if text == self.shown {
            return Ok(());
        }
        // Erased beforehand: at the end of a full line the cursor stands on its last letter.
        let lines: Vec<&str> = text.lines().collect();
        print::out(&format!("\u{1b}[H\u{1b}[J{}", lines.join("\r\n")))?;
        self.shown = text;
        Ok(())
    }

    /// Whatever was there is gone, as after a change of its size.
    pub(super) fn forget(&mut self) {
        self.shown.clear();
    }

    /// For as long as we are stopped.
    pub(super) fn leave() -> Result<(), Errno> {
        print::out(LEAVE)
    }

    pub(super) fn enter_again(&mut self) -> Result<(), Errno> {
        self.forget();
        print::out(ENTER)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = Self::leave();
    }
}
