//! Keys that are made to cost a reader time or memory: few bytes that name much work. They are
//! refused, or read, in work that is linear in their bytes; `--nocapture` prints what each took, and
//! `ZKSTRATA_HOSTILE_KEYS=DIR` leaves them in a folder, for measurements of a whole process.

use crate::constants::Constants;
use crate::key::file_of;
use crate::{FileError, SetupOptions, VerifyingKey, setup_scheme};
use crate::{Visibilities, Visibility};
use zkstrata_model_ir::int::{
    Affine, Contract, Function, Graph, Interval, Map, MapAxis, Node, Op, Port, PortKind, Table,
    TableId, Tap, TensorId, WeightId,
};
use zkstrata_pcs::joint::Commitment;
use zkstrata_pcs::joint::Joint;

const ZERO: Interval = Interval { lo: 0, hi: 0 };
const BIT: Interval = Interval { lo: 0, hi: 1 };

fn node(op: Op, inputs: impl IntoIterator<Item = usize>, axes: &[usize], i: Interval) -> Node {
    Node {
        name: String::new(),
        op,
        inputs: inputs.into_iter().map(TensorId).collect(),
        axes: axes.to_vec(),
        interval: i,
    }
}

fn port(tensor: usize, shape: &[usize]) -> Port {
    Port {
        name: String::new(),
        tensor: TensorId(tensor),
        shape: shape.to_vec(),
        scale: 1.0,
        kind: PortKind::Real,
        features: None,
    }
}

fn table(table: usize) -> Op {
    Op::Table {
        table: TableId(table),
        shift: 0,
        ranges: vec![],
        offset: 0,
    }
}

fn sum(coefs: Vec<i64>) -> Op {
    Op::Sum { coefs }
}

/// A graph of one input and these further nodes, the last one the output.
fn graph(input: &[usize], nodes: Vec<Node>, tables: Vec<Table>) -> Graph {
    let mut all = vec![node(Op::Input, [], input, ZERO)];
    all.extend(nodes);
    let last = all.len() - 1;
    let shape = all[last].axes.clone();
    Graph {
        nodes: all,
        tables,
        biases: vec![],
        weights: 0,
        inputs: vec![port(0, input)],
        outputs: vec![port(last, &shape)],
    }
}

fn read(what: &str, graph: Graph, constants: Option<&VerifyingKey<Joint>>) -> Option<FileError> {
    let constants = constants.map_or(Constants::None, |key| key.constants.clone());
    // With the inputs hidden nothing is accepted that is refused without.
    let mut guarded = graph.clone();
    let inputs = 0..guarded.inputs.len();
    if inputs.clone().all(|port| guarded.add_guard(port).is_ok()) {
        let options = SetupOptions {
            inputs: Visibilities::all(Visibility::Private),
            ..SetupOptions::default()
        };
        let hidden = judge(
            &format!("hidden {what}"),
            guarded,
            constants.clone(),
            &options,
        );
        let shown = judge(what, graph, constants, &SetupOptions::default());
        assert!(hidden.is_some() || shown.is_none(), "{what}: {shown:?}");
        return shown;
    }
    judge(what, graph, constants, &SetupOptions::default())
}

fn judge(
    what: &str,
    graph: Graph,
    constants: Constants<Commitment>,
    options: &SetupOptions,
) -> Option<FileError> {
    let bytes = file_of::<Joint>(graph, constants, options, 1);
    if let Ok(folder) = std::env::var("ZKSTRATA_HOSTILE_KEYS") {
        let name = format!("{} {}.zkvk", what, bytes.len()).replace(' ', "-");
        let path = std::path::Path::new(&folder).join(name);
        std::fs::write(path, &bytes).expect("a folder to write to");
    }
    let start = std::time::Instant::now();
    let error = VerifyingKey::<Joint>::from_bytes(&bytes).err();
    let took = start.elapsed();
    eprintln!("{what}: {} bytes, {took:?}, {error:?}", bytes.len());
    error
}

/// A key with committed weights, for its commitment.
fn committed() -> VerifyingKey<Joint> {
    let model = super::suite::linear_only();
    let keys = setup_scheme::<Joint>(model, &SetupOptions::default());
    keys.expect("sets up").1
}

fn bits() -> Table {
    Table {
        function: Function::Clamp { lo: 0, hi: 1 },
        start: -2,
        len: 5,
    }
}

#[test]
fn wide_sums_are_bounded_by_their_operands() {
    for (operands, sums) in [(2000, 1), (16_000, 3), (40_000, 1)] {
        let mut nodes = vec![node(table(0), [0], &[], BIT); operands];
        let hi = operands as i64;
        // A declared interval that only cancellation could show, and that is not looked for so long.
        let declared = Interval {
            lo: 0,
            hi: hi - 100,
        };
        let wide = node(sum(vec![1; operands]), 1..=operands, &[], declared);
        nodes.extend(vec![wide; sums]);
        let error = read("wide sums", graph(&[], nodes, vec![bits()]), None);
        let error = error.expect("an interval that does not hold").to_string();
        assert!(error.contains("may leave"), "{error}");
    }
}

/// The maximum of many cells as a tree, then the same top of it as often as fits: each needs all
/// of its forms.
#[test]
fn many_maxima_share_the_steps_of_their_graph() {
    let cells = 64;
    let relu = Table {
        function: Function::Clamp { lo: 0, hi: 300 },
        start: -300,
        len: 601,
    };
    let byte = Interval { lo: 0, hi: 255 };
    let wide = Interval { lo: -255, hi: 255 };
    let x = Interval { lo: 0, hi: 15 };
    for copies in [10, 5000] {
        let tap = |offset| {
            let taps = vec![Tap { offset, weight: 1 }];
            let axes = vec![MapAxis::Window {
                input: cells,
                output: 1,
                stride: 1,
                taps,
                coefs: vec![],
            }];
            Op::Map(Map { axes, fill: 0 })
        };
        let mut nodes = vec![];
        let mut level: Vec<usize> = (0..cells).map(|k| k + 1).collect();
        for k in 0..cells {
            nodes.push(node(tap(k as i64), [0], &[], byte));
        }
        let mut top = vec![];
        while level.len() > 1 {
            let mut next = vec![];
            for pair in level.chunks(2) {
                let d = nodes.len() + 1;
                nodes.push(node(sum(vec![1, -1]), [pair[0], pair[1]], &[], wide));
                nodes.push(node(table(0), [d], &[], Interval { lo: 0, hi: 300 }));
                top = vec![pair[1], d + 1];
                nodes.push(node(sum(vec![1, 1]), top.clone(), &[], byte));
                next.push(d + 2);
            }
            level = next;
        }
        nodes.extend(vec![node(sum(vec![1, 1]), top, &[], byte); copies]);
        let mut graph = graph(&[cells], nodes, vec![relu.clone()]);
        graph.nodes[0].interval = x;
        for node in &mut graph.nodes[1..=cells] {
            node.interval = x;
        }
        let error = read("many maxima", graph, None);
        // What holds is not found once the graph's steps are used up.
        assert_eq!(error.is_some(), copies > 10, "{copies}: {error:?}");
    }
}

/// Maxima of maxima, each of which may be expanded far.
#[test]
fn nested_maxima_share_their_steps() {
    let mut nodes = vec![];
    let mut last = 0usize;
    for k in 0..6000 {
        let d = nodes.len() + 1;
        let earlier = last.saturating_sub(k % 7);
        nodes.push(node(sum(vec![1, -1]), [last, earlier], &[], ZERO));
        nodes.push(node(table(0), [d], &[], BIT));
        let wide = Interval { lo: 0, hi: 0 };
        nodes.push(node(
            sum(vec![1, 1, 1, -1]),
            [earlier, d + 1, last, last],
            &[],
            wide,
        ));
        last = nodes.len();
    }
    read("nested maxima", graph(&[], nodes, vec![bits()]), None).expect("does not hold");
}

/// A step table as long as the key, asked for at every product.
#[test]
fn a_long_table_is_read_once() {
    let values: Vec<i32> = (-100_000..100_000).map(|x| i32::from(x >= 0)).collect();
    let step = Table {
        start: -100_000,
        len: values.len(),
        function: Function::Values(values),
    };
    let product = Op::Contract(Contract {
        lengths: vec![],
        left: vec![],
        right: vec![],
        output: vec![],
    });
    let mut nodes = vec![];
    for _ in 0..4000 {
        let c = nodes.len() + 1;
        nodes.push(node(table(0), [0], &[], BIT));
        nodes.push(node(product.clone(), [c, 0], &[], ZERO));
        // Narrower than its terms: asks for the step rule.
        let rectified = Interval { lo: -1, hi: 1 };
        nodes.push(node(sum(vec![1, -1]), [c + 1, 0], &[], rectified));
    }
    let mut graph = graph(&[], nodes, vec![step]);
    for (k, node) in graph.nodes.iter_mut().enumerate() {
        if k == 0 || matches!(node.op, Op::Contract(_)) {
            node.interval = Interval { lo: -1, hi: 1 };
        }
    }
    let error = read("a long table", graph, None);
    assert_eq!(error, None);
}

/// Maps of very many axes of length 1 under sums that double: each is expanded again and again.
#[test]
fn a_map_is_not_copied_for_every_operand() {
    for (axes, copies, found) in [(8, 3, false), (32, 3, true), (32, 200, false)] {
        let window = MapAxis::Window {
            input: 1,
            output: 1,
            stride: 1,
            taps: vec![Tap {
                offset: 0,
                weight: 1,
            }],
            coefs: vec![],
        };
        let map = Map {
            axes: vec![window; axes],
            fill: 0,
        };
        let mut nodes = vec![node(Op::Map(map), [0], &[], BIT)];
        for k in 1..20 {
            let hi = 1 << k;
            nodes.push(node(sum(vec![1, 1]), [k, k], &[], Interval { lo: 0, hi }));
        }
        // Zero, which only cancellation shows.
        nodes.extend(vec![node(sum(vec![1, -1]), [10, 10], &[], ZERO); copies]);
        let mut graph = graph(&[], nodes, vec![]);
        graph.nodes[0].interval = BIT;
        let error = read("a map of many axes", graph, None);
        // Of few axes it is read tap by tap, of many it is an atom, until the steps are used up.
        assert_eq!(error.is_none(), found, "{axes} {copies}: {error:?}");
    }
}

/// A window of many taps in both directions: each pair is a column of the commitment.
#[test]
fn a_kernel_of_very_many_taps_is_refused_before_its_columns_are_listed() {
    let key = committed();
    for taps in [256usize, 2048, 4096] {
        let window = || MapAxis::Window {
            input: 1,
            output: 1,
            stride: 1,
            taps: (0..taps as i64)
                .map(|offset| Tap { offset, weight: 1 })
                .collect(),
            coefs: vec![],
        };
        let layer = Affine {
            lead: vec![],
            groups: vec![],
            outputs: vec![],
            inputs: vec![],
            windows: vec![window(), window()],
            weight: WeightId(0),
            bias: None,
        };
        let mut graph = graph(&[], vec![node(Op::Affine(layer), [0], &[], ZERO)], vec![]);
        graph.weights = 1;
        let error = read("many taps", graph, Some(&key)).expect("another commitment");
        let columns = error.to_string().contains("columns");
        assert_eq!(columns, taps > 256, "{error}");
    }
}

/// Long axes that few bytes name: the walk of the linear part makes no vector of them.
#[test]
fn a_dry_run_makes_no_vectors() {
    let long = 1 << 22;
    for count in [1, 8, 40] {
        let window = |input, output, fill| {
            let map = Map {
                axes: vec![MapAxis::Window {
                    input,
                    output,
                    stride: 1,
                    taps: vec![Tap {
                        offset: 0,
                        weight: 1,
                    }],
                    coefs: vec![],
                }],
                fill,
            };
            Op::Map(map)
        };
        let mut nodes = vec![];
        for k in 0..count {
            nodes.push(node(
                window(long, long - k - 1, 0),
                [0],
                &[long - k - 1],
                ZERO,
            ));
            let i = Interval { lo: 0, hi: 5 };
            nodes.push(node(window(long - k - 1, 2, 5), [2 * k + 1], &[2], i));
        }
        let last = (1..=count).map(|k| 2 * k);
        let i = Interval {
            lo: 0,
            hi: 5 * count as i64,
        };
        nodes.push(node(sum(vec![1; count]), last, &[2], i));
        let error = read("long axes", graph(&[long], nodes, vec![]), None);
        let refused = error.map(|e| e.to_string().contains("visits more than"));
        assert_eq!(refused, (count > 4).then_some(true), "{count} axes");
    }
}

/// Every claim that few bytes can multiply: a chain of sums that read each other.
#[test]
fn chains_of_sums_end_at_the_limit_of_claims() {
    let nodes: Vec<Node> = (0..12_000)
        .map(|k: usize| node(sum(vec![1, 1, 1]), [k, k / 2, k / 3], &[], ZERO))
        .collect();
    let error = read("chains of sums", graph(&[], nodes, vec![]), None);
    assert_eq!(error, None, "claims are merged, so a chain has few of them");
}
