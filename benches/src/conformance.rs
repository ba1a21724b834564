//! `conformance`: what becomes of models with reference outputs.

use crate::failure::{Context, Failure};
use serde_json::Value;
use std::process::ExitCode;
use zkstrata_conformance::{COMMAND, Conformance};

pub(crate) fn run(args: &Conformance, json: bool) -> Result<ExitCode, Failure> {
    let report = zkstrata_conformance::run(args, None).context(COMMAND)?;
    if json {
        println!("{:#}", Value::Object(report.json()));
    } else {
        print!("{report}");
    }
    Ok(match report.fault() {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}
