//! `zkstrata operators`: what the importer knows.

use crate::args;
use crate::report::Report;
use serde_json::{Value, json};
use zkstrata::onnx_import::operators;

pub(crate) fn run(args: &args::Operators) -> Report {
    let mut report = Report::new();
    if args.markdown {
        report.line("| operator | domain | limits |");
        report.line("|---|---|---|");
        for (domain, name, limits) in operators() {
            report.line(format_args!("| {name} | `{domain}` | {limits} |"));
        }
    } else {
        for (domain, name, _) in operators() {
            report.field(domain, name);
        }
    }
    let list = operators()
        .map(|(domain, name, limits)| json!({ "domain": domain, "name": name, "limits": limits }));
    report.set("operators", list.collect::<Vec<Value>>());
    report
}
