//! Table nodes and tables that are refused.

use super::errors::{graph_error, node_fault};
use super::models::{TABLE, small};
use zkstrata_model_ir::int::{
    Function, GraphError, Interval, ModelError, NodeFault, Op, TableFault, TableId, TensorId,
};

fn table(table: usize, shift: u32, ranges: &[usize]) -> Op {
    Op::Table {
        table: TableId(table),
        shift,
        ranges: ranges.iter().copied().map(TableId).collect(),
        offset: 0,
    }
}

#[test]
fn table_nodes() {
    use NodeFault as F;
    let fault = |op| node_fault(TABLE, |g| g.nodes[TABLE].op = op);
    assert_eq!(fault(table(3, 1, &[1])), F::NoTable(3));
    assert_eq!(fault(table(0, 1, &[3])), F::NoTable(3));
    assert_eq!(fault(table(0, 2, &[1, usize::MAX])), F::NoTable(usize::MAX));
    assert_eq!(fault(table(0, 49, &[1])), F::Shift(49));
    assert_eq!(fault(table(0, u32::MAX, &[1])), F::Shift(u32::MAX));
    let wrong: [(u32, &[usize]); 8] = [
        (0, &[1]),
        (1, &[]),
        (2, &[1]),
        (1, &[0]),
        (1, &[2]),
        (1, &[1, 1]),
        (4, &[1, 1, 1]),
        (5, &[1; 5]),
    ];
    for (shift, ranges) in wrong {
        assert_eq!(fault(table(0, shift, ranges)), F::Range);
    }
    // A range of one row has no bits; others do not start at 0 or are no power of two.
    for (start, len) in [(0, 1), (1, 2), (-1, 2), (0, 3)] {
        let fault = node_fault(TABLE, |g| {
            (g.tables[1].start, g.tables[1].len) = (start, len);
            g.nodes[TABLE].op = table(0, 2, &[1, 1]);
        });
        assert_eq!(fault, F::Range);
    }
    let offset = |shift, ranges: &[usize], offset: i64| {
        let ranges = ranges.iter().copied().map(TableId).collect();
        let table = TableId(0);
        fault(Op::Table {
            table,
            shift,
            ranges,
            offset,
        })
    };
    for by in [1 << 62, -(1 << 62), i64::MIN, i64::MAX] {
        assert_eq!(offset(1, &[1], by), F::Offset(by));
        assert_eq!(offset(0, &[], by), F::Offset(by));
    }
    // |x| <= 100, and 2^S (max|domain| + 1) = 2^62 + 2.
    let edge = |by: i64| {
        let mut graph = small().graph;
        (graph.tables[0].start, graph.tables[0].len) = ((1 << 61) - 1, 2);
        graph.nodes[TABLE].op = Op::Table {
            table: TableId(0),
            shift: 1,
            ranges: vec![TableId(1)],
            offset: by,
        };
        graph.validate()
    };
    let most = (1 << 62) - 103;
    for sign in [1, -1] {
        edge(sign * most).expect("2^63 - 1 does not wrap");
        let error = edge(sign * (most + 1)).expect_err("2^63 does");
        assert!(error.to_string().contains("not below 2^63"), "{error}");
    }
    // Three limbs of 20, 20 and 8 bits.
    let wide = |rows| {
        let mut graph = small().graph;
        graph.tables[0].len = rows;
        graph.tables[1].len = 1 << 20;
        graph.tables[2].function = Function::Range;
        graph.tables[2].len = 1 << 8;
        graph.nodes[TABLE].op = table(0, 48, &[1, 1, 2]);
        graph.validate()
    };
    wide(61).expect("a valid shift of 48");
    let error = wide(1 << 18).expect_err("2^66 wraps");
    assert!(error.to_string().contains("not below 2^63"), "{error}");
    let wraps = node_fault(TABLE, |g| {
        g.tables[0].start = (1 << 62) - 2;
        g.tables[0].len = 2;
    });
    assert_eq!(wraps, F::Wraps);
    let image = node_fault(TABLE, |g| g.nodes[TABLE].interval.hi = 19);
    assert!(matches!(image, F::Image { image, interval } if image.hi == 20 && interval.hi == 19));
}

#[test]
fn a_table_with_an_offset_is_no_rectifier() {
    // x - relu(x) = 0 for x in 0 .. 7, and x - relu(x + 3) = -3.
    let sum = |offset, lo| {
        let mut graph = small().graph;
        for t in [0, 1] {
            graph.nodes[t].interval = Interval { lo: 0, hi: 7 };
        }
        graph.nodes.truncate(2);
        let mut node = |op, inputs: &[usize], (lo, hi)| {
            let mut node = graph.nodes[1].clone();
            node.op = op;
            node.inputs = inputs.iter().copied().map(TensorId).collect();
            node.interval = Interval { lo, hi };
            graph.nodes.push(node);
        };
        let relu = Op::Table {
            table: TableId(0),
            shift: 0,
            ranges: vec![],
            offset,
        };
        node(relu, &[1], (0, 20));
        node(Op::Sum { coefs: vec![1, -1] }, &[1, 2], (lo, 7));
        (graph.weights, graph.biases) = (0, vec![]);
        graph.outputs[0].tensor = TensorId(3);
        graph.outputs[0].shape = vec![6];
        graph.validate_intervals()
    };
    sum(0, 0).expect("the terms cancel");
    let error = sum(3, 0).expect_err("they do not");
    assert!(matches!(error, ModelError::Interval { .. }), "{error}");
    sum(3, -20).expect("the sum of the intervals");
}

#[test]
fn tables() {
    use TableFault as F;
    let fault = |change: &dyn Fn(&mut zkstrata_model_ir::int::Table)| match graph_error(|g| {
        change(&mut g.tables[2]);
    }) {
        GraphError::Table { index: 2, fault } => fault,
        other => panic!("{other}"),
    };
    for len in [0, (1 << 20) + 1, usize::MAX] {
        assert_eq!(fault(&|t| t.len = len), F::Length(len));
    }
    let values = F::Values {
        got: 3,
        expected: 4,
    };
    assert_eq!(fault(&|t| t.len = 4), values);
    for start in [1 << 62, (1 << 62) - 2, i64::MAX, i64::MIN] {
        assert_eq!(fault(&|t| t.start = start), F::Bounds);
    }
    for (lo, hi) in [(1, 0), (i64::MIN, 0)] {
        let clamp = Function::Clamp { lo, hi };
        assert_eq!(fault(&|t| t.function = clamp.clone()), F::Bounds);
    }
}
