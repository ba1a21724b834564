//! The suites of `../shared`: in both profiles every case is proven within tolerance or refused, and
//! at least as many as are stated here are proven.
//!
//! Skipped, with a message, where that directory does not exist.

use clap::Parser;
use std::path::Path;
use zkstrata_conformance::{Conformance, Outcome, Profile, Report, run};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    conformance: Conformance,
}

/// The report of a suite, each case of which is proven in this process.
fn proven(suite: &str) -> Option<Report> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = folder.join(suite);
    if !folder.exists() {
        eprintln!("skipped: {} does not exist", folder.display());
        return None;
    }
    let path = folder.to_str().expect("UTF-8");
    let arguments = ["", "--in-process", "--prove", "--profile", "both", path];
    let arguments = Arguments::try_parse_from(arguments).expect("usage");
    Some(run(&arguments.conformance, None).expect("cases"))
}

fn assert_proven(suite: &str, least: usize) {
    let Some(report) = proven(suite) else { return };
    let fault = report.fault();
    assert!(fault.is_none(), "{report}");
    for profile in [Profile::Fast, Profile::Accurate] {
        let cases = report.cases().iter().filter(|c| c.profile == profile);
        let passed = cases.filter(|c| c.outcome == Outcome::Passed).count();
        assert!(passed >= least, "{profile:?}: {passed} passed\n{report}");
    }
}

#[test]
fn operators_of_the_standard() {
    assert_proven("onnx-node-tests", 489);
}

#[test]
fn example_models() {
    assert_proven("onnx-examples", 51);
}
