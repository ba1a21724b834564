//! Compares zkstrata with other systems: `compare` measures and keeps one record per run, `report`
//! makes tables and plots of the records. `estimate` compares predictions with measurements.
//! `conformance` runs models with reference outputs. `cargo bench -p zkstrata-benches` measures
//! kernels.
//!
//! Exit status: 0 success, 1 a README that does not match its records, an estimate that is off or a
//! case that is wrong or crashed, 2 usage or input error. A system that fails on a model is a result, not an error.

mod accuracy;
mod args;
mod arrays;
mod case;
mod child;
mod compare;
mod conformance;
mod estimate;
mod failure;
mod figure;
mod fit;
mod journal;
mod machine;
mod peers;
mod record;
mod report;
mod stages;
mod strata;
mod worker;

use args::{Arguments, Command};
use clap::Parser;
use failure::Failure;
use std::process::ExitCode;

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(command: &Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Compare(args) => compare::run(args)?,
        Command::Conformance { args, json } => return conformance::run(args, *json),
        Command::Estimate(args) => return estimate::run(args),
        Command::Report(args) => return report::run(args),
        Command::Worker { stage, job } => worker::run(*stage, job)?,
    }
    Ok(ExitCode::SUCCESS)
}
