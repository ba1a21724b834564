//! Runs ONNX models with reference outputs through zkstrata: ONNX's own operator tests, and
//! folders of models as EZKL has them. Each case ends in one of four ways:
//!
//! * passed: the quantised model gives every output by its name, of the reference's shape and
//!   within the profile's tolerance of the reference's range; integers and truth values exactly
//!   once they are rounded;
//! * wrong: it gives something else, fails to run, or its proof does not do what it should;
//! * refused: the importer, the quantisation or the setup turned it down, and said why;
//! * crashed: a panic, a signal, or no end in time.
//!
//! The input of a case is also its calibration, and every input is a float tensor: integers and
//! truth values are floats that hold them. If an array is longer along its first axis than the 1
//! that the import fixed, it is that many samples, and their outputs are joined. If that is asked for, a
//! model that is refused is tried again with some of its inputs as constants.

mod args;
mod case;
mod compare;
mod constants;
mod files;
mod isolated;
mod message;
mod model;
pub mod npy;
mod proof;
pub mod random;
mod report;
mod sample;
mod suite;

pub use args::{Conformance, Profile, Profiles, RandomGraphs};
pub use case::{Case, Figures, Outcome, Stage};
pub use report::{Counts, Report};

use case::{Constants, Depth, How};
use isolated::Program;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use suite::Entry;
use zkstrata_model_ir::int::{Ints, Model};

/// Name of the subcommand: cases run in processes that are given it.
pub const COMMAND: &str = "conformance";

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder that cannot be listed.
    #[error("cannot list folder {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nothing to run.
    #[error(
        "{} has no cases, or none that --only lets through: a case is a folder with a model.onnx \
         and out_0.npy or test_data_set_0/output_0.pb, or a network.onnx and ref_output.json",
        directory.display()
    )]
    NoCases {
        /// The folder given.
        directory: PathBuf,
    },
    /// This program cannot start itself.
    #[error("cannot find this program to run cases in processes of their own")]
    Program(#[source] std::io::Error),
}

/// An error and its causes in one line, leaving out causes that are already spelled out.
pub fn described(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = error.source();
    }
    message
}

/// Runs every case of a folder. With `threads`, the cases that run at once share that many.
///
/// # Errors
/// A folder that cannot be read or has no cases.
pub fn run(args: &Conformance, threads: Option<NonZeroUsize>) -> Result<Report, Error> {
    let directory = args.directory.as_deref().unwrap_or(Path::new("."));
    let entries = suite::find(directory, &args.only)?;
    let how = How {
        depth: if args.prove { Depth::Prove } else { Depth::Run },
        constants: if args.no_constants {
            Constants::None
        } else {
            Constants::Fewest
        },
    };
    let profiles = args.profile.list();
    let pairs = profiles.iter().flat_map(|&profile| {
        let entries = entries.iter();
        entries.map(move |entry| (entry, profile))
    });
    let pairs: Vec<(&Entry, Profile)> = pairs.collect();
    let cases = if args.in_process {
        let cases = pairs
            .iter()
            .map(|&(entry, profile)| case::run(entry, profile, how));
        cases.collect()
    } else {
        let program = Program {
            path: std::env::current_exe().map_err(Error::Program)?,
            start: vec![COMMAND.into()],
            threads: share(threads, args.jobs),
            timeout: args.timeout,
        };
        each(&pairs, args.jobs, |&(entry, profile)| {
            program.run(entry, profile, how)
        })
    };
    Ok(Report::new(profiles, cases))
}

/// The quantised model of a case, and its input.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The case's folder, relative to the suite.
    pub name: String,
    /// The row of the table that counts it: its operator, or the model.
    pub row: String,
    /// The model.
    pub model: Model,
    /// The cells of every input port, of one sample.
    pub inputs: Vec<Ints>,
}

/// Every case of a folder that is not refused before it runs, in order of the names.
///
/// # Errors
/// As [`run`].
pub fn samples(directory: &Path, profile: Profile) -> Result<Vec<Sample>, Error> {
    let how = How {
        depth: Depth::Run,
        constants: Constants::Fewest,
    };
    let entries = suite::find(directory, &[])?;
    let samples = entries.iter().filter_map(|entry| {
        let mut case = Case::crashed(entry, profile, String::new());
        let prepared = case::prepare(entry, how, &mut case).ok()?;
        let first = prepared.samples.get(..1)?;
        let inputs = prepared.model.graph.quantise_inputs(first).ok()?.cells;
        Some(Sample {
            name: case.name,
            row: case.row,
            model: prepared.model,
            inputs,
        })
    });
    Ok(samples.collect())
}

/// Threads of each of `jobs` cases that run at once; `None` for all of the machine.
fn share(threads: Option<NonZeroUsize>, jobs: NonZeroUsize) -> Option<NonZeroUsize> {
    let all = match (threads, jobs.get()) {
        (None, 1) => return None,
        (Some(threads), _) => threads,
        (None, _) => thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
    };
    NonZeroUsize::new(all.get() / jobs).or(Some(NonZeroUsize::MIN))
}

/// Applies `run` to all items, `jobs` at a time; the answers are in the items' order.
fn each<T: Sync, U: Send>(items: &[T], jobs: NonZeroUsize, run: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let next = AtomicUsize::new(0);
    let answers = Mutex::new(Vec::with_capacity(items.len()));
    let work = || {
        while let Some((i, item)) = {
            let i = next.fetch_add(1, Ordering::Relaxed);
            items.get(i).map(|item| (i, item))
        } {
            let answer = run(item);
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.push((i, answer));
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.get().min(items.len()) {
            scope.spawn(work);
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|&(i, _)| i);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: usize) -> NonZeroUsize {
        NonZeroUsize::new(n).expect("not 0")
    }

    #[test]
    fn answers_are_in_order() {
        let items: Vec<usize> = (0..100).collect();
        for jobs in [1, 3, 200] {
            let answers = each(&items, number(jobs), |&x| x + 1);
            assert!(answers.iter().enumerate().all(|(i, &x)| x == i + 1));
            assert_eq!(answers.len(), items.len());
        }
    }

    #[test]
    fn threads_are_shared() {
        assert_eq!(share(None, number(1)), None);
        assert_eq!(share(Some(number(8)), number(3)), Some(number(2)));
        assert_eq!(share(Some(number(2)), number(3)), Some(number(1)));
    }
}
