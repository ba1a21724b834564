//! The `zkstrata` command-line tool.
//!
//! Exit status: 0 accepted, 1 rejected, 2 usage or input error, 3 the integer model is inaccurate.

mod args;
mod bench;
mod check;
mod choices;
mod commit;
mod conformance;
mod estimate;
mod failure;
mod files;
mod input;
mod inspect;
mod keys;
mod linked;
mod operators;
mod output;
mod outputs;
mod progress;
mod prove;
mod quantised;
mod report;
mod security;
mod session;
mod setup;
mod verify;

use args::{Arguments, Command};
use clap::Parser;
use failure::{Context, Failure};
use progress::{Progress, Style};
use report::{Report, Verdict};
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit status of a rejection.
const REJECTED: u8 = 1;
/// Exit status of an integer model that is too far from its float model.
const INACCURATE: u8 = 3;
/// Exit status of a usage or input error.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && wants_json() => {
            return fail(&Failure::misuse(&error), Style::Json);
        }
        Err(error) => return usage(&error),
    };
    let style = if arguments.json {
        Style::Json
    } else {
        Style::Text
    };
    let progress = Progress::start(style);
    let result = run(&arguments, &progress);
    progress.finish();
    match result {
        Ok(mut report) => {
            progress.report(&mut report);
            let verdict = report.verdict();
            let text = match style {
                Style::Text => report.text().to_owned(),
                Style::Json => report.json(),
            };
            match (print(&text), verdict) {
                (Ok(()), Verdict::Accepted) => ExitCode::SUCCESS,
                (Ok(()), Verdict::Rejected) => REJECTED.into(),
                (Ok(()), Verdict::Inaccurate) => INACCURATE.into(),
                (Err(_), _) => UNUSABLE.into(),
            }
        }
        Err(failure) => fail(&failure, style),
    }
}

fn run(arguments: &Arguments, progress: &Progress) -> Result<Report, Failure> {
    if let Some(threads) = arguments.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get());
        pool.build_global().context("--threads")?;
    }
    match &arguments.command {
        Command::Setup(args) => setup::run(args, progress),
        Command::Prove(args) => prove::run(args, progress),
        Command::Session(args) => session::run(args, progress),
        Command::Commit(args) => commit::run(args, progress),
        Command::Verify(args) => verify::run(args, progress),
        Command::Check(args) => check::run(args, progress),
        Command::Conformance(args) => conformance::run(args, arguments.threads),
        Command::Bench(args) => bench::run(args, progress),
        Command::Estimate(args) => estimate::run(args, progress),
        Command::Inspect(args) => inspect::run(args, progress),
        Command::Operators(args) => Ok(operators::run(args)),
        Command::Security(args) => security::run(args),
    }
}

/// Whether arguments that cannot be understood ask for JSON.
fn wants_json() -> bool {
    let is_json = |arg: OsString| {
        let arg = arg.to_string_lossy();
        arg == "--json" || arg.starts_with("--json=")
    };
    std::env::args_os().skip(1).any(is_json)
}

/// Prints help or a usage error.
fn usage(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    match (error.use_stderr(), printed) {
        (false, Ok(())) => ExitCode::SUCCESS,
        // Nothing is left to say if standard error is closed.
        _ => UNUSABLE.into(),
    }
}

fn fail(failure: &Failure, style: Style) -> ExitCode {
    match style {
        Style::Text => report::say(format_args!("error: {failure}")),
        Style::Json => {
            let object = serde_json::json!({ "error": failure.to_string() });
            // The status says that something is wrong even if nobody reads the text.
            let _ = print(&format!("{object:#}\n"));
        }
    }
    UNUSABLE.into()
}

/// Unlike `print!`, does not panic when the reader has gone.
fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
