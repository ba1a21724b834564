//! Masks: what Softmax, comparisons and others make of cells that are masked by a low number.

use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::{ModelProto, NodeProto, TensorProto};
use zkstrata_onnx_import::import;

use crate::build::{encode, floats, giving, int, ints, list, model, node, number, taking};
use crate::control::{answers, check, close};
use crate::refusals::{assert_error, refuse};

const LOWEST: f32 = f32::MIN;
const NEVER: f32 = f32::NEG_INFINITY;

/// Shares of `x` among the open cells.
fn shares(x: &[f32], open: &[f32]) -> Vec<f32> {
    let powers: Vec<f32> = x.iter().zip(open).map(|(x, o)| o * x.exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers
        .iter()
        .map(|p| p / sum.max(f32::MIN_POSITIVE))
        .collect()
}

fn constants() -> Vec<TensorProto> {
    vec![
        floats("one", &[], &[1.0]),
        floats("zero", &[], &[0.0]),
        floats("lowest", &[], &[LOWEST]),
        floats("never", &[], &[NEVER]),
        floats("far", &[], &[-1e9]),
        floats("some", &[], &[-1e4]),
        list("axis", &[0]),
    ]
}

/// A model of scores `x[2, 3]` and a mask `m[3]` of the given type.
fn masked(data_type: DataType, nodes: Vec<NodeProto>) -> ModelProto {
    taking(model(13, &[2, 3], constants(), nodes), "m", data_type, &[3])
}

/// `Softmax(x + (1 - m) c)`
fn additive(data_type: DataType, low: &str) -> ModelProto {
    masked(
        data_type,
        vec![
            node("Cast", &["m"], "f", vec![int("to", 1)]),
            node("Unsqueeze", &["f", "axis"], "u", vec![]),
            node("Sub", &["one", "u"], "closed", vec![]),
            node("Mul", &["closed", low], "low", vec![]),
            node("Add", &["x", "low"], "z", vec![]),
            node("Softmax", &["z"], "y", vec![]),
        ],
    )
}

/// `Softmax(m ? x : c)`
fn chosen(low: &str) -> ModelProto {
    masked(
        DataType::Bool,
        vec![
            node("Where", &["m", "x", low], "z", vec![]),
            node("Softmax", &["z"], "y", vec![]),
        ],
    )
}

/// `Softmax(x + (m ? 0 : c))`
fn added(low: &str) -> ModelProto {
    masked(
        DataType::Bool,
        vec![
            node("Where", &["m", "zero", low], "b", vec![]),
            node("Add", &["x", "b"], "z", vec![]),
            node("Softmax", &["z"], "y", vec![]),
        ],
    )
}

#[test]
fn softmax_gives_masked_cells_nothing() {
    let x: (&[usize], &[f32]) = (&[2, 3], &[1.0, 80.0, 0.5, -3.0, 2.0, 700.0]);
    let m: (&[usize], &[f32]) = (&[3], &[1.0, 0.0, 1.0]);
    let mut expected = shares(&x.1[..3], m.1);
    expected.extend([0.0, 0.0, 1.0]);
    let mut models = vec![additive(DataType::Int64, "far")];
    models.extend([DataType::Int64, DataType::Float].map(|t| additive(t, "lowest")));
    models.push(additive(DataType::Float, "far"));
    models.extend(["some", "far", "lowest", "never"].map(chosen));
    models.extend(["some", "far", "lowest", "never"].map(added));
    for model in &models {
        check(model, &[x, m], &expected);
        let notes = import(&encode(model)).expect("a model").notes().join("\n");
        assert!(notes.contains("masks"), "{notes}");
    }
}

/// A row that is masked whole: all cells are equal, or all have the same number added.
#[test]
fn rows_that_are_masked_whole() {
    let x: (&[usize], &[f32]) = (&[2, 3], &[1.0, 2.0, 0.5, -3.0, 2.0, 1.0]);
    let none: (&[usize], &[f32]) = (&[3], &[0.0; 3]);
    let own = [shares(&x.1[..3], &[1.0; 3]), shares(&x.1[3..], &[1.0; 3])].concat();
    for model in [additive(DataType::Int64, "some"), added("some")] {
        check(&model, &[x, none], &own);
    }
    let far = ["some", "far", "lowest"].map(chosen);
    for model in far
        .iter()
        .chain(&[additive(DataType::Int64, "lowest"), added("far")])
    {
        check(model, &[x, none], &[1.0 / 3.0; 6]);
    }
    // The same with Softmax written out.
    let spelled = |model: ModelProto| {
        let mut model = giving(model, &["w"]);
        let nodes = vec![
            node("ReduceMax", &["z"], "most", vec![ints("axes", &[1])]),
            node("Sub", &["z", "most"], "d", vec![]),
            node("Exp", &["d"], "e", vec![]),
            node("ReduceSum", &["e", "last"], "s", vec![]),
            node("Div", &["e", "s"], "w", vec![]),
        ];
        if let Some(graph) = &mut model.graph {
            graph.node.extend(nodes);
            graph.initializer.push(list("last", &[1]));
        }
        model
    };
    check(&spelled(added("some")), &[x, none], &own);
    for low in ["some", "far", "lowest"] {
        check(&spelled(chosen(low)), &[x, none], &[1.0 / 3.0; 6]);
    }
    for low in ["far", "lowest"] {
        check(&spelled(added(low)), &[x, none], &[1.0 / 3.0; 6]);
    }
    let most = |model: ModelProto| {
        let mut model = giving(model, &["w"]);
        let reduced = node("ReduceMax", &["z"], "w", vec![ints("axes", &[1])]);
        if let Some(graph) = &mut model.graph {
            graph.node.push(reduced);
        }
        model
    };
    check(&most(chosen("some")), &[x, none], &[-1e4; 2]);
    check(&most(added("some")), &[x, none], &[2.0 - 1e4, 2.0 - 1e4]);
    let open: (&[usize], &[f32]) = (&[3], &[1.0, 0.0, 1.0]);
    check(&most(chosen("some")), &[x, open], &[1.0, 1.0]);
}

/// Where the mask comes from makes no difference, nor does what else the model has.
#[test]
fn a_mask_belongs_to_its_value() {
    let compared = |nodes: Vec<NodeProto>| {
        let equal = node("Equal", &["x", "never"], "e", vec![]);
        let cast = node("Cast", &["e"], "y", vec![int("to", 1)]);
        masked(DataType::Bool, [nodes, vec![equal, cast]].concat())
    };
    let x: (&[usize], &[f32]) = (&[2, 3], &[-600.0, 2.0, -300.0, 1.0, 2.0, 3.0]);
    let m: (&[usize], &[f32]) = (&[3], &[1.0, 0.0, 1.0]);
    check(&compared(vec![]), &[x, m], &[0.0; 6]);
    let beside = vec![
        node("Where", &["m", "x", "never"], "z", vec![]),
        node("Softmax", &["z"], "w", vec![]),
    ];
    let beside = giving(compared(beside), &["y", "w"]);
    close(&answers(&beside, &[x, m])[0], &[0.0; 6]);
    let of_the_mask = |low: &str, op: &str, with: &[&str]| {
        let operands = [&["z"], with].concat();
        masked(
            DataType::Bool,
            vec![
                node("Where", &["m", "x", low], "z", vec![]),
                node(op, &operands, "e", vec![]),
                node("Cast", &["e"], "y", vec![int("to", 1)]),
            ],
        )
    };
    let closed = [0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    check(&of_the_mask("never", "Equal", &["never"]), &[x, m], &closed);
    check(&of_the_mask("never", "IsInf", &[]), &[x, m], &closed);
    let cast = masked(
        DataType::Bool,
        vec![
            node("Where", &["m", "x", "never"], "z", vec![]),
            node("Cast", &["z"], "half", vec![int("to", 10)]),
            node("Equal", &["half", "never"], "e", vec![]),
            node("Cast", &["e"], "y", vec![int("to", 1)]),
        ],
    );
    check(&cast, &[x, m], &closed);
    // The lowest float is not infinite.
    check(
        &of_the_mask("lowest", "Equal", &["never"]),
        &[x, m],
        &[0.0; 6],
    );
    check(
        &of_the_mask("lowest", "Equal", &["lowest"]),
        &[x, m],
        &closed,
    );
    let below = [1.0, 1.0, 1.0, 0.0, 1.0, 0.0];
    check(&of_the_mask("lowest", "Less", &["zero"]), &[x, m], &below);
}

/// Operators that move cells move the mask; functions have their values at the low number.
#[test]
fn masks_move_and_are_mapped() {
    let x: (&[usize], &[f32]) = (&[2, 3], &[1.0, 80.0, 0.5, -3.0, 2.0, 7.0]);
    let m: (&[usize], &[f32]) = (&[3], &[1.0, 0.0, 1.0]);
    let after = |low: &str, nodes: Vec<NodeProto>| {
        let first = vec![node("Where", &["m", "x", low], "z", vec![])];
        masked(DataType::Bool, [first, nodes].concat())
    };
    for low in ["lowest", "never", "some"] {
        let moved = after(
            low,
            vec![
                node("Transpose", &["z"], "t", vec![]),
                node("Max", &["t", "lowest"], "bound", vec![]),
                node("Cast", &["bound"], "half", vec![int("to", 10)]),
                node("Softmax", &["half"], "y", vec![int("axis", 0)]),
            ],
        );
        let rows = [shares(&x.1[..3], m.1), shares(&x.1[3..], m.1)];
        let expected: Vec<f32> = (0..6).map(|i| rows[i % 2][i / 2]).collect();
        check(&moved, &[x, m], &expected);
        let powers = after(low, vec![node("Exp", &["z"], "y", vec![])]);
        let exp = |i: usize| m.1[i % 3] * x.1[i].min(8.0).exp();
        check(&powers, &[x, m], &(0..6).map(exp).collect::<Vec<_>>());
        let written_out = after(
            low,
            vec![
                node("ReduceMax", &["z"], "most", vec![ints("axes", &[1])]),
                node("Sub", &["z", "most"], "d", vec![]),
                node("Exp", &["d"], "e", vec![]),
                node("ReduceSum", &["e", "last"], "s", vec![]),
                node("Div", &["e", "s"], "y", vec![]),
            ],
        );
        let mut written_out = written_out;
        if let Some(graph) = &mut written_out.graph {
            graph.initializer.push(list("last", &[1]));
        }
        check(&written_out, &[x, m], &rows.concat());
    }
    let joined = after(
        "some",
        vec![
            node("Concat", &["z", "x"], "both", vec![int("axis", 1)]),
            node("Softmax", &["both"], "y", vec![]),
        ],
    );
    let row = |x: &[f32]| shares(&[x, x].concat(), &[1.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    check(&joined, &[x, m], &[row(&x.1[..3]), row(&x.1[3..])].concat());
    let summed = |low: &str| after(low, vec![node("MatMul", &["z", "w"], "y", vec![])]);
    let with_weight = |low: &str| {
        let mut model = summed(low);
        if let Some(graph) = &mut model.graph {
            graph
                .initializer
                .push(floats("w", &[3, 1], &[1.0, 1.0, 1.0]));
        }
        model
    };
    // What knows nothing of masks reads ONNX's numbers, or is refused.
    check(&with_weight("some"), &[x, m], &[-9998.5, -9996.0]);
    assert_error(
        &refuse(&with_weight("never")),
        "UnsupportedOperator",
        "masked by -inf",
    );
    let shown = giving(after("lowest", vec![]), &["z"]);
    assert_error(&refuse(&shown), "Shape", "masked by -3.4");
}

/// Padding by a low number before a pool by maximum is padding of the pool.
#[test]
fn padding_before_a_pool() {
    let x: (&[usize], &[f32]) = (&[1, 1, 3], &[-5.0, -2.0, -7.0]);
    let pooled = |value: f32| {
        let pads = vec![ints("pads", &[0, 0, 1, 0, 0, 1]), number("value", value)];
        let nodes = vec![
            node("Pad", &["x"], "p", pads),
            node("MaxPool", &["p"], "y", vec![ints("kernel_shape", &[2])]),
        ];
        model(9, &[1, 1, 3], vec![], nodes)
    };
    for value in [NEVER, LOWEST, -1e5] {
        check(&pooled(value), &[x], &[-5.0, -2.0, -2.0, -7.0]);
    }
    // What is left of an axis may be padding alone.
    let pads = vec![ints("pads", &[0, 0, 1, 0, 0, -3]), number("value", LOWEST)];
    let nodes = vec![
        node("Pad", &["x"], "p", pads),
        node("Softmax", &["p"], "s", vec![int("axis", 2)]),
        node("Equal", &["p", "c"], "e", vec![]),
        node("Cast", &["e"], "y", vec![int("to", 1)]),
    ];
    let alone = model(9, &[1, 1, 3], vec![floats("c", &[], &[LOWEST])], nodes);
    check(&alone, &[x], &[1.0]);
    let graph = import(&encode(&pooled(LOWEST))).expect("a model");
    assert!(!format!("{:?}", graph.nodes()).contains("e38"), "{graph:?}");
    assert_error(&refuse(&pooled(f32::INFINITY)), "NonFinite", "(Pad)");
}

#[test]
fn infinite_constants() {
    let x: (&[usize], &[f32]) = (&[2, 3], &[1.0, -80.0, 0.5, -3.0, 2.0, 7.0]);
    let one =
        |constants: Vec<TensorProto>, made: NodeProto| model(13, &[2, 3], constants, vec![made]);
    let infinite = || {
        vec![
            floats("c", &[], &[NEVER]),
            floats("d", &[], &[f32::INFINITY]),
        ]
    };
    for made in [
        node("Max", &["x", "c"], "y", vec![]),
        node("Min", &["d", "x"], "y", vec![]),
        node("Clip", &["x", "c", "d"], "y", vec![]),
    ] {
        let graph = import(&encode(&one(infinite(), made.clone()))).expect("a model");
        assert_eq!(graph.nodes().len(), 1, "{graph:?}");
        check(&one(infinite(), made), &[x], x.1);
    }
    let missing = || vec![floats("c", &[3], &[f32::NAN; 3])];
    let never = |cells: [bool; 3]| TensorProto {
        name: "b".into(),
        dims: vec![3],
        data_type: DataType::Bool as i32,
        int32_data: cells.map(i32::from).to_vec(),
        ..TensorProto::default()
    };
    let choice = || node("Where", &["b", "x", "c"], "y", vec![]);
    let used = |cells| one([missing(), vec![never(cells)]].concat(), choice());
    check(&used([true; 3]), &[x], x.1);
    assert_error(
        &refuse(&used([true, false, true])),
        "NonFinite",
        "--constant",
    );
    assert_error(
        &refuse(&used([true, false, true])),
        "NonFinite",
        "node `y` (Where)",
    );
}
