//! Random models of integers: what is known of every value holds, and every answer is exact,
//! whatever moves, adds, multiplies and compares them.

use super::common::{PROFILES, add, affine, apply, array, exact, product, scalar};
use crate::float::random::Random;
use crate::float::{Activation, AxisMap, AxisMatrix, Contract, Graph, GraphBuilder, Op, ValueId};
use crate::int;
use crate::quantise::facts::{consumers, outputs};
use crate::quantise::{Calibration, Options, facts::Facts, prepare, quantise};
use ndarray::{ArrayD, IxDyn};

/// Integers from `-most` to `most`.
fn integers(random: &mut Random, shape: &[usize], most: usize) -> ArrayD<f32> {
    let mut cell = || random.below(2 * most + 1) as f32 - most as f32;
    ArrayD::from_shape_simple_fn(IxDyn(shape), &mut cell)
}

/// A permutation of `0..n`.
fn shuffled(random: &mut Random, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, random.below(i + 1));
    }
    order
}

/// `n` as a product of up to three lengths.
fn lengths(random: &mut Random, n: usize) -> Vec<usize> {
    let mut rest = n;
    let mut shape: Vec<usize> = vec![];
    for _ in 0..random.below(3) {
        let divisors: Vec<usize> = (1..=rest).filter(|d| rest.is_multiple_of(*d)).collect();
        let d = divisors[random.below(divisors.len())];
        shape.push(d);
        rest /= d;
    }
    shape.push(rest);
    shape
}

/// An operator that only moves the cells of a tensor of this shape, or takes some.
fn moving(random: &mut Random, shape: &[usize]) -> Op {
    let cells: usize = shape.iter().product();
    match random.below(5) {
        0 | 1 => Op::Reshape {
            shape: lengths(random, cells),
        },
        2 => Op::Transpose {
            perm: shuffled(random, shape.len()),
        },
        3 => {
            let taken = 1 + random.below(cells.min(24));
            Op::Take {
                indices: (0..taken).map(|_| random.below(cells) as u32).collect(),
                shape: lengths(random, taken),
            }
        }
        _ => {
            let axis = |&n: &usize| {
                if random.below(2) == 0 {
                    return AxisMap::Keep;
                }
                let sources: Vec<usize> = (0..=random.below(5)).map(|_| random.below(n)).collect();
                AxisMap::Matrix(AxisMatrix::select(n, &sources))
            };
            Op::Map(shape.iter().map(axis).collect())
        }
    }
}

/// An operator on integers with integer results.
fn computing(random: &mut Random, b: &mut GraphBuilder, x: ValueId, y: ValueId) -> ValueId {
    let shape = b.shape(x).to_vec();
    let rank = shape.len();
    let last = shape.last().copied().unwrap_or(1);
    let whole = |random: &mut Random| random.below(7) as f32 - 3.0;
    match random.below(13) {
        0 => add(b, Op::Add, &[x, y]),
        1 => add(b, Op::Sub, &[x, y]),
        2 => add(b, Op::Max, &[x, y]),
        3 => apply(b, Activation::Relu, x),
        4 => apply(b, Activation::Abs, x),
        5 => apply(b, Activation::Step, x),
        6 => {
            let (lo, hi) = (-(random.below(5) as f32), random.below(9) as f32);
            apply(b, Activation::Clip { lo, hi }, x)
        }
        7 => {
            let divisor = 1 + random.below(6) as u32;
            apply(b, Activation::FloorDiv { divisor }, x)
        }
        8 => {
            let (scale, shift) = (whole(random), whole(random));
            affine(b, x, scale, shift)
        }
        9 => {
            let outputs = 1 + random.below(4);
            let weight = integers(random, &[last, outputs], 2);
            let bias = (random.below(2) == 0).then(|| integers(random, &[outputs], 5));
            add(b, Op::Dense { weight, bias }, &[x])
        }
        10 => {
            let mut axes = vec![AxisMap::Keep; rank];
            axes[rank - 1] = AxisMap::Matrix(AxisMatrix::sum(last, 1));
            add(b, Op::Map(axes), &[x])
        }
        11 => add(b, Op::Maximum { axis: rank - 1 }, &[x]),
        _ => {
            let pads = (0..rank).map(|_| (random.below(2) as i64, random.below(2) as i64));
            let (pads, value) = (pads.collect(), whole(random));
            add(b, Op::Pad { pads, value }, &[x])
        }
    }
}

/// The answers on integers are those of the float graph, which are exact.
fn check_exact(graph: &Graph, samples: &[Vec<ArrayD<f32>>], name: &str) {
    for profile in PROFILES {
        let calibration = Calibration::from_samples(samples.to_vec());
        let model = match quantise(graph, &calibration, &Options::new(profile)) {
            Ok(quantised) => quantised.model,
            Err(error) => panic!("{name}, {profile:?}: {error}\n{graph:#?}"),
        };
        let inputs = model.graph.quantise_inputs(samples).expect("inputs");
        assert_eq!(inputs.saturated, 0, "{name}");
        let trace = int::run(&model, &inputs.cells).expect("runs");
        let found = model.graph.dequantise_outputs(&trace);
        for (sample, found) in samples.iter().zip(found) {
            let values = graph.run(sample).expect("runs");
            for ((output, v), found) in graph.outputs().iter().zip(found) {
                assert_eq!(
                    found, values[v.0],
                    "{name}, {profile:?}, {output}: {graph:#?}"
                );
            }
        }
    }
}

#[test]
fn moved_integers_are_exact() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let shape = [
            1 + random.below(4),
            1 + random.below(4),
            1 + random.below(6),
        ];
        let mut b = GraphBuilder::new();
        let x = b.integral_input("x", &shape).expect("a shape");
        let mut values = vec![x];
        for _ in 0..=random.below(6) {
            let x = values[values.len() - 1];
            let op = moving(&mut random, b.shape(x));
            values.push(add(&mut b, op, &[x]));
        }
        let ends = [values[values.len() / 2], values[values.len() - 1]];
        let named = ends.iter().zip(["middle", "end"]);
        let named = named.map(|(&v, name)| (name.to_owned(), v)).collect();
        let graph = b.finish(named).expect("valid");
        // All cells differ.
        let cells: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|i| i as f32)
            .collect();
        let x = array(&shape, &cells);
        let turned = x.mapv(|x| 3.0 - x);
        check_exact(&graph, &[vec![x], vec![turned]], &format!("seed {seed}"));
    }
}

/// Up to eight operators on two inputs of one shape.
fn random_model(random: &mut Random) -> Graph {
    let mut b = GraphBuilder::new();
    let shape = [1 + random.below(3), 1 + random.below(5)];
    let [x, y] = ["x", "y"].map(|name| b.integral_input(name, &shape).expect("a shape"));
    let mut values = vec![x, y];
    for _ in 0..=random.below(8) {
        let x = values[random.below(values.len())];
        let same = |v: &ValueId| b.shape(*v) == b.shape(x);
        let alike: Vec<ValueId> = values.iter().copied().filter(same).collect();
        let y = alike[random.below(alike.len())];
        values.push(match random.below(4) {
            0 => {
                let op = moving(random, b.shape(x));
                add(&mut b, op, &[x])
            }
            1 if values.len() < 5 => {
                let rank = b.shape(x).len();
                add(&mut b, Op::Contract(Contract::elementwise(rank)), &[x, y])
            }
            _ => computing(random, &mut b, x, y),
        });
    }
    let end = values[values.len() - 1];
    b.finish(vec![("y".into(), end)]).expect("valid")
}

/// Whether single precision has all integers of a run.
fn is_small(graph: &Graph, sample: &[ArrayD<f32>]) -> bool {
    let values = graph.run(sample).expect("runs");
    values.iter().flatten().all(|x| x.abs() < 4_194_304.0)
}

fn samples(random: &mut Random, graph: &Graph) -> Vec<Vec<ArrayD<f32>>> {
    let mut sample = |most: usize| -> Vec<ArrayD<f32>> {
        let shapes = graph.inputs().map(|v| graph.nodes()[v.0].shape.clone());
        shapes.map(|shape| integers(random, &shape, most)).collect()
    };
    vec![sample(9), sample(9), sample(1), sample(0)]
}

#[test]
fn computed_integers_are_exact() {
    let mut checked = 0;
    for seed in 0..60 {
        let mut random = Random::new(1000 + seed);
        let graph = random_model(&mut random);
        let samples = samples(&mut random, &graph);
        if samples.iter().all(|sample| is_small(&graph, sample)) {
            check_exact(&graph, &samples, &format!("seed {seed}"));
            checked += 1;
        }
    }
    assert!(checked > 40, "{checked}");
}

/// Integers lie within their bounds on every input that the model takes, not only on those that
/// calibrated it, and what cannot be negative is not.
#[test]
fn known_integers_hold_on_all_inputs() {
    let mut tight = 0;
    for seed in 0..200 {
        let mut random = Random::new(5000 + seed);
        let graph = random_model(&mut random);
        let calibration = Calibration::from_samples(samples(&mut random, &graph));
        let profile = PROFILES[seed as usize % 2];
        let prepared = prepare::prepared(&graph, &calibration, profile);
        let prepared = prepared.expect("integers are finite");
        let facts = Facts::new(&prepared, profile).expect("facts");
        let graph = &prepared.graph;
        // Beyond the calibrated ones.
        for most in [9, 15] {
            // Of those that the model takes.
            let input = |v: ValueId| {
                let allowed = facts.integers[v.0].expect("an input of integers");
                let cells = integers(&mut random, &graph.nodes()[v.0].shape, most);
                cells.mapv(|x| x.clamp(allowed.lo as f32, allowed.hi as f32))
            };
            let sample: Vec<_> = graph.inputs().map(input).collect();
            if !is_small(graph, &sample) {
                continue;
            }
            let values = graph.run(&sample).expect("runs");
            for (v, value) in values.iter().enumerate() {
                let name = || format!("seed {seed}, value {v}: {:?}", graph.nodes()[v]);
                let known = facts.integers[v].unwrap_or_else(|| panic!("{}", name()));
                for &x in value {
                    assert_eq!(x.fract().to_bits() << 1, 0, "{}", name());
                    assert!(known.contains(x as i64), "{x} in {known}: {}", name());
                    tight += u64::from(x as i64 == known.lo || x as i64 == known.hi);
                }
                assert_eq!(facts.nonnegative[v], known.lo >= 0, "{}", name());
            }
        }
        assert!(facts.integers.iter().flatten().all(|x| x.lo <= x.hi));
    }
    // Some bounds are reached.
    assert!(tight > 500, "{tight}");
}

#[test]
fn readers_and_outputs() {
    for seed in 0..50 {
        let mut random = Random::new(7000 + seed);
        let graph = random_model(&mut random);
        let (readers, shown) = (consumers(&graph), outputs(&graph));
        for (v, (readers, &shown)) in readers.iter().zip(&shown).enumerate() {
            let reads = |c: usize| {
                let inputs = graph.nodes()[c].inputs.iter();
                std::iter::repeat_n(c, inputs.filter(|u| u.0 == v).count())
            };
            let expected: Vec<usize> = (0..graph.nodes().len()).flat_map(reads).collect();
            assert_eq!(*readers, expected, "seed {seed}");
            let named = graph.outputs().iter().any(|(_, u)| u.0 == v);
            assert_eq!(shown, named, "seed {seed}");
        }
    }
}

/// Factors of squares of integers have no roots among them, added up or not.
#[test]
fn weighed_squares_of_integers() {
    let x = [1.0, -2.0, 3.0, 1.0];
    let weighed = |b: &mut GraphBuilder, x: ValueId| {
        let square = product(b, x, x);
        let scale = array(&[4], &[0.0, 2.0, 3.0, 1.0]);
        let shift = scalar(0.0);
        add(b, Op::Affine { scale, shift }, &[square])
    };
    exact("cells", true, (&x, &[0.0, 8.0, 27.0, 1.0]), weighed);
    exact("sum", true, (&x, &[36.0]), |b, x| {
        let cells = weighed(b, x);
        let matrix = AxisMatrix {
            input: 4,
            output: 1,
            entries: (0..4).map(|i| (0, i, 1)).collect(),
            divisor: 1,
        };
        add(b, Op::Map(vec![AxisMap::Matrix(matrix)]), &[cells])
    });
}
