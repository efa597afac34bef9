//! In place of the unwinder's library, in the static build: nobody unwinds.
//!
//! A panic aborts, and the program has no tables by which a stack could be walked (`.cargo/lean.ld`).
//! With these, the linker leaves out the library, and the compiler sees that a backtrace is always
//! empty and leaves out all that would name its frames: a fifth of the program. What is asked for
//! here is what std refers to; the signatures are those of the Itanium C++ ABI, section 1.
#![cfg(all(target_env = "musl", panic = "abort"))]
#![expect(
    unsafe_code,
    reason = "a symbol that std refers to is given by an unsafe attribute"
)]

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`: there is no further frame.
const END_OF_STACK: c_int = 5;

macro_rules! none {
    ($($name:ident($($arg:ty),*) -> $answer:ty = $value:expr;)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($(_: $arg),*) -> $answer {
            $value
        }
    )*};
}

none! {
    _Unwind_Backtrace(*const c_void, *mut c_void) -> c_int = END_OF_STACK;
    _Unwind_RaiseException(*mut c_void) -> c_int = END_OF_STACK;
    _Unwind_Resume(*mut c_void) -> () = std::process::abort();
    _Unwind_DeleteException(*mut c_void) -> () = ();
    _Unwind_GetLanguageSpecificData(*mut c_void) -> *mut c_void = std::ptr::null_mut();
    _Unwind_GetRegionStart(*mut c_void) -> usize = 0;
    _Unwind_GetTextRelBase(*mut c_void) -> usize = 0;
    _Unwind_GetDataRelBase(*mut c_void) -> usize = 0;
    _Unwind_GetIP(*mut c_void) -> usize = 0;
    _Unwind_GetIPInfo(*mut c_void, *mut c_int) -> usize = 0;
    _Unwind_GetCFA(*mut c_void) -> usize = 0;
    _Unwind_GetGR(*mut c_void, c_int) -> usize = 0;
    _Unwind_SetGR(*mut c_void, c_int, usize) -> () = ();
    _Unwind_SetIP(*mut c_void, usize) -> () = ();
    _Unwind_FindEnclosingFunction(*mut c_void) -> *mut c_void = std::ptr::null_mut();
}
