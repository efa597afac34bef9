//! The kind of a note: its message id and its level.
//!
//! A message id says *which* fact a record states, whatever its words are; the message catalogue
//! (`journalctl -x`) and other programs hold on to it. Invariant: an id is never given to another
//! fact, and never changes once it was released.

use crate::core::note::{Fate, Note};
use crate::core::outcome::Reason;
use crate::core::refusal::Refusal;

/// How much a note matters. The order is that of syslog(3): what matters most comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something was lost, or somebody must act.
    Error,
    /// It went on, but not as it should.
    Warning,
    /// The ordinary course of a run.
    Info,
    /// What only somebody who looks for a fault wants to read.
    Debug,
}

impl Level {
    /// The priority that journald gives it (`SYSLOG(3)`): tracing-journald maps "info" to notice.
    pub const fn priority(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Info => 5,
            Self::Debug => 6,
        }
    }
}

/// A message id: 128 random bits as 32 hexadecimal digits (`systemd.journal-fields(7)`, `MESSAGE_ID`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(pub &'static str);

macro_rules! message_ids {
    ($($name:ident = $hex:literal,)+) => {
        $(pub(crate) const $name: MessageId = MessageId($hex);)+

        /// Every message id with its name; the message catalogue is tested against it.
        pub const MESSAGE_IDS: &[(&str, MessageId)] = &[$((stringify!($name), $name),)+];
    };
}

message_ids! {
    WAITING = "30b4ba9924837544a2c700239189623d",
    OBTAINED = "6dadb60f657dfd2bef781019afa4787a",
    NESTED = "7c3a6dba971b9431d2d4ea4a44272fba",
    NOT_NESTED = "30fca3820dec8ad833c3699846a3e007",
    WAIT_EXPIRED = "211a988bf8237de41f12ced7952ef671",
    LOCK_REPLACED_WAITING = "dc10c36a7e562d8631928e66db19a799",
    LOCK_REPLACED_HELD = "26f5213b158987bfcb9e3c12f303929f",
    SPLIT = "a43c23ffd16e306c50d99825fb9ef6cb",
    LOCK_UNWATCHED = "ba4d47c78236e6fdde15cd990c7d8c9f",
    PLACEMENT = "07b5cb5d6510b9d5fb5704b55bcf8975",
    CLAIM_FAILED = "107d0ca050ac5267d677dee0199e9088",
    START_REFUSED = "adbfb966dd18c5f619cb433a94724adf",
    PAUSED = "16d85e2c3bce2a0e75a366a5189ba69c",
    PAUSE_SET = "ecfaa34fcfdab0cf1dec326bd3d14e8b",
    PAUSE_FAILED = "f6fb73c00a3f65d66131518b38e67a07",
    PAUSE_IGNORED = "3979f2246554eaf684eb88aec02d03cb",
    PAUSE_ENDED = "c86934350b91152531387ebafa751c8e",
    GROUP_TROUBLE = "dd4f3ef48b136b960a593e529db23786",
    OUT_OF_MEMORY = "2c13e1b8023c549970797f2f3dd1cc05",
    STARTED = "0c6be0784f4971a958d989a9f6af3098",
    SPAWN_FAILED = "33b37457fcd3e0bcdf40092a18739399",
    LOCK_FAILED = "931706c5795448fca8bd8910c1904bfe",
    DIR_WAITING = "c9d5b6df9ee770d15103898854c2d485",
    DIR_OBTAINED = "81711078d2865341671db585c51ab0cd",
    DIR_REFUSED = "72922415b08f1d2125da16606fa7260f",
    DIR_TROUBLE = "d54ef4b24c8f44f1bd67053064745f05",
    DIR_RELEASED = "14be1e44dd91119f8f302ac78ff5373e",
    READY = "ae064b7e6353dee35c124538a625e4c1",
    NOTICE_REFUSED = "f671288117dbb47028b9847d3179b51b",
    FINAL_SEEN = "12aca165501de13cee24a90804e60778",
    WOKE_LATE = "9ee9958dd878d0c08f5872b106d5b885",
    STOPPING = "fd55f572f2b45ea1cb374d046644157f",
    LEFTOVERS = "13409f3ebbaa14bb3ed7d1dc819eadfb",
    KILLING = "2daf7693c231447a255f09b4ca549878",
    UNKILLABLE = "710180e85cbe5d4ab783ccfbdec2e401",
    UNKILLABLE_GONE = "8fbec7054f04978dbe70199523cc6c9a",
    PROC_UNUSABLE = "f347a1e886e52fd1722e78509eadc506",
    LOCK_DIR_REMOVED = "2aa1dcf086640dcdbe1c7d030bda70db",
    LOCK_DIR_LEFT = "3ff25a25e117cca6a603bb0594d3073a",
    LOCK_DIR_DISTURBED = "03230e09b7357e0f29fdff55b688d471",
    GIT_LOCK_LEFT = "e2cc5ab6dd14db35505cc3519fee6468",
    ENDED = "ba7e91c4d4c81fa65ab407f62d3a0c9d",
    OUTPUT_TROUBLE = "75d909137d87bff627c8fab368f6ce5d",
    RELEASED = "32d7a4168f6415ddeb414001b3151256",
    GUARD_CLEANED = "3662406c750b0acf7359d3b839f937cb",
    INIT_STARTED = "2a67c4b56a6a2d636e1de68d6faf95c9",
    TICK_SKIPPED = "36d215c873fed8c00cc5d7c7ea230462",
    RUN_STARTING = "481378792d5831c2dddaa151237c61bb",
    RUN_ENDED = "50ef3c21ad805d7b5f5ebf565912afa0",
    RESTARTING = "26cbced7d63515ac05f901a0f31ea55e",
    GIVEN_UP = "aa62b54235ba7fde205b9169c2ec3d6a",
    NEVER_STARTS = "7bbfb09e80725cb146a4e16d33829220",
    PLACE_AWAITED = "804b502e2ce9ab0591659131cbe7fb46",
    GUARD_FAILED = "46d6c9eb03ceb0a42d6a43c17da60a67",
    RUN_FOUND = "c84342b1a5619de340cc0cfd28f9c2cd",
    RELOADED = "0adc639f039f6fbe610e2160c546e92e",
    RELOAD_REFUSED = "0b49e75336f96317b3829cedb568d93b",
    CONTROL_FAILED = "93ebddd98a1de9d938838fff06b1ce4a",
    STOP_ASKED = "f6e3759fbaad01f4db1992d8638a6df6",
    STOP_OVERDUE = "4faad56fae7e2d7d02ef15ec944da2bd",
    INIT_ENDED = "1cfdf2fb24e5be1bca5a501be695aaa7",
    STAYING = "1aaa8072bf2e612a1436455403bda69e",
    NO_JOURNAL = "ff4a4e46767fe3a984534f5824441f9b",
    NOTES_LOST = "82cf975c5d78ea27bb001067d1b90c2d",
    CONFIG_WARNING = "199725ce104394defb85b0dc95e25d9a",
    EVENT_FAILED = "f637c82ea2be4b56824ea696a6de7600",
}

/// The names of all kinds, as the manual and the file write them.
pub fn names() -> impl Iterator<Item = String> {
    MESSAGE_IDS
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
}

/// The kind of that name, in whatever case it is written.
pub fn named(word: &str) -> Option<String> {
    names().find(|name| name.eq_ignore_ascii_case(word))
}

/// The name of a kind.
pub fn name(id: MessageId) -> String {
    let known = MESSAGE_IDS.iter().find(|(_, known)| *known == id);
    known.map_or_else(String::new, |(name, _)| name.to_ascii_lowercase())
}

/// The message id and the level of a note.
pub const fn kind(note: &Note) -> (MessageId, Level) {
    match note {
        Note::Waiting { .. } => (WAITING, Level::Info),
        Note::Obtained { .. } => (OBTAINED, Level::Info),
        Note::Nested { .. } => (NESTED, Level::Info),
        Note::NotNested { .. } => (NOT_NESTED, Level::Info),
        Note::WaitExpired { .. } => (WAIT_EXPIRED, Level::Warning),
        Note::LockReplacedWaiting { .. } => (LOCK_REPLACED_WAITING, Level::Warning),
        Note::LockReplacedHeld { .. } => (LOCK_REPLACED_HELD, Level::Error),
        Note::Split { .. } => (SPLIT, Level::Error),
        Note::LockUnwatched { .. } => (LOCK_UNWATCHED, Level::Warning),
        Note::LockFailed { .. } => (LOCK_FAILED, Level::Error),
        Note::DirWaiting { .. } => (DIR_WAITING, Level::Info),
        Note::DirObtained { .. } => (DIR_OBTAINED, Level::Info),
        Note::DirRefused { .. } => (DIR_REFUSED, Level::Warning),
        Note::DirTrouble { .. } => (DIR_TROUBLE, Level::Error),
        Note::DirReleased { .. } => (DIR_RELEASED, Level::Info),
        Note::Placement { warning: true, .. } => (PLACEMENT, Level::Warning),
        Note::Placement { .. } => (PLACEMENT, Level::Debug),
        Note::ClaimFailed { .. } => (CLAIM_FAILED, Level::Warning),
        Note::StartRefused(Refusal::Paused { .. }) => (PAUSED, Level::Warning),
        Note::StartRefused(_) => (START_REFUSED, Level::Warning),
        Note::PauseSet { .. } => (PAUSE_SET, Level::Warning),
        Note::PauseFailed { .. } => (PAUSE_FAILED, Level::Error),
        Note::PauseIgnored { .. } => (PAUSE_IGNORED, Level::Warning),
        Note::PauseEnded { .. } => (PAUSE_ENDED, Level::Info),
        Note::GroupTrouble { .. } => (GROUP_TROUBLE, Level::Warning),
        Note::OutOfMemory { .. } => (OUT_OF_MEMORY, Level::Warning),
        Note::Started { .. } => (STARTED, Level::Info),
        Note::SpawnFailed { .. } => (SPAWN_FAILED, Level::Error),
        Note::Ready { .. } => (READY, Level::Info),
        Note::NoticeRefused { .. } => (NOTICE_REFUSED, Level::Warning),
        // Every healthy run of an agent has one.
        Note::FinalSeen { .. } => (FINAL_SEEN, Level::Debug),
        Note::WokeLate { .. } => (WOKE_LATE, Level::Info),
        Note::Stopping { .. } => (STOPPING, Level::Info),
        Note::Leftovers { .. } => (LEFTOVERS, Level::Info),
        Note::Killing => (KILLING, Level::Warning),
        Note::Unkillable { .. } => (UNKILLABLE, Level::Error),
        Note::UnkillableGone => (UNKILLABLE_GONE, Level::Info),
        Note::ProcUnusable { .. } => (PROC_UNUSABLE, Level::Warning),
        Note::LockDir { fate, .. } => fate_of(*fate),
        Note::GitLockLeft { .. } => (GIT_LOCK_LEFT, Level::Warning),
        Note::OutputTrouble { .. } => (OUTPUT_TROUBLE, Level::Warning),
        Note::Ended(outcome, _) => (ENDED, ended(outcome.reason)),
        Note::Released { .. } => (RELEASED, Level::Info),
        Note::GuardCleaned { .. } => (GUARD_CLEANED, Level::Error),
        Note::InitStarted { .. } => (INIT_STARTED, Level::Info),
        Note::TickSkipped { .. } => (TICK_SKIPPED, Level::Info),
        // What the run says of itself is louder.
        Note::RunStarting { .. } => (RUN_STARTING, Level::Debug),
        Note::RunEnded {
            reason: Some(_), ..
        } => (RUN_ENDED, Level::Debug),
        Note::RunEnded { .. } => (RUN_ENDED, Level::Warning),
        Note::Restarting { .. } => (RESTARTING, Level::Info),
        Note::GivenUp { .. } => (GIVEN_UP, Level::Error),
        Note::NeverStarts { .. } => (NEVER_STARTS, Level::Error),
        Note::PlaceAwaited { .. } => (PLACE_AWAITED, Level::Info),
        Note::GuardFailed { .. } => (GUARD_FAILED, Level::Error),
        Note::RunFound { .. } => (RUN_FOUND, Level::Info),
        Note::Reloaded { .. } => (RELOADED, Level::Info),
        Note::ReloadRefused { .. } => (RELOAD_REFUSED, Level::Error),
        Note::ControlFailed { .. } => (CONTROL_FAILED, Level::Warning),
        Note::StopAsked { .. } => (STOP_ASKED, Level::Info),
        Note::StopOverdue { .. } => (STOP_OVERDUE, Level::Warning),
        Note::InitEnded { .. } => (INIT_ENDED, Level::Info),
        Note::Staying => (STAYING, Level::Info),
        Note::NoJournal { .. } => (NO_JOURNAL, Level::Info),
        Note::NotesLost { .. } => (NOTES_LOST, Level::Warning),
        Note::ConfigWarning { .. } => (CONFIG_WARNING, Level::Warning),
        Note::EventFailed { .. } => (EVENT_FAILED, Level::Warning),
    }
}

/// How much a note matters to whoever reads standard error: as much as in the journal, but a caller who
/// waits is told that he does.
pub const fn heard(note: &Note) -> Level {
    match note {
        Note::Waiting { aloud: true, .. }
        | Note::Obtained { aloud: true, .. }
        | Note::DirWaiting { aloud: true, .. }
        | Note::DirObtained { aloud: true, .. } => Level::Warning,
        note => kind(note).1,
    }
}

const fn fate_of(fate: Fate) -> (MessageId, Level) {
    match fate {
        Fate::Removed(_) | Fate::Remains => (LOCK_DIR_REMOVED, Level::Info),
        // As it should be: a chat beside the run has one all the time.
        Fate::Owned | Fate::Unwatched { .. } => (LOCK_DIR_LEFT, Level::Debug),
        Fate::Refreshed | Fate::CutShort => (LOCK_DIR_LEFT, Level::Info),
        Fate::BroughtBack
        | Fate::Late
        | Fate::NotEmpty
        | Fate::NotAFolder
        | Fate::Denied { .. } => (LOCK_DIR_LEFT, Level::Warning),
        Fate::Disturbed { .. } => (LOCK_DIR_DISTURBED, Level::Error),
    }
}

/// A command that failed by itself tells its caller so; only what *we* did to it is a warning. The
/// lock that was not obtained and the command that did not start have a louder note of their own.
const fn ended(reason: Reason) -> Level {
    match reason {
        Reason::Timeout | Reason::IdleTimeout | Reason::ReadyTimeout | Reason::Heartbeat => {
            Level::Warning
        }
        Reason::GuardLost | Reason::Failed => Level::Error,
        Reason::Ended
        | Reason::Final { .. }
        | Reason::Signal(_)
        | Reason::InitStop
        | Reason::WaitExpired
        | Reason::DirNotLocked
        | Reason::StartRefused
        | Reason::Paused
        | Reason::SpawnFailed { .. } => Level::Info,
    }
}
