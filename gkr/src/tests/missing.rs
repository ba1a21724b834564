//! A proof is about the missing cells of its input as about all others: they are one integer, which
//! no number is.

use crate::{PortValue, Statement};
use crate::{Proven, SetupOptions, setup_scheme};
use ndarray::{ArrayD, IxDyn, arr1};
use zkstrata_model_ir::float::{Activation, Graph, GraphBuilder, Missing, Op};
use zkstrata_model_ir::quantise::{Calibration, InputError, Options, quantise};
use zkstrata_pcs::joint::Joint;

const NAN: f32 = f32::NAN;

/// How many of the numbers with 2.5 in place of missing ones are at least 1, and how many are
/// missing.
fn counts() -> Graph {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, 3]).expect("a shape");
    let mut add = |op: Op, input| b.add("node", op, &[input]).expect("shapes agree");
    let by = arr1(&[2.5]).into_dyn();
    let filled = add(Op::Missing(Missing::Replaced { by }), x);
    let (scale, shift) = (arr1(&[1.0]).into_dyn(), arr1(&[-1.0]).into_dyn());
    let above = add(Op::Affine { scale, shift }, filled);
    let above = add(Op::Activation(Activation::Step), above);
    let missing = add(Op::Missing(Missing::Is), x);
    let weight = ArrayD::ones(IxDyn(&[3, 1]));
    let count = Op::Dense { weight, bias: None };
    let outputs = [above, missing].map(|v| ("y".into(), add(count.clone(), v)));
    b.finish(outputs.to_vec()).expect("a graph")
}

fn sample(x: [f32; 3]) -> Vec<ArrayD<f32>> {
    vec![ArrayD::from_shape_vec(IxDyn(&[1, 3]), x.to_vec()).expect("three cells")]
}

#[test]
fn missing_cells_are_part_of_the_statement() {
    let samples = [[NAN, 0.5, -3.0], [4.0, NAN, NAN]].map(sample);
    let calibration = Calibration::from_samples(samples.to_vec());
    let model = quantise(&counts(), &calibration, &Options::default()).expect("quantises");
    let keys = setup_scheme::<Joint>(model.model, &SetupOptions::default());
    let (pk, vk) = keys.expect("sets up");
    let graph = vk.graph();
    let code = graph.missing(&graph.inputs[0]).expect("a code");
    let integers = |x| {
        let inputs = graph.quantise_inputs(&[sample(x)]).expect("fits");
        inputs.cells[0].to_vec()
    };
    for (x, counts) in [
        ([NAN, 0.5, -3.0], [1.0, 1.0]),
        ([NAN, NAN, NAN], [3.0, 3.0]),
        ([1.5, 0.5, -3.0], [1.0, 0.0]),
        ([-1e30, 1e30, NAN], [2.0, 1.0]),
    ] {
        let Proven {
            statement, proof, ..
        } = pk.prove(&[sample(x)]).expect("proves");
        vk.verify(&statement, &proof).expect("accepted");
        let outputs = statement.outputs.iter().zip(&graph.outputs);
        let outputs: Vec<f64> = outputs
            .map(|(y, port)| y.public().expect("public")[0] as f64 * port.scale)
            .collect();
        for (y, count) in outputs.iter().zip(counts) {
            assert!((y - count).abs() < 0.05, "{x:?}: {outputs:?}");
        }
        let cells = |statement: &Statement| statement.inputs[0].public().expect("public").to_vec();
        let with = |cell: usize, value: i64| {
            let (mut other, mut cells) = (statement.clone(), cells(&statement));
            cells[cell] = value;
            other.inputs[0] = PortValue::Public(cells);
            other
        };
        assert_eq!(cells(&statement), integers(x));
        // The same proof of another input: one more cell is missing, or one less.
        for cell in 0..3 {
            let missing = cells(&statement)[cell] == code;
            let other = with(cell, if missing { integers([2.5; 3])[0] } else { code });
            assert!(vk.verify(&other, &proof).is_err(), "{x:?}, cell {cell}");
            let mut given = x;
            given[cell] = if missing { 2.5 } else { NAN };
            assert_eq!(cells(&other), integers(given));
        }
        // Nothing lies below what stands for a missing cell.
        let other = with(0, code - 1);
        assert!(vk.verify(&other, &proof).is_err());
        assert!(pk.prove_integers(&[cells(&other)]).is_err());
    }
    let refused = graph.quantise_inputs(&[sample([f32::INFINITY, 0.0, 0.0])]);
    assert!(matches!(
        refused,
        Err(InputError::NotFinite { cell: 0, .. })
    ));
}
