//! Inputs: real numbers to integers and back, every refusal, and what calibration sees.

use super::common::{array, scalar};
use crate::float::{Activation, GraphBuilder, Op};
use crate::int::{self, Graph, Interval, Ints, PortKind, RunError};
use crate::quantise::calibration::{Range, Usual, range};
use crate::quantise::*;
use ndarray::{ArrayD, IxDyn};

/// A real input `x` of shape `[1, 3]` in steps of 1/4 from -8 to 7 and one `n` of integers from 0 to
/// 300, both of which are outputs.
fn ports() -> Graph {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, 3]).expect("a shape");
    let n = b.integral_input("n", &[2]).expect("a shape");
    let [y, m] = [x, n].map(|v| {
        let relu = Op::Activation(Activation::Relu);
        b.add("relu", relu, &[v]).expect("shapes agree")
    });
    let graph = b.finish(vec![("y".into(), y), ("m".into(), m)]);
    let graph = graph.expect("valid");
    let calibration = Calibration::synthetic(&graph, 3);
    let options = Options::default();
    let mut graph = quantise(&graph, &calibration, &options)
        .expect("quantises")
        .model
        .graph;
    let bounds = [
        (-8, 7, 0.25, PortKind::Real),
        (0, 300, 1.0, PortKind::Integer),
    ];
    for (k, (lo, hi, scale, kind)) in bounds.into_iter().enumerate() {
        let port = &mut graph.inputs[k];
        assert_eq!(port.kind, kind);
        port.scale = scale;
        graph.nodes[port.tensor.0].interval = Interval { lo, hi };
    }
    graph
}

fn inference(x: &[f32], n: &[f32]) -> Vec<ArrayD<f32>> {
    vec![array(&[1, x.len()], x), array(&[n.len()], n)]
}

#[test]
fn reals_are_rounded_to_the_even_integer_and_clamped() {
    let graph = ports();
    let batch = [
        inference(&[0.125, 0.375, -0.125], &[0.0, 300.0]),
        inference(&[1.0, -0.37, 1.74], &[7.0, -0.0]),
        inference(&[1.875, 1.88, -2.2], &[1.0, 2.0]),
        inference(&[1e30, f32::MAX, -1e30], &[1.0, 2.0]),
    ];
    let inputs = graph.quantise_inputs(&batch).expect("they fit");
    let expected = [0, 2, 0, 4, -1, 7, 7, 7, -8, 7, 7, -8];
    assert_eq!(inputs.cells[0].to_vec(), expected);
    assert_eq!(inputs.cells[1].to_vec(), [0, 300, 7, 0, 1, 2, 1, 2]);
    // 7.5 and 7.52 are rounded to 8, -8.8 to -9; and the three far ones.
    assert_eq!(inputs.saturated, 6);
    assert!(inputs.cells.iter().all(|x| matches!(x, Ints::I16(_))));
}

#[test]
fn refused_reals() {
    let graph = ports();
    let good = inference(&[0.0; 3], &[1.0; 2]);
    let refuse = |second: Vec<ArrayD<f32>>| {
        let batch = [good.clone(), second];
        graph.quantise_inputs(&batch).expect_err("refused")
    };
    assert_eq!(
        refuse(good[..1].to_vec()),
        InputError::Count {
            inference: 1,
            got: 1,
            expected: 2
        }
    );
    assert_eq!(
        refuse(vec![array(&[3], &[0.0; 3]), good[1].clone()]),
        InputError::Shape {
            inference: 1,
            input: "x".into(),
            got: vec![3],
            expected: vec![1, 3],
        }
    );
    let values = [
        (f32::NAN, "NaN"),
        (f32::INFINITY, "inf"),
        (f32::NEG_INFINITY, "-inf"),
    ];
    for (bad, value) in values {
        let expected = |input: &str, cell| InputError::NotFinite {
            inference: 1,
            input: input.into(),
            cell,
            value: value.into(),
        };
        let real = refuse(inference(&[0.0, 1.0, bad], &[1.0; 2]));
        assert_eq!(real, expected("x", 2));
        let integer = refuse(inference(&[0.0; 3], &[1.0, bad]));
        assert_eq!(integer, expected("n", 1));
    }
    let fraction = refuse(inference(&[0.0; 3], &[1.5, 0.0]));
    let (input, value) = ("n".to_owned(), "1.5".to_owned());
    let expected = InputError::NotInteger {
        inference: 1,
        input,
        cell: 0,
        value,
    };
    assert_eq!(fraction, expected);
    for outside in [301.0, -1.0, 3e9, -1e30] {
        let error = refuse(inference(&[0.0; 3], &[0.0, outside]));
        let expected = InputError::OutOfRange {
            inference: 1,
            input: "n".into(),
            cell: 1,
            value: outside.to_string(),
            lo: 0,
            hi: 300,
        };
        assert_eq!(error, expected);
    }
    let empty = graph.quantise_inputs(&[]).expect_err("no inference");
    assert_eq!(empty, InputError::EmptyBatch);
}

#[test]
fn integers_as_they_are() {
    let graph = ports();
    let (x, n) = (vec![-8, 7, 0, 1, 2, 3], vec![0, 300, 1, 2]);
    let inputs = Inputs::new(&graph, &[x.clone(), n.clone()]).expect("two inferences");
    assert_eq!(inputs.saturated, 0);
    let cells: Vec<Vec<i64>> = inputs.cells.iter().map(Ints::to_vec).collect();
    assert_eq!(cells, [x.clone(), n.clone()]);
    let refuse = |cells: &[Vec<i64>]| Inputs::new(&graph, cells).expect_err("refused");
    let count = |got| RunError::InputCount { got, expected: 2 };
    assert_eq!(refuse(std::slice::from_ref(&x)), count(1));
    assert_eq!(refuse(&[x.clone(), n.clone(), n.clone()]), count(3));
    for got in [0, 4] {
        let expected = RunError::InputLength {
            input: "x".into(),
            got,
            cells: 3,
        };
        assert_eq!(refuse(&[vec![0; got], n.clone()]), expected);
    }
    let batch = RunError::BatchSize {
        input: "n".into(),
        got: 1,
        expected: 2,
    };
    assert_eq!(refuse(&[x.clone(), vec![0; 2]]), batch);
    for (index, value) in [(0, -1), (3, 301), (2, i64::MIN), (1, i64::MAX)] {
        let mut cells = n.clone();
        cells[index] = value;
        let expected = RunError::InputCell {
            input: "n".into(),
            index,
            value,
            interval: Interval { lo: 0, hi: 300 },
        };
        assert_eq!(refuse(&[x.clone(), cells]), expected);
    }
}

/// Cells of every width go there and back.
#[test]
fn outputs_are_multiples_of_their_scale() {
    let graph = ports();
    let trace = |cells: Vec<Ints>| int::Trace {
        batch: 2,
        remainders: vec![vec![]; cells.len()],
        tensors: cells,
    };
    let tensor = |node: &int::Node| {
        let cells = (0..2 * node.cells()).map(|i| i as i64 * 3 - 5);
        let mut ints = Ints::zeros(node.interval, 2 * node.cells());
        match &mut ints {
            Ints::I16(v) => v.iter_mut().zip(cells).for_each(|(v, x)| *v = x as i16),
            Ints::I32(v) => v.iter_mut().zip(cells).for_each(|(v, x)| *v = x as i32),
            Ints::I64(v) => v.iter_mut().zip(cells).for_each(|(v, x)| *v = x),
        }
        ints
    };
    let trace = trace(graph.nodes.iter().map(tensor).collect());
    let outputs = graph.dequantise_outputs(&trace);
    assert_eq!(outputs.len(), 2);
    for (inference, outputs) in outputs.iter().enumerate() {
        for (port, output) in graph.outputs.iter().zip(outputs) {
            assert_eq!(output.shape(), port.shape);
            for (i, &y) in output.iter().enumerate() {
                let integer = (inference * output.len() + i) as f64 * 3.0 - 5.0;
                let expected = integer * port.scale;
                assert!((f64::from(y) - expected).abs() <= 1e-6 * expected.abs());
            }
        }
    }
}

#[test]
fn what_is_seen_of_cells() {
    let cells = [0.0, -3.0, 4.0, 0.0, 1.0_f32];
    let seen = range(cells.iter()).expect("finite");
    assert_eq!(seen, Range { lo: -3.0, hi: 4.0 });
    assert_eq!(seen.size().to_bits(), 4.0_f64.to_bits());
    let below = Range { lo: -9.0, hi: -2.0 };
    assert_eq!(below.size().to_bits(), 9.0_f64.to_bits());
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(range([1.0, bad].iter()), None);
    }
    // Zeros count for the mean square, and not for the mean magnitude.
    let usual = Usual::of(cells.iter());
    assert!((usual.magnitude() - 8.0 / 3.0).abs() < 1e-12);
    assert!((usual.rms() - (26.0_f64 / 5.0).sqrt()).abs() < 1e-12);
    let nothing = Usual::of([0.0_f32; 3].iter());
    assert!(nothing.magnitude().abs() + nothing.rms().abs() <= 0.0);
    let none = Usual::of([0.0_f32; 0].iter());
    assert!(none.magnitude().abs() + none.rms().abs() <= 0.0);
}

/// The hull over all samples, and the node that is not finite on one of them.
#[test]
fn ranges_of_samples() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[2]).expect("a shape");
    let log = Op::Activation(Activation::Log);
    let y = b.add("log", log, &[x]).expect("shapes agree");
    let graph = b.finish(vec![("y".into(), y)]).expect("valid");
    let samples = |cells: &[[f32; 2]]| {
        let samples = cells.iter().map(|x| vec![array(&[2], x)]);
        Calibration::from_samples(samples.collect())
    };
    let calibration = samples(&[[1.0, 2.0], [0.5, 0.75], [8.0, 1.0]]);
    let seen = calibration
        .ranges(&graph, &[Some(0), None])
        .expect("finite");
    assert_eq!(seen.values[0], Range { lo: 0.5, hi: 8.0 });
    let ends = [seen.values[1].lo.exp(), seen.values[1].hi.exp()];
    assert!((ends[0] - 0.5).abs() < 1e-6 && (ends[1] - 8.0).abs() < 1e-5);
    let channels = seen.channels[0].as_ref().expect("an axis");
    assert_eq!(channels[0], Range { lo: 0.5, hi: 8.0 });
    assert_eq!(channels[1], Range { lo: 0.75, hi: 2.0 });
    assert!(seen.channels[1].is_none());
    let error = |calibration: &Calibration| {
        let seen = calibration.ranges(&graph, &[None, None]);
        seen.err().expect("refused")
    };
    for zero in [0.0, -1.0] {
        let refused = error(&samples(&[[1.0, 2.0], [1.0, zero]]));
        assert!(matches!(refused, Error::NotFinite { node } if node == "log"));
    }
    let refused = error(&samples(&[[f32::NAN, 1.0]]));
    assert!(matches!(refused, Error::NotFinite { node } if node == "x"));
    assert_eq!(error(&calibration.truncated(0)), Error::NoSamples);
}

/// Samples that are made up are the same for a seed, integers where the model takes them, and
/// indices where it indexes.
#[test]
fn synthetic_samples() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[50]).expect("a shape");
    let n = b.integral_input("n", &[50]).expect("a shape");
    let i = b.integral_input("i", &[50]).expect("a shape");
    let index = Op::Activation(Activation::Index { length: 10 });
    let i = b.add("index", index, &[i]).expect("shapes agree");
    let outputs = [x, n, i].map(|v| ("y".to_owned(), v));
    let graph = b.finish(outputs.to_vec()).expect("valid");
    let calibration = Calibration::synthetic(&graph, 1);
    assert!(calibration.is_synthetic());
    assert_eq!(calibration.samples().len(), policy::SYNTHETIC_SAMPLES);
    let again = Calibration::synthetic(&graph, 1);
    assert_eq!(calibration.samples(), again.samples());
    let other = Calibration::synthetic(&graph, 2);
    assert_ne!(calibration.samples(), other.samples());
    let all = |k: usize| {
        let samples = calibration.samples().iter();
        samples.flat_map(move |sample| sample[k].iter().copied())
    };
    let n = all(0).count() as f32;
    let mean = all(0).sum::<f32>() / n;
    let square = all(0).map(|x| x * x).sum::<f32>() / n;
    assert!(
        mean.abs() < 0.1 && (square - 1.0).abs() < 0.15,
        "{mean} {square}"
    );
    assert!(all(1).all(|x| x >= 0.0 && x.fract() == 0.0));
    assert!(all(2).all(|x| (0.0..10.0).contains(&x) && x.fract() == 0.0));
    let seen: std::collections::BTreeSet<i32> = all(2).map(|x| x as i32).collect();
    assert_eq!(seen.len(), 10);
}

#[test]
fn stacked_samples() {
    let mut b = GraphBuilder::new();
    let x = b.input("x", &[1, 2, 3]).expect("a shape");
    let y = b.input("y", &[]).expect("a shape");
    let graph = b
        .finish(vec![("x".into(), x), ("y".into(), y)])
        .expect("valid");
    let cells: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let y = array(&[4], &[5.0, 6.0, 7.0, 8.0]);
    for shape in [&[4, 6][..], &[4, 2, 3], &[4, 1, 2, 3], &[4, 3, 2]] {
        let samples = unstack(&graph, &[array(shape, &cells), y.clone()]).expect("they fit");
        assert_eq!(samples.len(), 4);
        for (i, sample) in samples.iter().enumerate() {
            assert_eq!(sample[0], array(&[1, 2, 3], &cells[6 * i..6 * i + 6]));
            assert_eq!(sample[1], scalar(5.0 + i as f32));
        }
    }
    let x = array(&[4, 6], &cells);
    let bad = [
        vec![x.clone()],
        vec![x.clone(), y.clone(), y.clone()],
        vec![array(&[6, 4], &cells), y.clone()],
        vec![x.clone(), array(&[3], &[0.0; 3])],
        vec![x, ArrayD::zeros(IxDyn(&[4, 2]))],
        vec![scalar(0.0), y],
    ];
    for inputs in bad {
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|x| x.shape().to_vec()).collect();
        let expected = Error::Samples {
            got: shapes,
            expected: vec![vec![1, 2, 3], vec![]],
        };
        assert_eq!(unstack(&graph, &inputs), Err(expected));
    }
}
