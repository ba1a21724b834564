//! `conformance`: what becomes of models with reference outputs.

use crate::failure::{Context, Failure};
use serde_json::{Map, Value};
use std::fmt::Display;
use std::process::ExitCode;
use zkstrata_conformance::{COMMAND, Conformance};

pub(crate) fn run(args: &Conformance, json: bool) -> Result<ExitCode, Failure> {
    if let Some(settings) = args.search.settings(None) {
        let found = zkstrata_conformance::random::search(&settings);
        return Ok(said(&found, found.json(), found.fault().as_ref(), json));
    }
    let report = zkstrata_conformance::run(args, None).context(COMMAND)?;
    Ok(said(&report, report.json(), report.fault().as_ref(), json))
}

fn said(
    text: &dyn Display,
    fields: Map<String, Value>,
    fault: Option<&String>,
    json: bool,
) -> ExitCode {
    if json {
        println!("{:#}", Value::Object(fields));
    } else {
        print!("{text}");
    }
    match fault {
        Some(_) => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    }
}
