//! `zkstrata conformance`: what becomes of models with reference outputs.

use crate::failure::{Context, Failure};
use crate::report::Report;
use std::num::NonZeroUsize;
use zkstrata_conformance::Conformance;

pub(crate) fn run(args: &Conformance, threads: Option<NonZeroUsize>) -> Result<Report, Failure> {
    let found = zkstrata_conformance::run(args, threads).context(zkstrata_conformance::COMMAND)?;
    let mut report = Report::new();
    report.line(found.to_string().trim_end());
    for (key, value) in found.json() {
        report.set(&key, value);
    }
    match found.fault() {
        Some(fault) => report.reject(fault),
        None => report.set("accepted", true),
    }
    Ok(report)
}
