//! Files of records, a line of JSON each.

use crate::failure::{Context, Failure};
use crate::record::{Record, SCHEMA};
use serde::Deserialize;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file of records that only grows.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
}

impl Journal {
    /// A journal in a file that need not exist yet; lines that exist must be readable.
    pub(crate) fn open(path: PathBuf) -> Result<Self, Failure> {
        if path.exists() {
            read(&path)?;
        }
        Ok(Self { path })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a record in one write, so that a line is there as a whole or not at all.
    pub(crate) fn append(&self, record: &Record) -> Result<(), Failure> {
        let what = format!("cannot append to {}", self.path.display());
        let mut line = serde_json::to_string(record).context(&what)?;
        line.push('\n');
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .context(what)
    }
}

/// The records of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<Record>, Failure> {
    let text = fs::read_to_string(path).context(format!("cannot read {}", path.display()))?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let record = |(i, line)| {
        parse(line).map_err(|error| {
            Failure::new(format!("{}:{}: {error}", path.display(), i + 1))
                .remedy("mend or remove the line")
        })
    };
    lines.map(record).collect()
}

fn parse(line: &str) -> Result<Record, String> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    let not = |error| format!("not a record: {error}");
    let version: Version = serde_json::from_str(line).map_err(not)?;
    if version.schema != SCHEMA {
        let found = version.schema;
        return Err(format!("schema {found}, this version reads {SCHEMA}"));
    }
    serde_json::from_str(line).map_err(not)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/records.jsonl");

    #[test]
    fn records_survive_a_file() {
        let records = read(Path::new(RECORDS)).expect("readable records");
        let path = std::env::temp_dir().join(format!("records-{}.jsonl", std::process::id()));
        let journal = Journal::open(path.clone()).expect("none yet");
        for record in &records {
            journal.append(record).expect("appends");
        }
        let again = Journal::open(path.clone()).map(|journal| read(journal.path()));
        fs::write(&path, "\n{\"schema\": 2}\n").expect("writes");
        let other = Journal::open(path.clone());
        fs::remove_file(&path).expect("removes");
        assert_eq!(again.expect("readable").expect("readable"), records);
        let other = other.expect_err("another schema").to_string();
        assert!(
            other.contains(":2: schema 2, this version reads 1"),
            "{other}"
        );
    }

    #[test]
    fn a_bad_line_is_named() {
        let good = fs::read_to_string(RECORDS).expect("readable records");
        let good = good.lines().next().expect("a record");
        assert!(parse(good).is_ok());
        for bad in [
            &good[..good.len() / 2],
            "[]",
            "{}",
            &good.replace("\"run\"", "\"walk\""),
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
