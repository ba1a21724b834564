//! `zkstrata conformance`: what becomes of models with reference outputs.

use crate::failure::{Context, Failure};
use crate::report::Report;
use serde_json::{Map, Value};
use std::num::NonZeroUsize;
use zkstrata_conformance::Conformance;

pub(crate) fn run(args: &Conformance, threads: Option<NonZeroUsize>) -> Result<Report, Failure> {
    if let Some(settings) = args.search.settings(threads) {
        let found = zkstrata_conformance::random::search(&settings);
        return Ok(said(&found.to_string(), found.json(), found.fault()));
    }
    let found = zkstrata_conformance::run(args, threads).context(zkstrata_conformance::COMMAND)?;
    Ok(said(&found.to_string(), found.json(), found.fault()))
}

fn said(text: &str, json: Map<String, Value>, fault: Option<String>) -> Report {
    let mut report = Report::new();
    report.line(text.trim_end());
    for (key, value) in json {
        report.set(&key, value);
    }
    match fault {
        Some(fault) => report.reject(fault),
        None => report.set("accepted", true),
    }
    report
}
