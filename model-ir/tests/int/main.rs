//! The integer executor against the formulas of its operators, and every error of the integer
//! model.

mod contract;
mod errors;
mod intervals;
mod models;
mod parts;
mod random;
mod reference;
mod tables;

use proptest::prelude::*;
use random::Rng;
use zkstrata_model_ir::int::{Executor, Ints, Op};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_executor_computes_the_formulas(seed: u64) {
        let mut rng = Rng(seed);
        let model = random::model(&mut rng);
        let batch = rng.below(5) + 1;
        let inputs = random::inputs(&model.graph, batch, &mut rng);
        let trace = Executor::new(&model).expect("valid").run(&inputs).expect("runs");
        let expected = reference::run(&model, &inputs, batch);
        prop_assert_eq!(trace.batch, batch);
        prop_assert_eq!(trace.tensors.len(), model.graph.nodes.len());
        for (i, node) in model.graph.nodes.iter().enumerate() {
            let (cells, remainders) = &expected[i];
            prop_assert_eq!(&values(&trace.tensors[i]), cells, "node {}: {:?}", i, node);
            let got: Vec<_> = trace.remainders[i].iter().map(values).collect();
            prop_assert_eq!(&got, remainders, "remainders of node {}", i);
            let inside = |&x: &i128| i64::try_from(x).is_ok_and(|x| node.interval.contains(x));
            prop_assert!(cells.iter().all(inside), "interval of node {}: {:?}", i, node);
            let smallest = Ints::zeros(node.interval, 0);
            prop_assert_eq!(
                std::mem::discriminant(&trace.tensors[i]),
                std::mem::discriminant(&smallest)
            );
            let limbs = match &node.op {
                Op::Table { ranges, .. } => ranges.len(),
                _ => 0,
            };
            prop_assert_eq!(limbs, got.len());
        }
    }
}

fn values(ints: &Ints) -> Vec<i128> {
    (0..ints.len()).map(|i| ints.get(i).into()).collect()
}
