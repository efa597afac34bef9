//! lockkeeper: parse, dispatch, exit code.

#[path = "sys/first.rs"]
mod first;
#[path = "sys/unwind.rs"]
mod unwind;

use std::env;
use std::process::ExitCode;

use lockkeeper::cli::verb::{ask, check, init, lock, logs, pause, run, start, status, timeline};
use lockkeeper::cli::{Command, UsageError, help, parse, print};
use lockkeeper::exit;
use lockkeeper::init::{guards, reload};
use lockkeeper::sys::{process, signals};
use lockkeeper::trouble;

fn main() -> ExitCode {
    // Again: what the runtime has done meanwhile lets two of them through.
    signals::hold_back();
    let args: Vec<_> = env::args_os().skip(1).collect();
    let result = if args.first().is_some_and(|word| word == guards::WORD) {
        guards::be_one(args.get(1..).unwrap_or_default())
    } else if args.first().is_some_and(|word| word == reload::WORD) {
        reload::be_one(args.get(1..).unwrap_or_default())
    } else {
        match parse(args) {
            Ok(Command::Init(args)) => init::init(args),
            Ok(Command::Run(args)) => run::run(args),
            Ok(Command::Check(args)) => check::check(&args),
            Ok(Command::Lock(args)) => lock::lock(&args),
            Ok(Command::Pause(args)) => pause::pause(&args),
            Ok(Command::Logs(args)) => logs::logs(args),
            Ok(Command::Status(args)) => status::status(&args),
            Ok(Command::Timeline(args)) => timeline::timeline(&args),
            Ok(Command::Ask(args)) => ask::ask(&args),
            Ok(Command::Help(verb)) => return printed(&help::help(verb)),
            Ok(Command::Version) => {
                return printed(concat!("lockkeeper ", env!("CARGO_PKG_VERSION"), "\n"));
            }
            Err(error) => {
                print::last_words(&error.to_string());
                Ok(UsageError::CODE)
            }
        }
    };
    // Nothing is buffered, and what the runtime would take down the kernel takes down faster.
    process::exit_now(result.unwrap_or_else(|refused| start::tell(&refused)))
}

fn printed(text: &str) -> ExitCode {
    match print::out(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(errno) => {
            print::complain(&format!(
                "printing it: {}; let it go elsewhere",
                trouble::why(errno)
            ));
            ExitCode::from(exit::FAILED)
        }
    }
}
