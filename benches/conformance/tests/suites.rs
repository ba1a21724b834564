//! The suites of the environment variable `ZKSTRATA_SUITES` (CONTRIBUTING.md): in both profiles every
//! case is proven within tolerance or refused, and at least as many as are stated here are proven.

use clap::Parser;
use std::path::PathBuf;
use zkstrata_conformance::{Conformance, Outcome, Profile, Report, run};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    conformance: Conformance,
}

/// The report of a suite, each case of which is proven in this process.
fn proven(suite: &str) -> Report {
    let suites = std::env::var_os("ZKSTRATA_SUITES");
    let suites = suites.expect("ZKSTRATA_SUITES is the folder of the suites, see CONTRIBUTING.md");
    let folder = PathBuf::from(suites).join(suite);
    let path = folder.to_str().expect("UTF-8");
    let arguments = ["", "--in-process", "--prove", "--profile", "both", path];
    let arguments = Arguments::try_parse_from(arguments).expect("usage");
    run(&arguments.conformance, None).expect("cases")
}

fn assert_proven(suite: &str, least: usize) {
    let report = proven(suite);
    let fault = report.fault();
    assert!(fault.is_none(), "{report}");
    for profile in [Profile::Fast, Profile::Accurate] {
        let cases = report.cases().iter().filter(|c| c.profile == profile);
        let passed = cases.filter(|c| c.outcome == Outcome::Passed).count();
        assert!(passed >= least, "{profile:?}: {passed} passed\n{report}");
    }
}

#[test]
#[ignore = "needs the suites of ZKSTRATA_SUITES"]
fn operators_of_the_standard() {
    assert_proven("onnx-node-tests", 489);
}

#[test]
#[ignore = "needs the suites of ZKSTRATA_SUITES"]
fn example_models() {
    assert_proven("onnx-examples", 51);
}
