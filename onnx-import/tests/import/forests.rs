//! Tree ensembles of `ai.onnx.ml` against walks from their roots to their leaves.

use candle_onnx::onnx::AttributeProto;
use candle_onnx::onnx::tensor_proto::DataType;

use crate::build::{floats, int, ints, numbers, string, strings, tensor};
use crate::case::{Case, Cells, cells, fill, row, spread, vector};

/// A node of a tree: the feature, the mode, the number compared with, and the nodes that follow.
#[derive(Clone, Copy)]
enum Node {
    Branch(usize, &'static str, f64, usize, usize),
    Leaf,
}

use Node::{Branch, Leaf};

/// Trees, the values of their leaves `(tree, node, target, value)`.
struct Forest {
    trees: Vec<Vec<Node>>,
    leaves: Vec<(usize, usize, usize, f64)>,
}

impl Forest {
    /// Two trees of all modes on three features, with `targets` values in each leaf.
    fn new(targets: usize) -> Self {
        let trees = vec![
            vec![
                Branch(0, "BRANCH_LEQ", 0.5, 1, 2),
                Branch(1, "BRANCH_LT", -1.0, 3, 4),
                Branch(2, "BRANCH_GTE", 2.0, 5, 6),
                Leaf,
                Leaf,
                Leaf,
                Branch(1, "BRANCH_NEQ", 1.0, 7, 8),
                Leaf,
                Leaf,
            ],
            vec![
                Branch(2, "BRANCH_GT", -1.0, 2, 1),
                Leaf,
                Branch(0, "BRANCH_EQ", 0.5, 3, 4),
                Leaf,
                Leaf,
            ],
            vec![Leaf],
        ];
        let mut leaves = vec![];
        for (t, tree) in trees.iter().enumerate() {
            for (n, _) in tree
                .iter()
                .enumerate()
                .filter(|(_, node)| matches!(node, Leaf))
            {
                leaves.extend(
                    (0..targets)
                        .map(|k| (t, n, k, ((7 * t + 3 * n + 5 * k) % 11) as f64 / 4.0 - 1.25)),
                );
            }
        }
        Self { trees, leaves }
    }

    fn nodes(&self) -> Vec<(usize, usize, Node)> {
        let tree = |(t, tree): (usize, &Vec<Node>)| {
            let nodes = tree.clone().into_iter().enumerate();
            nodes.map(move |(n, node)| (t, n, node)).collect::<Vec<_>>()
        };
        self.trees.iter().enumerate().flat_map(tree).collect()
    }

    /// The attributes, with those of the leaves called `of`.
    fn attributes(&self, of: &str) -> Vec<AttributeProto> {
        let nodes = self.nodes();
        let list = |f: &dyn Fn(&(usize, usize, Node)) -> usize| {
            nodes.iter().map(|node| f(node) as i64).collect::<Vec<_>>()
        };
        let branch = |f: fn(usize, usize, usize) -> usize| {
            list(&move |node| match node.2 {
                Branch(feature, _, _, yes, no) => f(feature, yes, no),
                Leaf => 0,
            })
        };
        let modes: Vec<&str> = nodes
            .iter()
            .map(|node| match node.2 {
                Branch(_, mode, ..) => mode,
                Leaf => "LEAF",
            })
            .collect();
        let values: Vec<f32> = nodes
            .iter()
            .map(|node| match node.2 {
                Branch(_, _, value, ..) => value as f32,
                Leaf => 0.0,
            })
            .collect();
        let leaf = |f: fn(&(usize, usize, usize, f64)) -> usize| {
            self.leaves
                .iter()
                .map(|leaf| f(leaf) as i64)
                .collect::<Vec<_>>()
        };
        let weights: Vec<f32> = self.leaves.iter().map(|leaf| leaf.3 as f32).collect();
        vec![
            ints("nodes_treeids", &list(&|node| node.0)),
            ints("nodes_nodeids", &list(&|node| node.1)),
            ints("nodes_featureids", &branch(|feature, _, _| feature)),
            strings("nodes_modes", &modes),
            numbers("nodes_values", &values),
            ints("nodes_truenodeids", &branch(|_, yes, _| yes)),
            ints("nodes_falsenodeids", &branch(|_, _, no| no)),
            ints(&format!("{of}_treeids"), &leaf(|leaf| leaf.0)),
            ints(&format!("{of}_nodeids"), &leaf(|leaf| leaf.1)),
            ints(&format!("{of}_ids"), &leaf(|leaf| leaf.2)),
            numbers(&format!("{of}_weights"), &weights),
        ]
    }

    /// The value of a target in each tree, for features `x`.
    fn values(&self, x: &[f64], target: usize) -> Vec<f64> {
        let value = |(t, tree): (usize, &Vec<Node>)| {
            let mut at = 0;
            while let Branch(feature, mode, value, yes, no) = tree[at] {
                let x = x[feature];
                let holds = match mode {
                    "BRANCH_LEQ" => x <= value,
                    "BRANCH_LT" => x < value,
                    "BRANCH_GTE" => x >= value,
                    "BRANCH_GT" => x > value,
                    "BRANCH_EQ" => x == value,
                    _ => x != value,
                };
                at = if holds { yes } else { no };
            }
            let of = self
                .leaves
                .iter()
                .filter(|l| (l.0, l.1, l.2) == (t, at, target));
            of.map(|leaf| leaf.3).sum()
        };
        self.trees.iter().enumerate().map(value).collect()
    }
}

/// Rows of three features, some of which are the numbers that branches compare with.
fn rows() -> Cells {
    let list = [
        0.5, -1.0, 2.0, 0.25, -1.5, -1.0, 0.75, 1.0, 1.5, 3.0, 2.0, 2.5, 0.5, 1.0, -0.5, 9.0, 1.0,
        -1.0, -4.0, 0.0, 7.0,
    ];
    cells(&[7, 3], &list)
}

type Aggregate = (&'static str, i64, fn(&[f64]) -> f64);

#[test]
fn forests() {
    let x = rows();
    let aggregates: [Aggregate; 4] = [
        ("AVERAGE", 0, |v| v.iter().sum::<f64>() / v.len() as f64),
        ("SUM", 1, |v| v.iter().sum()),
        ("MIN", 2, |v| v.iter().copied().fold(f64::MAX, f64::min)),
        ("MAX", 3, |v| v.iter().copied().fold(f64::MIN, f64::max)),
    ];
    for targets in [1, 2] {
        let forest = Forest::new(targets);
        for (name, _, join) in aggregates {
            let case = Case::learned("TreeEnsembleRegressor").input(DataType::Float, &x);
            let case = case
                .all(&forest.attributes("target"))
                .with(int("n_targets", targets as i64));
            let case = case.with(string("aggregate_function", name));
            let y = fill(&[7, targets], |at| {
                join(&forest.values(&row(&x, at[0]), at[1]))
            });
            case.is(&y);
            let base = [0.5, -0.25];
            let shifted = fill(&[7, targets], |at| y[at] + base[at[1]]);
            let list: Vec<f32> = base[..targets].iter().map(|&b| b as f32).collect();
            case.with(numbers("base_values", &list)).is(&shifted);
        }
    }
}

/// The scores of three classes, and the first of the largest.
#[test]
fn forests_of_classes() {
    let (x, forest) = (rows(), Forest::new(3));
    let scores = fill(&[7, 3], |at| {
        forest.values(&row(&x, at[0]), at[1]).iter().sum()
    });
    for (post, f) in [
        ("NONE", (|row, i| row[i]) as fn(&[f64], usize) -> f64),
        ("LOGISTIC", |row, i| 1.0 / (1.0 + (-row[i]).exp())),
        ("SOFTMAX", |row, i| {
            row[i].exp() / row.iter().map(|x| x.exp()).sum::<f64>()
        }),
    ] {
        let labels = fill(&[7], |at| {
            let row = row(&scores, at[0]);
            let most = row.iter().copied().fold(f64::MIN, f64::max);
            [30.0, 10.0, 20.0][row.iter().position(|&x| x == most).expect("a class")]
        });
        let case = Case::learned("TreeEnsembleClassifier").input(DataType::Float, &x);
        let case = case.all(&forest.attributes("class")).outputs(2);
        let case = case.with(string("post_transform", post));
        let case = case.with(ints("classlabels_int64s", &[30, 10, 20]));
        case.gives(&[labels, fill(&[7, 3], |at| f(&row(&scores, at[0]), at[1]))]);
    }
}

/// Trees of opset 5, whose leaves are listed apart; one tests for membership of a set.
#[test]
fn forests_of_opset_5() {
    let x = vector(&[0.0, 1.0, 1.5, 2.0, 3.0, -7.0])
        .to_shape(vec![6, 1])
        .expect("a column")
        .to_owned();
    let nan = f32::NAN;
    for (members, set) in [
        (vec![1.0, 2.0, nan], [1.0, 2.0]),
        (vec![3.0, 3.0, nan], [3.0, 3.0]),
    ] {
        let modes = candle_onnx::onnx::TensorProto {
            data_type: DataType::Uint8 as i32,
            dims: vec![2],
            raw_data: vec![6, 0],
            ..Default::default()
        };
        let mut case = Case::learned("TreeEnsemble")
            .input(DataType::Float, &x)
            .opset(5);
        case = case
            .with(ints("tree_roots", &[0]))
            .with(ints("nodes_featureids", &[0, 0]))
            .with(tensor("nodes_modes", modes))
            .with(tensor("nodes_splits", floats("", &[2], &[nan, 1.75])))
            .with(ints("nodes_truenodeids", &[0, 1]))
            .with(ints("nodes_trueleafs", &[1, 1]))
            .with(ints("nodes_falsenodeids", &[1, 2]))
            .with(ints("nodes_falseleafs", &[0, 1]))
            .with(ints("leaf_targetids", &[0, 0, 0]))
            .with(tensor("leaf_weights", floats("", &[3], &[5.0, -1.0, 2.0])))
            .with(tensor(
                "membership_values",
                floats("", &[members.len() as i64], &members),
            ));
        let y = x.mapv(|x| {
            if set.contains(&x) {
                5.0
            } else if x <= 1.75 {
                -1.0
            } else {
                2.0
            }
        });
        case.is(&y);
    }
}

#[test]
fn forests_that_are_refused() {
    let x = rows();
    let forest = Forest::new(1);
    let with = |name: &str, other: AttributeProto| {
        let mut attributes = forest.attributes("target");
        attributes.retain(|a| a.name != name);
        attributes.push(other);
        Case::learned("TreeEnsembleRegressor")
            .input(DataType::Float, &x)
            .all(&attributes)
    };
    let n = forest.nodes().len();
    with("nodes_values", numbers("nodes_values", &vec![f32::NAN; n]))
        .refused("BadAttribute", "NaN");
    with("nodes_values", numbers("nodes_values", &[0.0]))
        .refused("BadAttribute", "differs in length");
    with("nodes_modes", strings("nodes_modes", &vec!["BRANCH"; n]))
        .refused("BadAttribute", "`BRANCH`");
    with("nodes_featureids", ints("nodes_featureids", &vec![3; n])).refused("", "feature 3 of 3");
    with("nodes_featureids", ints("nodes_featureids", &vec![-1; n]))
        .refused("BadAttribute", "negative");
    with("nodes_nodeids", ints("nodes_nodeids", &vec![0; n])).refused("Shape", "given twice");
    let leaves = forest.leaves.len();
    with("target_ids", ints("target_ids", &vec![1; leaves])).refused("Shape", "target 1 of 1");
    with("target_nodeids", ints("target_nodeids", &vec![0; leaves])).refused("Shape", "is no leaf");
    with(
        "target_weights",
        numbers("target_weights", &vec![f32::INFINITY; leaves]),
    )
    .refused("NonFinite", "inf");
    with("", int("n_targets", 0)).refused("BadAttribute", "positive");
    with("", string("aggregate_function", "MEDIAN")).refused("BadAttribute", "MEDIAN");
    with("", string("post_transform", "PROBIT"))
        .refused("BadAttribute", "NONE, LOGISTIC or SOFTMAX");
    with("", numbers("base_values", &[1.0, 2.0])).refused("BadAttribute", "2 for 1 targets");
    let cube = Case::learned("TreeEnsembleRegressor").input(DataType::Float, &spread(&[1, 2, 3]));
    cube.all(&forest.attributes("target"))
        .refused("Shape", "features of shape");
}

/// A tree of two classes with the leaves `x <= 0`, `x <= 1/2` and above.
fn two_classes(ids: &[i64], weights: &[f32], labels: &[i64]) -> Case {
    let rows = cells(&[4, 1], &[-1.0, 0.25, 0.75, 2.0]);
    let each = ids.len() / 3;
    let leaves: Vec<i64> = [3, 4, 2]
        .iter()
        .flat_map(|&leaf| vec![leaf; each])
        .collect();
    let case = Case::learned("TreeEnsembleClassifier")
        .input(DataType::Float, &rows)
        .outputs(2);
    case.with(ints("nodes_treeids", &[0; 5]))
        .with(ints("nodes_nodeids", &[0, 1, 2, 3, 4]))
        .with(ints("nodes_featureids", &[0; 5]))
        .with(strings(
            "nodes_modes",
            &["BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"],
        ))
        .with(numbers("nodes_values", &[0.5, 0.0, 0.0, 0.0, 0.0]))
        .with(ints("nodes_truenodeids", &[1, 3, 0, 0, 0]))
        .with(ints("nodes_falsenodeids", &[2, 4, 0, 0, 0]))
        .with(ints("class_treeids", &vec![0; ids.len()]))
        .with(ints("class_nodeids", &leaves))
        .with(ints("class_ids", ids))
        .with(numbers("class_weights", weights))
        .with(ints("classlabels_int64s", labels))
}

/// One score decides between two classes: a probability if no value is negative, else a margin.
#[test]
fn two_classes_with_one_score() {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    for (weights, threshold, whole) in [([0.1, 0.5, 0.9], 0.5, 1.0), ([-1.0, 0.0, 0.75], 0.0, 0.0)]
    {
        for base in [0.0, 0.25] {
            for post in ["NONE", "LOGISTIC", "SOFTMAX"] {
                let score = |row: usize| weights[row.min(2)] + base;
                let label = fill(&[4], |at| if score(at[0]) > threshold { 4.0 } else { 7.0 });
                let both = fill(&[4, 2], |at| {
                    let (s, second) = (score(at[0]), at[1] == 1);
                    match (post, second) {
                        ("LOGISTIC", true) => logistic(s),
                        ("LOGISTIC", false) => logistic(-s),
                        (_, true) => s,
                        (_, false) => whole - s,
                    }
                });
                let list = weights.map(|w| w as f32);
                let case =
                    two_classes(&[0; 3], &list, &[7, 4]).with(string("post_transform", post));
                let base = numbers("base_values", &[base as f32]);
                let case = if score(0) == weights[0] {
                    case
                } else {
                    case.with(base)
                };
                case.gives(&[label, both]);
            }
        }
    }
    let second = two_classes(&[1; 3], &[0.5; 3], &[7, 4]);
    second.refused("UnsupportedOperator", "class id 0");
    let three = two_classes(&[0; 3], &[-0.5; 3], &[7]);
    three.refused("Shape", "one score for 1 classes");
}

/// Two scores: as in onnxruntime the second class if its score is positive.
#[test]
fn two_classes_with_two_scores() {
    let ids = [0, 1, 0, 1, 0, 1];
    let positive = [0.9, 0.1, 0.5, 0.5, 0.25, 0.75];
    let mixed = [1.0, -1.0, -0.5, -0.25, 2.0, 3.0];
    for (weights, labels) in [
        (positive, [1.0, 1.0, 1.0, 1.0]),
        (mixed, [0.0, 0.0, 1.0, 1.0]),
    ] {
        let score = |at: &[usize]| f64::from(weights[2 * at[0].min(2) + at[1]]);
        let case = |post: &str| {
            let case = two_classes(&ids, &weights, &[0, 1]);
            case.with(string("post_transform", post))
        };
        let labels = vector(&labels);
        case("NONE").gives(&[labels.clone(), fill(&[4, 2], score)]);
        let shares = fill(&[4, 2], |at| {
            score(at).exp() / (score(&[at[0], 0]).exp() + score(&[at[0], 1]).exp())
        });
        case("SOFTMAX").gives(&[labels.clone(), shares]);
        let logistic = fill(&[4, 2], |at| 1.0 / (1.0 + (-score(at)).exp()));
        case("LOGISTIC").gives(&[labels, logistic]);
    }
    let base = two_classes(&ids, &mixed, &[0, 1]).with(numbers("base_values", &[0.25, -0.5]));
    base.refused("UnsupportedOperator", "to the leaves of a tree");
}
