//! Inputs with missing cells, which are NaN, against what the standard and onnxruntime make of them.

use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::{AttributeProto, NodeProto, OperatorSetIdProto, TensorProto};

use crate::build::{
    encode, floats, int, ints, list, model, node, number, numbers, string, strings, tensor,
};
use crate::case::{Case, Cells, cells, fill};
use crate::control::check;
use zkstrata_model_ir::float::{Missing, Op};
use zkstrata_onnx_import::import;

const NAN: f64 = f64::NAN;

fn input() -> Cells {
    cells(&[3, 2], &[NAN, 1.0, -1.0, NAN, 2.5, -1.0])
}

#[test]
fn cells_of_inputs_are_told_apart() {
    let missing = input().mapv(|x| f64::from(u8::from(x.is_nan())));
    for data_type in [DataType::Float, DataType::Double] {
        Case::new("IsNaN", 13)
            .input(data_type, &input())
            .is(&missing);
    }
    Case::learned("Imputer")
        .input(DataType::Float, &input())
        .with(numbers("imputed_value_floats", &[9.0, 7.5]))
        .with(number("replaced_value_float", f32::NAN))
        .is(&fill(&[3, 2], |at| {
            let x = input()[at];
            if x.is_nan() { [9.0, 7.5][at[1]] } else { x }
        }));
    for values in [[1.0, 2.0, 3.0].as_slice(), &[1.0, f32::NAN]] {
        Case::learned("Imputer")
            .input(DataType::Float, &input())
            .with(numbers("imputed_value_floats", values))
            .with(number("replaced_value_float", f32::NAN))
            .refused("", "");
    }
    // No input is infinite.
    for infinity in [f32::INFINITY, f32::NEG_INFINITY] {
        let x = cells(&[1, 2], &[1.0, -3.5]);
        Case::learned("Imputer")
            .x(&x)
            .with(numbers("imputed_value_floats", &[9.0]))
            .with(number("replaced_value_float", infinity))
            .is(&x);
    }
}

/// Nothing asks whether computed values are missing.
#[test]
fn what_is_computed_is_not_missing() {
    let twice = node("Add", &["x", "x"], "t", vec![]);
    let nodes = vec![twice, node("IsNaN", &["t"], "y", vec![])];
    let graph = import(&encode(&model(13, &[2], vec![], nodes))).expect("a model");
    let asks = |op: &Op| matches!(op, Op::Missing(_));
    assert!(!graph.nodes().iter().any(|node| asks(&node.op)));
}

/// An Imputer behind a function that is not defined everywhere fills the gaps, wherever they were
/// moved; behind others it does nothing.
#[test]
fn undefined_cells_are_imputed() {
    let imputer = |x: &str, y: &str| {
        let attributes = vec![
            numbers("imputed_value_floats", &[0.5, -0.25, 8.0]),
            number("replaced_value_float", f32::NAN),
        ];
        let mut node = node("Imputer", &[x], y, attributes);
        node.domain = "ai.onnx.ml".into();
        node
    };
    let x = [-2.0, 4.0, -1.0, 0.25, -3.0, 9.0];
    let run = |constants, mut nodes: Vec<NodeProto>, expected: &[f32]| {
        nodes.push(imputer("t", "y"));
        let mut model = model(17, &[2, 3], constants, nodes);
        model.opset_import.push(OperatorSetIdProto {
            domain: "ai.onnx.ml".into(),
            version: 1,
        });
        check(&model, &[(&[2, 3], &x)], expected);
    };
    let root = [0.5, 2.0, 8.0, 0.5, -0.25, 3.0];
    run(vec![], vec![node("Sqrt", &["x"], "t", vec![])], &root);
    // A power for each feature, of which one is defined everywhere, in sums and products.
    let exponents = || floats("e", &[3], &[0.5, 2.0, -0.5]);
    let powers = vec![
        node("Pow", &["x", "e"], "p", vec![]),
        node("Sub", &["p", "x"], "s", vec![]),
        node("Mul", &["s", "x"], "t", vec![]),
    ];
    let third = |x: f32| (x.powf(-0.5) - x) * x;
    let expected = [0.5, 48.0, 8.0, (0.5 - 0.25) * 0.25, -36.0, third(9.0)];
    run(vec![exponents()], powers, &expected);
    let twice = vec![
        node("Log", &["x"], "l", vec![]),
        node("Neg", &["x"], "n", vec![]),
        node("Acos", &["n"], "a", vec![]),
        node("Add", &["l", "a"], "t", vec![]),
    ];
    let both = |x: f32| x.ln() + (-x).acos();
    let expected = [0.5, -0.25, 8.0, both(0.25), -0.25, 8.0];
    run(vec![], twice, &expected);
    run(
        vec![],
        vec![node("Neg", &["x"], "t", vec![])],
        &x.map(|x| -x),
    );
}

#[test]
fn a_value_divided_by_itself_is_one() {
    let nodes = vec![node("Div", &["x", "x"], "y", vec![])];
    let x = [-2.0, 4.0, -1.0, 0.25, -3.0, 9.0];
    let model = model(17, &[2, 3], vec![], nodes);
    check(&model, &[(&[2, 3], &x)], &[1.0; 6]);
}

const X: [f32; 6] = [f32::NAN, 2.0, -3.0, 4.0, f32::NAN, 6.0];

fn chosen(constants: Vec<TensorProto>, nodes: Vec<NodeProto>, expected: &[f32]) {
    check(
        &model(13, &[2, 3], constants, nodes),
        &[(&[2, 3], &X)],
        expected,
    );
}

#[test]
fn cells_are_chosen_by_whether_they_are_missing() {
    let c = || floats("c", &[3], &[7.0, 8.0, 9.0]);
    let filled = [7.0, 2.0, -3.0, 4.0, 8.0, 6.0];
    let is = || node("IsNaN", &["x"], "m", vec![]);
    let not = || node("Not", &["m"], "n", vec![]);
    chosen(
        vec![c()],
        vec![is(), node("Where", &["m", "c", "x"], "y", vec![])],
        &filled,
    );
    chosen(
        vec![c()],
        vec![is(), not(), node("Where", &["n", "x", "c"], "y", vec![])],
        &filled,
    );
    // A wider constant.
    let wide = floats("c", &[2, 2, 3], &[0.5; 12]);
    let half = [0.5, 2.0, -3.0, 4.0, 0.5, 6.0];
    chosen(
        vec![wide],
        vec![is(), node("Where", &["m", "c", "x"], "y", vec![])],
        &[half, half].concat(),
    );
    // What is chosen in place of missing cells is computed: how many the row has.
    let nodes = vec![
        is(),
        node("Cast", &["m"], "f", vec![int("to", 1)]),
        node("ReduceSum", &["f", "axes"], "s", vec![]),
        node("Where", &["m", "s", "x"], "y", vec![]),
    ];
    chosen(
        vec![list("axes", &[1])],
        nodes,
        &[1.0, 2.0, -3.0, 4.0, 1.0, 6.0],
    );
    // The other way round nothing is filled in: cells are chosen where they are missing.
    let nodes = vec![is(), node("Where", &["m", "x", "c"], "y", vec![])];
    let graph = import(&encode(&model(13, &[2, 3], vec![c()], nodes))).expect("a model");
    let fills = |op: &Op| matches!(op, Op::Missing(Missing::Replaced { .. }));
    assert!(!graph.nodes().iter().any(|node| fills(&node.op)));
}

#[test]
fn cells_are_missing_wherever_they_are_moved() {
    let nodes = vec![
        node("Transpose", &["x"], "t", vec![ints("perm", &[1, 0])]),
        node("Gather", &["t", "at"], "g", vec![]),
        node("Identity", &["g"], "i", vec![]),
        node("Cast", &["i"], "j", vec![int("to", 1)]),
        node("Concat", &["j", "c", "j"], "k", vec![int("axis", 0)]),
        node("Reshape", &["k", "shape"], "r", vec![]),
        node("IsNaN", &["r"], "y", vec![]),
    ];
    let constants = vec![
        list("at", &[1, 0]),
        list("shape", &[10]),
        floats("c", &[1, 2], &[0.0; 2]),
    ];
    let half = [0.0, 1.0, 1.0, 0.0];
    chosen(constants, nodes, &[&half[..], &[0.0; 2], &half].concat());
}

/// A tree of one branch.
struct Stump {
    mode: usize,
    threshold: f32,
    tracks: i64,
}

const MODES: [&str; 6] = [
    "BRANCH_LEQ",
    "BRANCH_LT",
    "BRANCH_GTE",
    "BRANCH_GT",
    "BRANCH_EQ",
    "BRANCH_NEQ",
];

impl Stump {
    /// Of all modes, thresholds of all signs and infinite ones.
    fn all() -> Vec<Self> {
        let inf = f32::INFINITY;
        let mut all = vec![];
        for mode in 0..MODES.len() {
            for threshold in [-1.5, 0.0, 2.0, inf, -inf] {
                let of = |tracks| Self {
                    mode,
                    threshold,
                    tracks,
                };
                all.extend([0, 1].map(of));
            }
        }
        all
    }

    /// Where `x` goes: a comparison with NaN is false but for `!=`.
    fn holds(&self, x: f64) -> bool {
        let v = f64::from(self.threshold);
        let holds = match MODES[self.mode] {
            "BRANCH_LEQ" => x <= v,
            "BRANCH_LT" => x < v,
            "BRANCH_GTE" => x >= v,
            "BRANCH_GT" => x > v,
            "BRANCH_EQ" => x == v,
            _ => x != v,
        };
        holds || x.is_nan() && self.tracks != 0
    }
}

/// Two features, of which stumps take turns; each has a target of its own.
#[test]
fn missing_features_go_where_trees_say() {
    let x = cells(&[4, 2], &[NAN, 1.0, -2.0, NAN, NAN, NAN, 3.0, 0.0]);
    let stumps = Stump::all();
    let n = stumps.len();
    let y = fill(&[4, n], |at| {
        let holds = stumps[at[1]].holds(x[[at[0], at[1] % 2]]);
        if holds { 1.0 + at[1] as f64 } else { -2.0 }
    });
    let each = |f: &dyn Fn(usize, usize) -> i64| -> Vec<i64> {
        (0..n)
            .flat_map(|k| (0..3).map(move |i| (k, i)))
            .map(|(k, i)| f(k, i))
            .collect()
    };
    let modes: Vec<&str> = stumps
        .iter()
        .flat_map(|stump| [MODES[stump.mode], "LEAF", "LEAF"])
        .collect();
    let thresholds: Vec<f32> = stumps
        .iter()
        .flat_map(|stump| [stump.threshold, 0.0, 0.0])
        .collect();
    let leaves = |f: &dyn Fn(usize) -> [i64; 2]| (0..n).flat_map(f).collect::<Vec<i64>>();
    let weights: Vec<f32> = (0..n).flat_map(|k| [1.0 + k as f32, -2.0]).collect();
    let tracks = |k: usize, i: usize| if i == 0 { stumps[k].tracks } else { 0 };
    let trees = |name: &'static str, list: AttributeProto| {
        let attributes = vec![
            ints("nodes_treeids", &each(&|k, _| k as i64)),
            ints("nodes_nodeids", &each(&|_, i| i as i64)),
            ints(
                "nodes_featureids",
                &each(&|k, i| if i == 0 { k as i64 % 2 } else { 0 }),
            ),
            strings("nodes_modes", &modes),
            numbers("nodes_values", &thresholds),
            ints("nodes_truenodeids", &each(&|_, i| i64::from(i == 0))),
            ints("nodes_falsenodeids", &each(&|_, i| 2 * i64::from(i == 0))),
            ints(
                "nodes_missing_value_tracks_true",
                &each(&|k, i| tracks(k, i)),
            ),
            ints("target_treeids", &leaves(&|k| [k as i64; 2])),
            ints("target_nodeids", &leaves(&|_| [1, 2])),
            ints("target_ids", &leaves(&|k| [k as i64; 2])),
            numbers("target_weights", &weights),
            int("n_targets", n as i64),
        ];
        let attributes = attributes.into_iter().filter(|a| a.name != name);
        let attributes: Vec<_> = attributes.chain([list]).collect();
        Case::learned("TreeEnsembleRegressor")
            .input(DataType::Float, &x)
            .all(&attributes)
    };
    trees("", string("aggregate_function", "SUM")).is(&y);
    trees(
        "nodes_missing_value_tracks_true",
        ints("nodes_missing_value_tracks_true", &[1]),
    )
    .refused("BadAttribute", "differs in length");
}

/// The same of trees of opset 5, and membership of a set.
#[test]
fn missing_features_of_opset_5() {
    let x = cells(&[3, 1], &[NAN, 1.0, 3.0]);
    for tracks in [0, 1] {
        for mode in 0..7_u8 {
            let modes = TensorProto {
                data_type: DataType::Uint8 as i32,
                dims: vec![1],
                raw_data: vec![mode],
                ..Default::default()
            };
            let split = if mode == 6 { f32::NAN } else { 1.0 };
            let case = Case::learned("TreeEnsemble")
                .input(DataType::Float, &x)
                .opset(5)
                .with(ints("tree_roots", &[0]))
                .with(ints("nodes_featureids", &[0]))
                .with(tensor("nodes_modes", modes))
                .with(tensor("nodes_splits", floats("", &[1], &[split])))
                .with(ints("nodes_truenodeids", &[0]))
                .with(ints("nodes_trueleafs", &[1]))
                .with(ints("nodes_falsenodeids", &[1]))
                .with(ints("nodes_falseleafs", &[1]))
                .with(ints("nodes_missing_value_tracks_true", &[tracks]))
                .with(ints("leaf_targetids", &[0, 0]))
                .with(tensor("leaf_weights", floats("", &[2], &[5.0, -1.0])))
                .with(tensor(
                    "membership_values",
                    floats("", &[2], &[1.0, f32::NAN]),
                ));
            // Membership is equality with one of a set.
            let stump = Stump {
                mode: if mode == 6 { 4 } else { mode.into() },
                threshold: 1.0,
                tracks,
            };
            case.is(&x.mapv(|x| if stump.holds(x) { 5.0 } else { -1.0 }));
        }
    }
}
