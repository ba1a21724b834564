//! Two proofs about one tensor that nobody sees: what one model finds is what the other decides on.
//!
//! `cargo run --release --example linked`

use std::error::Error;
use zkstrata::model_ir::float::{Activation, GraphBuilder, Op};
use zkstrata::model_ir::quantise::{Calibration, Options, quantise};
use zkstrata::ndarray::{ArrayD, arr2};
use zkstrata::{Given, ProvingKey, SetupOptions, VerifyingKey, Visibilities, Visibility};

fn main() -> Result<(), Box<dyn Error>> {
    // A laboratory's model: two counts are private, three findings, 0 or 1, are committed.
    let weight = arr2(&[[0.5, -1.0, 0.25], [1.0, 0.75, -0.5]]).into_dyn();
    let (lab, lab_vk) = keys(weight, [Visibility::Private, Visibility::COMMITTED])?;
    // Somebody else's model: the findings are the committed input, the decision is public.
    let weight = arr2(&[[1.0], [-2.0], [1.0]]).into_dyn();
    let (rule, rule_vk) = keys(weight, [Visibility::COMMITTED, Visibility::Public])?;
    // Integers mean the same in both models if the ports have one scale.
    let [from, to] = [&lab_vk.graph().outputs[0], &rule_vk.graph().inputs[0]];
    assert_eq!(from.scale.to_bits(), to.scale.to_bits());

    // The laboratory proves its findings; what opens the commitment goes to whoever proves with it.
    let counts = ArrayD::from_shape_vec(vec![2], vec![1.0, 0.0])?;
    let found = lab.prove(&[vec![counts]])?;
    let findings = &found.outputs[0];
    let mut given = Given::default();
    given.inputs.push(findings.clone());
    let decided = rule.prove_run(rule.run(&[findings.cells().to_vec()])?, &given)?;

    // Whoever has both proofs knows that they are about the same findings, and sees the decision.
    lab_vk.verify(&found.statement, &found.proof)?;
    rule_vk.verify(&decided.statement, &decided.proof)?;
    assert_eq!(found.statement.outputs[0], decided.statement.inputs[0]);
    let decision = &decided.statement.real_outputs(rule_vk.graph())[0][0];
    println!("proven decision {decision:?} on findings that nobody sees");
    Ok(())
}

/// The keys of a model of a dense layer and a threshold.
fn keys(
    weight: ArrayD<f32>,
    [inputs, outputs]: [Visibility; 2],
) -> Result<(ProvingKey, VerifyingKey), Box<dyn Error>> {
    let mut builder = GraphBuilder::new();
    let x = builder.integral_input("x", &[weight.shape()[0]])?;
    let y = builder.add("dense", Op::Dense { weight, bias: None }, &[x])?;
    let y = builder.add("step", Op::Activation(Activation::Step), &[y])?;
    let graph = builder.finish(vec![("y".into(), y)])?;
    let quantised = quantise(
        &graph,
        &Calibration::synthetic(&graph, 1),
        &Options::default(),
    )?;
    let options = SetupOptions {
        inputs: Visibilities::all(inputs),
        outputs: Visibilities::all(outputs),
        ..SetupOptions::default()
    };
    Ok(zkstrata::setup_with(quantised.model, &options)?)
}
