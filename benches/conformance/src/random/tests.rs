//! The search itself: its graphs, what it calls wrong, and how it shrinks.

use super::generate::{self, RECIPES};
use super::graph::{Attribute, Case, Node};
use super::judge::{Depth, Fault, Kind, Verdict, judge};
use super::shrink::shrink;
use super::tensor::{Tensor, Type};
use crate::args::Profiles;
use std::collections::BTreeSet;

/// Every operator of the search is in graphs that are imported, quantised and compared.
#[test]
fn every_recipe_gives_graphs_that_are_right() {
    for recipe in RECIPES {
        let graphs = (0..400).filter_map(|index| generate::single(7, index, recipe));
        let mut tried = 0;
        let found = graphs.take(40).any(|case| {
            tried += 1;
            let used = case.nodes.iter().any(|node| node.op == recipe.op);
            used && matches!(
                judge(&case, Profiles::Both.list(), Depth::Again, None),
                Verdict::Right { .. }
            )
        });
        assert!(found, "{}: none of {tried} graphs", recipe.op);
    }
}

#[test]
fn recipes_are_sorted_and_imported() {
    assert!(RECIPES.windows(2).all(|pair| pair[0].op < pair[1].op));
    let imported: BTreeSet<&str> = zkstrata_onnx_import::operators()
        .map(|(_, op, _)| op)
        .collect();
    assert!(RECIPES.iter().all(|recipe| imported.contains(recipe.op)));
}

#[test]
fn graphs_are_a_function_of_seed_and_index() {
    let graphs = |seed| (0..50).map(move |index| generate::graph(seed, index));
    assert!(graphs(3).eq(graphs(3)));
    assert!(!graphs(3).eq(graphs(4)));
    assert!(
        graphs(3)
            .flatten()
            .all(|case| !case.nodes.is_empty() && case.samples.len() > 1)
    );
}

fn line(cells: &[f64]) -> Tensor {
    Tensor::new(Type::Float, &[cells.len()], cells.to_vec())
}

/// `Floor(Relu(x) + Neg(x) * c)` and two more outputs.
fn example() -> Case {
    let mut sum = Node::new("Add", &["a", "m"], "s");
    sum.attributes = vec![];
    Case {
        nodes: vec![
            Node::new("Relu", &["x"], "a"),
            Node::new("Neg", &["x"], "b"),
            Node::new("Mul", &["b", "c"], "m"),
            sum,
            Node::new("Floor", &["s"], "f"),
            Node::new("Softmax", &["b"], "p").with("axis", Attribute::Int(-1)),
        ],
        constants: [("c".to_owned(), line(&[0.5, 2.0, 3.25]))].into(),
        inputs: vec!["x".into()],
        outputs: vec!["f".into(), "p".into(), "a".into()],
        samples: vec![
            vec![line(&[0.3, -1.2, 2.6])],
            vec![line(&[1.3, -2.7, 0.6])],
            vec![line(&[1.2, -0.9, 1.6])],
        ],
    }
}

#[test]
fn shrinking_keeps_what_is_wrong() {
    let fault = Fault {
        kind: Kind::Integers,
        profile: None,
        sample: 0,
        detail: String::new(),
    };
    // Wrong is a product of anything that is not zero.
    let judge = |case: &Case| {
        let product = case.nodes.iter().find(|node| node.op == "Mul");
        let product = product.filter(|_| case.run(0).is_ok());
        match product.map(|node| case.run(0).expect("it ran")[&node.outputs[0]].clone()) {
            Some(y) if y.cells.iter().any(|&x| x != 0.0) => Verdict::Wrong(fault.clone()),
            _ => Verdict::Right { loose: false },
        }
    };
    let (small, _) = shrink(example(), fault.clone(), judge);
    assert_eq!(small.nodes.len(), 1, "{small:?}");
    assert_eq!(small.nodes[0].op, "Mul");
    assert_eq!(small.outputs, ["m"]);
    assert_eq!((small.samples.len(), small.samples[0][0].len()), (2, 1));
    assert!(matches!(judge(&small), Verdict::Wrong(_)));
}

#[test]
fn an_example_is_right() {
    let verdict = judge(&example(), Profiles::Both.list(), Depth::Again, None);
    assert!(matches!(verdict, Verdict::Right { .. }), "{verdict:?}");
}

/// The same graph by other names.
#[test]
fn renamed_graphs_give_the_same() {
    let case = example();
    let other = case.renamed(&mut super::number::Random::new(5, 5));
    let (ours, theirs) = (case.run(1).expect("runs"), other.run(1).expect("runs"));
    assert_eq!(case.inputs, other.inputs);
    for (a, b) in case.outputs.iter().zip(&other.outputs) {
        assert_ne!(a, b);
        assert_eq!(ours[a], theirs[b]);
    }
}
