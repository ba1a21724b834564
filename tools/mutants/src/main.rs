//! Breaks the code in one place at a time, in a copy of the sources, and sees whether a test notices.
//!
//! ```text
//! cargo run -p zkstrata-mutants -- check [LIST]                     every text is there, once
//! cargo run -p zkstrata-mutants -- run [LIST] [--only NAME]...      all of them, or these
//!                                      [--seed S --seconds N]       in random order, until time is up
//! ```
//!
//! It fails if a mutation survives: then a test is missing.

mod list;

use list::{Fault, Mutation, parse};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// The list of mutations that tests of hiding must notice, below the root.
const HIDING: &str = "tools/mutants/hiding.txt";

/// What of the root is not copied.
const NOT_COPIED: [&str; 2] = ["target", ".git"];

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().nth(2).expect("two folders below the root");
    root.to_path_buf()
}

fn read(file: &str) -> Result<Vec<Mutation>, Box<dyn Error>> {
    Ok(parse(&fs::read_to_string(root().join(file))?)?)
}

/// What a list lacks.
fn check(list: &[Mutation]) -> Vec<Fault> {
    let root = root();
    list.iter()
        .filter_map(|mutation| mutation.apply(&root).err())
        .collect()
}

/// What is to be done.
struct Task {
    list: String,
    only: Vec<String>,
    seed: Option<u64>,
    time: Option<Duration>,
}

impl Task {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut task = Self {
            list: HIDING.into(),
            only: vec![],
            seed: None,
            time: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} has a value"));
            match word.as_str() {
                "--only" => task.only.push(value()?),
                "--seed" => task.seed = Some(value()?.parse()?),
                "--seconds" => task.time = Some(Duration::from_secs(value()?.parse()?)),
                option if option.starts_with("--") => return Err(format!("{option}?").into()),
                _ => task.list = word,
            }
        }
        Ok(task)
    }

    /// The mutations in their order.
    fn mutations(&self) -> Result<Vec<Mutation>, Box<dyn Error>> {
        let mut list = read(&self.list)?;
        if !self.only.is_empty() {
            list.retain(|mutation| self.only.contains(&mutation.name));
        }
        if let Some(seed) = self.seed {
            list.sort_by_cached_key(|mutation| {
                let bytes = mutation.name.bytes();
                bytes.fold(mix(seed), |state, byte| mix(state ^ u64::from(byte)))
            });
        }
        Ok(list)
    }
}

/// splitmix64
fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A copy of the sources, whose files are written only where they differ, so that little is built anew.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new() -> Result<Self, Box<dyn Error>> {
        let target = std::env::var_os("CARGO_TARGET_DIR");
        let target = target.map_or_else(|| root().join("target"), PathBuf::from);
        // A folder of its own: cargo takes packages at the same place in two workspaces for one.
        let own = std::path::absolute(target)?.join("mutants");
        let copy = Self {
            root: own.join("tree"),
            target: own.join("target"),
        };
        renew(&root(), &copy.root)?;
        Ok(copy)
    }

    fn restore(&self, mutation: &Mutation) -> Result<(), Box<dyn Error>> {
        for change in &mutation.changes {
            write(
                &self.root.join(&change.file),
                &fs::read(root().join(&change.file))?,
            )?;
        }
        Ok(())
    }

    /// The tests that fail, or that the code does not build.
    fn failing(&self, package: &str, filters: &[String]) -> Result<Vec<String>, Box<dyn Error>> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        // Little changes from one mutation to the next.
        cargo.env("CARGO_TARGET_DIR", &self.target);
        cargo.env("CARGO_INCREMENTAL", "1");
        cargo.args(["test", "--release", "--lib", "-p", package, "--"]);
        let output = cargo.args(filters).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines = text.lines().filter_map(|line| line.strip_prefix("test "));
        let failed = lines.filter_map(|line| line.strip_suffix(" ... FAILED"));
        let failed: Vec<String> = failed.map(String::from).collect();
        if !output.status.success() && failed.is_empty() {
            let errors = String::from_utf8_lossy(&output.stderr);
            let errors: Vec<&str> = errors.lines().rev().take(20).collect();
            let errors: Vec<&str> = errors.into_iter().rev().collect();
            return Err(format!("it does not build, or stops:\n{}", errors.join("\n")).into());
        }
        Ok(failed)
    }
}

/// Copies a folder.
fn renew(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        if from == root() && NOT_COPIED.iter().any(|not| name == *not) {
            continue;
        }
        let to = to.join(&name);
        if kind.is_dir() {
            renew(&entry.path(), &to)?;
        } else if kind.is_file() {
            write(&to, &fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    if fs::read(path).is_ok_and(|own| own == bytes) {
        return Ok(());
    }
    Ok(fs::write(path, bytes)?)
}

/// Runs mutations; gives how many were not noticed.
fn run(task: &Task) -> Result<usize, Box<dyn Error>> {
    let list = task.mutations()?;
    let copy = Copy::new()?;
    // The same tests pass on the code as it is, once for each package.
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for mutation in &list {
        all.entry(&mutation.package)
            .or_default()
            .extend(mutation.filters.iter().cloned());
    }
    for (package, filters) in all {
        let failed = copy.failing(package, &filters)?;
        if !failed.is_empty() {
            return Err(format!("without mutations {} fails", failed.join(", ")).into());
        }
    }
    let start = Instant::now();
    let (mut survived, mut done) = (0, 0);
    for mutation in &list {
        if task.time.is_some_and(|time| start.elapsed() > time) {
            break;
        }
        for (file, text) in mutation.apply(&root())? {
            write(&copy.root.join(file), text.as_bytes())?;
        }
        let before = Instant::now();
        let failed = copy.failing(&mutation.package, &mutation.filters);
        copy.restore(mutation)?;
        let seconds = before.elapsed().as_secs();
        done += 1;
        match failed {
            Ok(failed) if failed.is_empty() => {
                survived += 1;
                println!("SURVIVED {} ({seconds} s)", mutation.name);
            }
            Ok(failed) => {
                let first: Vec<&str> = failed.iter().take(3).map(String::as_str).collect();
                let (first, more) = (first.join(", "), failed.len().saturating_sub(3));
                println!(
                    "KILLED   {} by {first} and {more} more ({seconds} s)",
                    mutation.name
                );
            }
            Err(error) => {
                survived += 1;
                println!("BROKEN   {} ({seconds} s): {error}", mutation.name);
            }
        }
    }
    println!("{done} of {} mutations, {survived} not noticed", list.len());
    Ok(survived)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let task = Task::parse(words)?;
    let wrong = match command.as_str() {
        "check" => {
            let faults = check(&read(&task.list)?);
            for fault in &faults {
                eprintln!("{fault}");
            }
            faults.len()
        }
        "run" => run(&task)?,
        _ => return Err("check or run?".into()),
    };
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever changes a line that a mutation breaks changes the mutation.
    #[test]
    fn every_text_of_the_list_is_there_once() {
        let list = read(HIDING).expect("a list");
        let faults: Vec<String> = check(&list).iter().map(Fault::to_string).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        let mut names: Vec<&str> = list.iter().map(|m| m.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), list.len(), "names are names");
    }
}
