//! ONNX's own operator tests: whatever imports gives the reference's answer, and few cases are
//! refused.
//!
//! The tests feed weights, axes and sizes as inputs. Each case is therefore tried with every choice
//! of inputs that become initializers, all of them included, and counts as refused if no choice
//! imports.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::ArrayD;
use serde_json::Value;
use zkstrata_onnx_import::{Error, import};

use crate::build;
use crate::common::{self, Array};

/// Most cases that may be refused.
const REFUSED: usize = 24;

/// What became of a case.
#[derive(Default)]
struct Outcome {
    imported: usize,
    wrong: Vec<String>,
    refusals: Vec<String>,
}

#[test]
#[ignore = "needs the suites of ZKSTRATA_SUITES"]
fn operators_match_the_reference_or_are_refused() {
    let suite = common::suite("onnx-node-tests");
    let index = std::fs::read(suite.join("index.json")).expect("an index");
    let index: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&index).expect("json");
    let (mut refused, mut wrong) = (0, Vec::new());
    for (op, cases) in &index {
        for case in cases {
            let name = case["case"].as_str().expect("a name");
            let outcome = run_case(&suite.join(op).join(name), case);
            wrong.extend(outcome.wrong);
            if outcome.imported == 0 {
                refused += 1;
                eprintln!("refused: {op} {name}: {}", outcome.refusals.join("; "));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(refused <= REFUSED, "{refused} cases are refused");
}

/// Tries every choice of initializers.
fn run_case(folder: &Path, case: &Value) -> Outcome {
    let tolerance = |name: &str| case[name].as_f64().expect("a number") as f32;
    let (rtol, atol) = (tolerance("rtol"), tolerance("atol").max(1e-6));
    let list = |name: &str| case[name].as_array().expect("a list").len();
    let read = |name: String| Array::read(&folder.join(name));
    let inputs: Vec<_> = (0..list("inputs"))
        .map(|i| read(format!("in_{i}.npy")))
        .collect();
    let expected: Vec<_> = (0..list("outputs"))
        .map(|i| read(format!("out_{i}.npy")))
        .collect();
    let bytes = std::fs::read(folder.join("model.onnx")).expect("a model");

    let mut outcome = Outcome::default();
    for constants in 0..1_u32 << inputs.len().min(8) {
        let is_constant = |i: usize| constants >> i & 1 == 1;
        let Some(model) = with_initializers(&bytes, &inputs, is_constant) else {
            outcome.refusals.push("an unreadable input".into());
            continue;
        };
        let graph = match import(&model) {
            Ok(graph) => graph,
            Err(Error::Decode(e)) => panic!("{}: {e}", folder.display()),
            Err(e) => {
                outcome.refusals.push(e.to_string());
                continue;
            }
        };
        let activations: Option<Vec<ArrayD<f32>>> = inputs
            .iter()
            .enumerate()
            .filter(|(i, _)| !is_constant(*i))
            .map(|(_, input)| input.as_ref().map(Array::numbers))
            .collect();
        let Some(activations) = activations else {
            outcome.refusals.push("an unreadable input".into());
            continue;
        };
        if activations.iter().flatten().any(|x| !x.is_finite()) {
            outcome.refusals.push("an infinite input".into());
            continue;
        }
        let shapes = graph.inputs().map(|v| graph.nodes()[v.0].shape.clone());
        if !shapes.eq(activations.iter().map(|a| a.shape().to_vec())) {
            outcome.refusals.push("has an empty axis".into());
            continue;
        }
        for (i, got) in common::run(&graph, &activations).iter().enumerate() {
            let Some(expected) = &expected[i] else {
                outcome.refusals.push("an unreadable output".into());
                continue;
            };
            let difference = match expected {
                Array::Float(expected) => common::difference(got, expected, rtol, atol),
                whole => common::difference(got, &whole.numbers(), 0.0, 0.0),
            };
            if let Some(difference) = difference {
                let folder = folder.display();
                outcome.wrong.push(format!(
                    "{folder} with constants {constants:b}, output {i}: {difference}"
                ));
            }
        }
        outcome.imported += 1;
    }
    outcome
}

/// The model with some inputs as initializers; `None` if the helper cannot store one.
fn with_initializers(
    bytes: &[u8],
    inputs: &[Option<Array>],
    is_constant: impl Fn(usize) -> bool,
) -> Option<Vec<u8>> {
    let mut model = common::decode(bytes);
    let graph = model.graph.as_mut()?;
    let declared = std::mem::take(&mut graph.input);
    for (i, input) in declared.into_iter().enumerate() {
        if is_constant(i) {
            let array = inputs.get(i)?.as_ref()?;
            let data_type = common::data_type(&input)?;
            graph
                .initializer
                .push(array.initializer(&input.name, data_type)?);
        } else {
            graph.input.push(input);
        }
    }
    Some(build::encode(&model))
}
