//! Forms, ties, bits and scales: of small graphs by name, and what holds of every graph.

use super::common::{PROFILES, affine, array, scalar};
use crate::float::random::{Random, random_graph};
use crate::float::{
    Activation, AxisMap, AxisMatrix, Contract, Graph, GraphBuilder, Op, PoolKind, Ties as Halves,
    ValueId, Window,
};
use crate::quantise::bits::Bits;
use crate::quantise::facts::Facts;
use crate::quantise::forms::Form;
use crate::quantise::needs::Needs;
use crate::quantise::plan::Plan;
use crate::quantise::scales::Scales;
use crate::quantise::{Calibration, Profile, policy, prepare, ties};
use ndarray::{ArrayD, IxDyn};

/// The plan of a graph with these samples.
fn planned(graph: &Graph, samples: Vec<Vec<ArrayD<f32>>>, profile: Profile, read: impl Fn(&Plan)) {
    let calibration = Calibration::from_samples(samples);
    let prepared = prepare::prepared(graph, &calibration, profile);
    let prepared = prepared.expect("finite samples");
    let facts = Facts::new(&prepared, profile).expect("facts");
    let (forms, ties) = ties::settled(&facts).expect("ties agree");
    let bits = Bits::new(&facts, &forms, &ties);
    let needs = Needs::new(&facts, &forms, &ties);
    let scales = Scales::new(&facts, &forms, &ties, &bits, &needs).expect("usable scales");
    read(&Plan {
        facts,
        forms,
        ties,
        bits,
        needs,
        scales,
        views: vec![],
    });
}

/// The value of the node of this name.
fn named(plan: &Plan, name: &str) -> usize {
    let mut nodes = plan.facts.graph.nodes().iter();
    let place = nodes.position(|node| node.name == name);
    place.unwrap_or_else(|| panic!("no node `{name}`"))
}

/// A graph of one real input `x` of shape `[1, 4]` in `[-1, 1]`, whose last value is its output, and
/// how it is planned.
fn small(build: impl Fn(&mut GraphBuilder, ValueId) -> ValueId, read: impl Fn(&Plan)) {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, 4]).expect("a shape");
    let y = build(&mut b, x);
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let x = array(&[1, 4], &[-1.0, 1.0, 0.5, -0.75]);
    for profile in PROFILES {
        planned(&graph, vec![vec![x.clone()]], profile, &read);
    }
}

fn op(b: &mut GraphBuilder, name: &str, op: Op, inputs: &[ValueId]) -> ValueId {
    b.add(name, op, inputs).expect("shapes agree")
}

fn dense(inputs: usize, outputs: usize) -> Op {
    let cell = |i: usize| ((i * 7) % 5) as f32 / 4.0 - 0.5;
    let cells: Vec<f32> = (0..inputs * outputs).map(cell).collect();
    Op::Dense {
        weight: array(&[inputs, outputs], &cells),
        bias: None,
    }
}

/// `a` has `ratio` times the scale of `b`, in one class.
fn assert_tied(plan: &Plan, a: &str, b: &str, ratio: f64) {
    let ((root, of_a), (other, of_b)) = (
        plan.ties.root(named(plan, a)),
        plan.ties.root(named(plan, b)),
    );
    assert_eq!(root, other, "{a} and {b} are not tied");
    assert!((of_a / of_b / ratio - 1.0).abs() < 1e-12, "{a} and {b}");
    let scales = [a, b].map(|name| plan.scales.of(named(plan, name)));
    assert!((scales[0] / scales[1] / ratio - 1.0).abs() < 1e-12);
}

fn assert_untied(plan: &Plan, a: &str, b: &str) {
    let root = |name| plan.ties.root(named(plan, name)).0;
    assert_ne!(root(a), root(b), "{a} and {b} are tied");
}

#[test]
fn layers_are_accumulators_and_functions_are_small() {
    small(
        |b, x| {
            let y = op(b, "first", dense(4, 3), &[x]);
            let y = op(b, "relu", Op::Activation(Activation::Relu), &[y]);
            let y = op(b, "second", dense(3, 2), &[y]);
            op(b, "tanh", Op::Activation(Activation::Tanh), &[y])
        },
        |plan| {
            let form = |name| plan.forms.of(named(plan, name));
            for name in ["x", "relu", "tanh"] {
                assert_eq!(form(name), Form::Small, "{name}");
            }
            for name in ["first", "second"] {
                assert_eq!(form(name), Form::Linear, "{name}");
                assert!(!plan.needs.small(named(plan, name)), "{name}");
            }
            // A rectifier acts on integers of any scale alike, a curve on none.
            assert_tied(plan, "relu", "first", 1.0);
            assert_untied(plan, "x", "first");
            assert_untied(plan, "tanh", "second");
            let curve = |name| plan.forms.feeds_curve(named(plan, name));
            assert!(curve("second") && !curve("first") && !curve("relu"));
            let most = plan.bits.interval(named(plan, "relu"));
            assert_eq!(most, (0, (1 << plan.facts.profile.bits()) - 1));
        },
    );
}

#[test]
fn averages_divide_by_their_scale() {
    for (kernel, shift, ratio) in [(2, 1, 1.0), (3, 2, 4.0 / 3.0), (4, 2, 1.0)] {
        let windows = vec![Window {
            kernel,
            stride: 1,
            dilation: 1,
            pad_begin: 0,
            pad_end: 0,
        }];
        let build = |b: &mut GraphBuilder, x: ValueId| {
            let shape = vec![1, 1, 4];
            let x = op(b, "view", Op::Reshape { shape }, &[x]);
            let kind = PoolKind::AverageInside;
            let windows = windows.clone();
            op(b, "mean", Op::Pool { kind, windows }, &[x])
        };
        small(build, |plan| {
            assert_eq!(plan.forms.of(named(plan, "mean")), Form::Exact(shift));
            assert_tied(plan, "mean", "view", ratio);
            assert_tied(plan, "view", "x", 1.0);
        });
    }
}

#[test]
fn products_and_sums_over_axes_are_raw() {
    small(
        |b, x| {
            let y = op(b, "tanh", Op::Activation(Activation::Tanh), &[x]);
            let product = Op::Contract(Contract::elementwise(2));
            let y = op(b, "product", product, &[x, y]);
            let sum = AxisMap::Matrix(AxisMatrix::sum(4, 3));
            let y = op(b, "sum", Op::Map(vec![AxisMap::Keep, sum]), &[y]);
            op(b, "view", Op::Reshape { shape: vec![1] }, &[y])
        },
        |plan| {
            for name in ["product", "sum", "view"] {
                let v = named(plan, name);
                assert_eq!(plan.forms.of(v), Form::Raw, "{name}");
                assert!(plan.ties.is_loose(v), "{name}");
            }
            assert!(plan.facts.precise.iter().all(|&precise| precise));
            assert_untied(plan, "product", "x");
            assert_untied(plan, "product", "tanh");
        },
    );
}

#[test]
fn factors_change_the_scale_and_shifts_do_not() {
    small(
        |b, x| {
            let y = op(b, "tanh", Op::Activation(Activation::Tanh), &[x]);
            let double = Op::Affine {
                scale: scalar(-2.0),
                shift: scalar(0.0),
            };
            let y = op(b, "double", double, &[y]);
            op(b, "abs", Op::Activation(Activation::Abs), &[y])
        },
        |plan| {
            let double = named(plan, "double");
            assert_eq!(plan.forms.of(double), Form::Small);
            assert_eq!(plan.forms.pure_scale(double), Some(-2.0));
            assert_tied(plan, "double", "tanh", 2.0);
        },
    );
    let shifted = Op::Affine {
        scale: scalar(2.0),
        shift: scalar(1.0),
    };
    let channels = Op::Affine {
        scale: array(&[4], &[1.0, 2.0, 3.0, 4.0]),
        shift: scalar(0.0),
    };
    for (affine, form) in [(shifted, Form::Raw), (channels, Form::Linear)] {
        small(
            |b, x| {
                let y = op(b, "tanh", Op::Activation(Activation::Tanh), &[x]);
                let y = op(b, "affine", affine.clone(), &[y]);
                op(b, "sigmoid", Op::Activation(Activation::Sigmoid), &[y])
            },
            |plan| {
                let v = named(plan, "affine");
                assert_eq!(plan.forms.of(v), form);
                assert_eq!(plan.forms.pure_scale(v), None);
                assert_untied(plan, "affine", "tanh");
            },
        );
    }
}

/// Sums of like terms have their scale, sums of unlike ones a unit of their own.
#[test]
fn sums() {
    let sum = |factor: f32| {
        move |b: &mut GraphBuilder, x: ValueId| {
            let y = op(b, "tanh", Op::Activation(Activation::Tanh), &[x]);
            let z = op(b, "sin", Op::Activation(Activation::Sin), &[x]);
            let z = affine(b, z, factor, 0.0);
            op(b, "sum", Op::Add, &[y, z])
        }
    };
    small(sum(1.5), |plan| {
        assert_eq!(plan.forms.of(named(plan, "sum")), Form::Exact(0));
        assert_tied(plan, "sum", "tanh", 1.0);
        assert_tied(plan, "sum", "sin", 1.5);
    });
    small(sum(100.0), |plan| {
        assert_eq!(plan.forms.of(named(plan, "sum")), Form::Raw);
        assert_untied(plan, "tanh", "sin");
    });
}

/// Integers have the scale 1, and as many bits as it takes.
#[test]
fn integers_have_the_scale_one() {
    let mut b = GraphBuilder::new();
    let x = b.integral_input("x", &[1, 4]).expect("a shape");
    let y = op(&mut b, "view", Op::Reshape { shape: vec![4] }, &[x]);
    let turned = AxisMap::Matrix(AxisMatrix::select(4, &[3, 2, 1, 0]));
    let z = op(&mut b, "turned", Op::Map(vec![turned]), &[y]);
    let clip = Activation::Clip { lo: -3.0, hi: 2.0 };
    let z = op(&mut b, "clip", Op::Activation(clip), &[z]);
    let sum = op(&mut b, "sum", Op::Add, &[y, z]);
    let step = op(&mut b, "step", Op::Activation(Activation::Step), &[sum]);
    let graph = b.finish(vec![("y".into(), step)]).expect("valid");
    let x = array(&[1, 4], &[-9.0, 3.0, 100.0, 7.0]);
    for profile in PROFILES {
        planned(&graph, vec![vec![x.clone()]], profile, |plan| {
            // Room for as many again.
            let intervals = [
                ("x", (-255, 255)),
                ("view", (-255, 255)),
                ("clip", (-3, 2)),
                ("sum", (-258, 257)),
                ("step", (0, 1)),
            ];
            for (name, (lo, hi)) in intervals {
                let v = named(plan, name);
                let known = plan.facts.integers[v].expect("integers");
                assert_eq!((known.lo, known.hi), (lo, hi), "{name}");
                assert_eq!(plan.bits.interval(v), (lo, hi), "{name}");
                assert!(plan.ties.is_whole(v), "{name}");
                assert!((plan.scales.of(v) - 1.0).abs() <= 0.0, "{name}");
            }
        });
    }
}

#[test]
fn quantised_values_have_the_scale_of_the_model() {
    small(
        |b, x| {
            let quantise = Op::Activation(Activation::Quantize {
                scale: 0.03,
                lo: -100,
                hi: 90,
                ties: Halves::Even,
            });
            let y = op(b, "quantised", quantise, &[x]);
            let y = op(b, "view", Op::Reshape { shape: vec![2, 2] }, &[y]);
            op(b, "tanh", Op::Activation(Activation::Tanh), &[y])
        },
        |plan| {
            for name in ["quantised", "view"] {
                let v = named(plan, name);
                assert_eq!(plan.ties.fixed(v), Some(0.03_f32.into()), "{name}");
                assert!((plan.scales.of(v) - f64::from(0.03_f32)).abs() < 1e-15);
                assert_eq!(plan.bits.interval(v), (-100, 90), "{name}");
            }
            assert_eq!(plan.ties.fixed(named(plan, "tanh")), None);
        },
    );
}

/// What holds of every value of every graph: one scale per class but for ratios, room for what was
/// seen, and operators that move integers leave their scale as it is.
#[test]
fn every_plan_is_consistent() {
    for seed in 0..50 {
        let mut random = Random::new(seed);
        let graph = random_graph(&mut random);
        let shape = graph.nodes()[0].shape.clone();
        let samples = (0..3).map(|_| vec![random.array(&shape)]).collect();
        let profile = PROFILES[seed as usize % 2];
        planned(&graph, samples, profile, |plan| {
            for v in 0..plan.facts.len() {
                let node = plan.node(v);
                let name = format!("seed {seed}, value {v}: {:?}", node.op);
                let scale = plan.scales.of(v);
                assert!(policy::USABLE_SCALES.contains(&scale), "{name}: {scale}");
                let (root, ratio) = plan.ties.root(v);
                let of_root = plan.scales.of(root);
                assert!((scale / of_root / ratio - 1.0).abs() < 1e-9, "{name}");
                let (lo, hi) = plan.bits.interval(v);
                assert_eq!(lo >= 0, plan.facts.nonnegative[v], "{name}");
                assert!((1..=policy::MOST_BITS).contains(&plan.bits.of(v)), "{name}");
                let rounded = plan.facts.op(v).is_source() || plan.needs.small(v);
                let held = hi as f64 * scale * (1.0 + 1e-9);
                assert!(!rounded || held >= plan.forms.wanted(v), "{name}");
                let range = plan.facts.ranges[v];
                let bound = node.op.activation().and_then(Activation::bound);
                let most = bound.unwrap_or(f64::INFINITY);
                assert!(
                    plan.forms.wanted(v) >= range.size().min(most) * 0.999,
                    "{name}"
                );
                if node.op.selects() {
                    let operand = node.inputs[0].0;
                    let [own, other] = [v, operand].map(|u| plan.scales.of(u));
                    assert!((own / other - 1.0).abs() < 1e-12, "{name}");
                    assert_eq!(plan.forms.of(v), plan.forms.of(operand), "{name}");
                }
            }
        });
    }
}

/// Of a class the most demanding value decides: the input of a layer has the profile's bits, that
/// of a product has more, and what a function gives out as many as single precision.
#[test]
fn bits_by_use() {
    let build = |function: Activation, product: bool| {
        move |b: &mut GraphBuilder, x: ValueId| {
            let y = op(b, "layer", dense(4, 4), &[x]);
            let y = op(b, "function", Op::Activation(function), &[y]);
            if product {
                let square = Op::Contract(Contract::elementwise(2));
                return op(b, "product", square, &[y, y]);
            }
            let y = op(b, "next", dense(4, 4), &[y]);
            op(b, "end", Op::Activation(function), &[y])
        }
    };
    small(build(Activation::Sigmoid, false), |plan| {
        let numbers = plan.facts.profile.numbers();
        let bits = |name| plan.bits.of(named(plan, name));
        assert_eq!(bits("function"), numbers.bits);
        assert_eq!(bits("end"), policy::SHOWN_BITS);
        let few = numbers.few_cells >= 4;
        assert_eq!(
            bits("x"),
            if few { numbers.fine_bits } else { numbers.bits }
        );
    });
    small(build(Activation::Sigmoid, true), |plan| {
        let numbers = plan.facts.profile.numbers();
        let bits = plan.bits.of(named(plan, "function"));
        assert_eq!(bits, numbers.precise_bits.max(numbers.fine_bits));
    });
}

/// Products of one value with itself are not negative, and what is made of such values by sums and
/// moves is not either.
#[test]
fn signs() {
    let zeros = ArrayD::zeros(IxDyn(&[1, 4]));
    small(
        |b, x| {
            let product = |inputs: &[usize; 2]| Contract {
                left: vec![0, inputs[0]],
                right: vec![0, inputs[1]],
                output: [&[0, 1][..], &[2][..usize::from(inputs[1] != 1)]].concat(),
            };
            let square = op(b, "square", Op::Contract(product(&[1, 1])), &[x, x]);
            let outer = op(b, "outer", Op::Contract(product(&[1, 2])), &[x, x]);
            let outer = op(b, "most", Op::Maximum { axis: 2 }, &[outer]);
            let outer = op(b, "flat", Op::Reshape { shape: vec![1, 4] }, &[outer]);
            let sum = op(b, "sum", Op::Add, &[square, square]);
            let value = zeros.clone() + 0.5;
            let half = op(b, "half", Op::Constant { value }, &[]);
            let above = op(b, "above", Op::Add, &[sum, half]);
            let below = op(b, "below", Op::Sub, &[sum, half]);
            let parts = [above, below, outer];
            op(b, "parts", Op::Concat { axis: 1 }, &parts)
        },
        |plan| {
            let is = |name| plan.facts.nonnegative[named(plan, name)];
            for name in ["square", "sum", "half", "above"] {
                assert!(is(name), "{name}");
            }
            for name in ["x", "outer", "flat", "below", "parts"] {
                assert!(!is(name), "{name}");
            }
        },
    );
}
