//! What is right and what is wrong.

use super::*;
use crate::random::graph::{Attribute, Node};
use zkstrata_model_ir::int::Ints;

/// Float, integer and truth outputs of one input.
fn example() -> Case {
    let line = |cells: &[f64]| vec![Tensor::new(Type::Float, &[4], cells.to_vec())];
    Case {
        nodes: vec![
            Node::new("Tanh", &["x"], "t"),
            Node::new("ArgMax", &["x"], "i").with("axis", Attribute::Int(0)),
            Node::new("Less", &["x", "c"], "b"),
        ],
        constants: [("c".to_owned(), Tensor::scalar(Type::Float, 0.25))].into(),
        inputs: vec!["x".into()],
        outputs: vec!["t".into(), "i".into(), "b".into()],
        samples: vec![
            line(&[0.1, -0.9, 0.8, 0.5]),
            line(&[-0.7, 0.9, 0.6, -0.4]),
            line(&[0.7, -0.5, 0.1, 0.6]),
        ],
    }
}

fn judged(case: &Case) -> Judged<'_> {
    let Ok(runs) = reference(case) else {
        panic!("the reference does not run {case:?}")
    };
    let Ok(judged) = Judged::new(case, runs) else {
        panic!("{case:?} is not imported")
    };
    judged
}

/// Adds to the first cell of an output of the float graph, and whether that is a fault.
fn is_float_fault(name: &str, by: f32) -> bool {
    let case = example();
    let mut judged = judged(&case);
    assert_eq!(judged.float(0), Ok(()));
    let outputs = judged.graph.outputs();
    let (_, value) = outputs.iter().find(|(n, _)| n == name).expect("an output");
    let cells = judged.floats[0][value.0].iter_mut();
    cells.take(1).for_each(|x| *x += by);
    judged.float(0).is_err()
}

#[test]
fn another_float_result_is_a_fault() {
    assert!(is_float_fault("t", 1e-4));
    assert!(!is_float_fault("t", 1e-8));
    assert!(is_float_fault("i", 1.0));
    assert!(is_float_fault("b", -1.0));
}

/// Adds to the first cell of an output of the integer model, in parts of 1.
fn is_integer_fault(name: &str, profile: Profile, by: f64) -> bool {
    let case = example();
    let judged = judged(&case);
    let calibration = Calibration::from_samples(judged.samples.clone());
    let model = quantise(&judged.graph, &calibration, &Options::new(profile.into()));
    let model = model.expect("it quantises").model;
    let inputs = model
        .graph
        .quantise_inputs(&judged.samples[..1])
        .expect("an input");
    let executor = Executor::new(&model).expect("valid");
    let mut trace = executor.run(&inputs.cells).expect("it runs");
    let mut noisy = Noisy::new(&judged.graph, &judged.floats, profile);
    let mut compare = |trace: &Trace| {
        judged
            .outputs(&model, trace, 0, true, profile, &mut noisy)
            .is_err()
    };
    assert!(!compare(&trace));
    let port = model
        .graph
        .outputs
        .iter()
        .find(|port| port.name == name)
        .expect("an output");
    let tensor = &mut trace.tensors[port.tensor.0];
    let mut cells: Vec<i64> = (0..tensor.len()).map(|k| tensor.get(k)).collect();
    cells[0] += (by / port.scale).round() as i64;
    *tensor = Ints::I64(cells);
    compare(&trace)
}

#[test]
fn another_integer_result_is_a_fault() {
    for profile in [Profile::Fast, Profile::Accurate] {
        assert!(is_integer_fault("t", profile, 0.3));
        assert!(is_integer_fault("i", profile, 1.0));
        assert!(is_integer_fault("b", profile, -1.0));
        assert!(is_integer_fault("b", profile, 1.0));
        assert!(!is_integer_fault("t", profile, 0.0));
    }
    assert!(is_integer_fault("t", Profile::Accurate, 0.05));
}

#[test]
fn a_cell_outside_of_its_interval_is_a_fault() {
    let case = example();
    let judged = judged(&case);
    let calibration = Calibration::from_samples(judged.samples.clone());
    let model = quantise(
        &judged.graph,
        &calibration,
        &Options::new(Profile::Fast.into()),
    );
    let mut model = model.expect("it quantises").model;
    let inputs = model
        .graph
        .quantise_inputs(&judged.samples[..1])
        .expect("an input");
    let executor = Executor::new(&model).expect("valid");
    let trace = executor.run(&inputs.cells).expect("it runs");
    assert_eq!(intervals(&model, &trace), Ok(()));
    let interval = &mut model.graph.nodes.last_mut().expect("a node").interval;
    (interval.lo, interval.hi) = (7, 8);
    assert!(intervals(&model, &trace).is_err());
}

#[test]
fn another_sample_is_compared_inside_of_the_ranges_only() {
    let mut case = example();
    case.outputs = vec!["t".into()];
    case.prune();
    assert!(judged(&case).is_inside());
    case.samples[2][0].cells[0] = 1.5;
    assert!(!judged(&case).is_inside());
}

#[test]
fn names_and_order_are_compared() {
    let case = example();
    let mut random = Random::new(1, 1);
    let mut other = case.renamed(&mut random);
    let judged = judged(&case);
    assert_eq!(judged.named(&other), Ok(()));
    assert_eq!(judged.order(&other.reordered(&mut random)), Ok(()));
    other.constants.values_mut().for_each(|t| t.cells[0] = 0.5);
    assert!(judged.named(&other).is_err());
}

#[test]
fn panics_and_nameless_refusals_are_faults() {
    crate::random::panics::silence_panics();
    let caught = guarded(|| assert!(example().nodes.is_empty(), "three nodes"));
    assert!(caught.is_err_and(|text| text.contains("three nodes") && text.contains(file!())));
    assert!(matches!(refused("node `x`: no"), Verdict::Refused(_)));
    assert!(matches!(refused("no"), Verdict::Wrong(_)));
}
