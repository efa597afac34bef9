//! The first act of the program, before the Rust runtime starts: part of the program alone, as a
//! library would do this to everything that is linked with it.
#![expect(
    unsafe_code,
    reason = "a place in the program file is given by an unsafe attribute"
)]

/// What stands in this section is called, in order, before `main` (System V ABI, gABI chapter 5).
#[used]
#[unsafe(link_section = ".init_array")]
static FIRST: extern "C" fn() = lockkeeper::sys::signals::first;
