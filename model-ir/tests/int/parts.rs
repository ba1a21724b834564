//! Intervals, tables, windows and cells by their definitions.

use zkstrata_model_ir::int::{
    Affine, BiasId, Entry, Function, Interval, Ints, MapAxis, Table, Tap, WeightId,
};

fn interval(lo: i64, hi: i64) -> Interval {
    Interval { lo, hi }
}

#[test]
fn intervals() {
    let small = || (-3..4).flat_map(|lo| (lo..4).map(move |hi| interval(lo, hi)));
    for a in small() {
        let elements: Vec<i64> = (-9..9).filter(|&x| a.contains(x)).collect();
        assert!(elements.iter().copied().eq(a.lo..=a.hi), "{a}");
        let most = elements.iter().map(|x| x.unsigned_abs()).max();
        assert_eq!(Some(a.max_abs()), most, "{a}");
        for b in small() {
            assert_eq!(a.covers(b), (b.lo..=b.hi).all(|x| a.contains(x)), "{a} {b}");
            let hull = a.hull(b);
            assert!(hull.covers(a) && hull.covers(b), "{a} {b}");
            let ends = [hull.lo, hull.hi];
            assert!(
                ends.iter().all(|&x| a.contains(x) || b.contains(x)),
                "{a} {b}"
            );
            assert_eq!(a.with(b.lo).with(b.hi), hull, "{a} {b}");
        }
    }
    let limit = Interval::LIMIT;
    let bounded = [(0, 0), (1 - limit, limit - 1), (limit - 1, limit - 1)];
    assert!(
        bounded
            .iter()
            .all(|&(lo, hi)| interval(lo, hi).is_bounded())
    );
    let unbounded = [(1, 0), (-limit, 0), (0, limit), (i64::MIN, i64::MAX)];
    assert!(
        !unbounded
            .iter()
            .any(|&(lo, hi)| interval(lo, hi).is_bounded())
    );
    assert_eq!(interval(i64::MIN, 3).max_abs(), 1 << 63);
    assert_eq!(interval(-2, 7).to_string(), "[-2, 7]");
}

/// Domain, image and kind of a table are those of its values.
#[test]
fn tables() {
    let clamp = |lo, hi| Function::Clamp { lo, hi };
    let values = |values: &[i32]| Function::Values(values.to_vec());
    // Function, first argument, rows; whether it is a rectifier, a step; its limb.
    let table = [
        (Function::Range, 0, 8, false, false, Some(3)),
        (Function::Range, 0, 1, false, false, Some(0)),
        (Function::Range, 0, 7, false, false, None),
        (Function::Range, 1, 8, false, false, None),
        (clamp(0, 20), -30, 61, true, false, None),
        (clamp(0, 0), -3, 7, true, false, None),
        (clamp(-1, 20), -30, 61, false, false, None),
        (clamp(1, 20), -30, 61, false, false, None),
        (clamp(-5, 5), -9, 4, false, false, None),
        (clamp(-5, 5), 7, 4, false, false, None),
        (values(&[0, 0, 1, 1]), -2, 4, false, true, None),
        (values(&[0, 1, 1, 1]), -2, 4, false, false, None),
        (values(&[1, 1]), 0, 2, false, true, None),
        (values(&[0, 0]), -2, 2, false, true, None),
        (
            values(&[5, -7, i32::MAX, i32::MIN]),
            100,
            4,
            false,
            false,
            None,
        ),
    ];
    for (function, start, len, relu, step, limb) in table {
        let table = Table {
            function,
            start,
            len,
        };
        let domain = table.domain();
        assert_eq!(domain, interval(start, start + len as i64 - 1));
        let rows: Vec<i64> = (domain.lo..=domain.hi)
            .map(|x| table.get(x).expect("inside"))
            .collect();
        let image = rows
            .iter()
            .skip(1)
            .fold(interval(rows[0], rows[0]), |a, &y| a.with(y));
        assert_eq!(table.image(), image, "{table:?}");
        for outside in [domain.lo - 1, domain.hi + 1, i64::MIN, i64::MAX] {
            assert_eq!(table.get(outside), None, "{table:?}");
        }
        assert_eq!(table.is_relu(), relu, "{table:?}");
        assert_eq!(table.is_step(), step, "{table:?}");
        assert_eq!(table.limb_bits(), limb, "{table:?}");
        for (x, &y) in (domain.lo..).zip(&rows) {
            let expected = match &table.function {
                Function::Range => 0,
                Function::Clamp { lo, hi } => x.max(*lo).min(*hi),
                Function::Values(values) => values[(x - start) as usize].into(),
            };
            assert_eq!(y, expected, "{table:?} at {x}");
        }
    }
}

/// A window reads outside if some tap of some output does.
#[test]
fn windows() {
    let mut outside = 0;
    for (input, output) in (1..5).flat_map(|n| (1..5).map(move |m| (n, m))) {
        for (stride, first) in (-2..3).flat_map(|s| (-3..4).map(move |o| (s, o))) {
            for last in -1..3 {
                let taps = [first, last].map(|offset| Tap { offset, weight: 1 });
                let axis = MapAxis::Window {
                    input,
                    output,
                    stride,
                    taps: taps.to_vec(),
                    coefs: vec![],
                };
                let read = |i: usize| taps.iter().map(move |tap| stride * i as i64 + tap.offset);
                let mut reads = (0..output).flat_map(read);
                let expected = reads.any(|x| !(0..input as i64).contains(&x));
                assert_eq!(axis.reads_outside(), expected, "{axis:?}");
                assert_eq!(
                    (axis.input(), axis.output(), axis.taps()),
                    (input, output, 2)
                );
                outside += usize::from(expected);
            }
        }
    }
    assert!(outside > 100);
    let entries = vec![Entry {
        to: 1,
        from: 2,
        weight: 5,
    }];
    let matrix = MapAxis::Matrix {
        input: 3,
        output: 2,
        entries,
    };
    let axes = [(MapAxis::Keep(7), 7, 7), (matrix, 3, 2)];
    for (axis, input, output) in axes {
        let lengths = (axis.input(), axis.output(), axis.taps());
        assert_eq!(lengths, (input, output, 1));
        assert!(!axis.reads_outside());
    }
}

#[test]
fn views_of_layers() {
    let tap = |offset| Tap { offset, weight: 1 };
    let window = MapAxis::Window {
        input: 9,
        output: 4,
        stride: 2,
        taps: (0..3).map(tap).collect(),
        coefs: vec![],
    };
    let affine = Affine {
        lead: vec![2, 3],
        groups: vec![4],
        outputs: vec![5, 2],
        inputs: vec![6],
        windows: vec![MapAxis::Keep(7), window],
        weight: WeightId(0),
        bias: Some(BiasId(0)),
    };
    assert_eq!(affine.input_axes(), [2, 3, 4, 6, 7, 9]);
    assert_eq!(affine.output_axes(), [2, 3, 4, 5, 2, 7, 4]);
    assert_eq!(affine.rows(), 40);
    let shape = affine.weight_shape();
    assert_eq!(shape.taps, [1, 3]);
    assert_eq!(shape.len(), 4 * 10 * 6 * 3);
    assert!(!shape.is_empty());
}

/// The smallest type that holds an interval.
#[test]
fn cells() {
    let (short, long) = (i64::from(i16::MAX), i64::from(i32::MAX));
    let table = [
        (0, 0, 2),
        (-short - 1, short, 2),
        (0, short + 1, 4),
        (-short - 2, 0, 4),
        (-long - 1, long, 4),
        (0, long + 1, 8),
        (-long - 2, 0, 8),
        (i64::MIN, i64::MAX, 8),
    ];
    for (lo, hi, bytes) in table {
        let zeros = Ints::zeros(interval(lo, hi), 3);
        let size = match &zeros {
            Ints::I16(_) => 2,
            Ints::I32(_) => 4,
            Ints::I64(_) => 8,
        };
        assert_eq!(size, bytes, "{lo} to {hi}");
        assert_eq!(zeros.to_vec(), [0; 3]);
        assert!(!zeros.is_empty() && Ints::zeros(interval(lo, hi), 0).is_empty());
    }
    let cells = [
        Ints::I16(vec![-7, 8]),
        Ints::I32(vec![-7, 8]),
        Ints::I64(vec![-7, 8]),
    ];
    for ints in cells {
        assert_eq!((ints.len(), ints.get(0), ints.get(1)), (2, -7, 8));
    }
}
