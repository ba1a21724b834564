//! Fewer padded weights for dense layers behind a flatten.
//!
//! A layout refines a flattened tensor into the axes its producer has, each padded to a power of
//! two: 33 x 5 x 5 channels become 64 x 8 x 8 rows of the next layer's committed weights, five
//! times the 825 live ones. Reading a copy with a single axis of 825 (an [`Op::Gather`]) costs one
//! small sumcheck and the verifier `O(825)`, and the weights are padded to 1024 rows.

use super::policy;
use crate::int::{Node, Op, Port, TensorId};

fn padded(axes: &[usize]) -> usize {
    axes.iter().map(|n| n.next_power_of_two()).product()
}

/// Inserts the gathers that pay; `ports` are renamed.
pub(super) fn compact(nodes: Vec<Node>, ports: &mut [Port]) -> Vec<Node> {
    let mut placed: Vec<Node> = Vec::with_capacity(nodes.len());
    let mut renamed: Vec<TensorId> = Vec::with_capacity(nodes.len());
    for mut node in nodes {
        node.inputs.iter_mut().for_each(|t| *t = renamed[t.0]);
        if let Op::Affine(affine) = &mut node.op {
            let rows: usize = affine.inputs.iter().product();
            let columns = padded(&affine.outputs);
            let saved = (padded(&affine.inputs) - rows.next_power_of_two()) * columns;
            let source = &placed[node.inputs[0].0];
            let cells: usize = source.axes.iter().product();
            let dense = affine.windows.is_empty() && affine.groups.is_empty();
            if dense && saved >= policy::GATHER_WORTH && cells <= policy::MOST_COPIED {
                let axes = affine.lead.iter().copied().chain([rows]);
                let copy = Node {
                    name: node.name.clone(),
                    op: Op::Gather {
                        map: (0..cells as u32).collect(),
                    },
                    inputs: vec![node.inputs[0]],
                    axes: axes.filter(|&n| n > 1).collect(),
                    interval: source.interval,
                };
                placed.push(copy);
                node.inputs[0] = TensorId(placed.len() - 1);
                affine.inputs = vec![rows];
            }
        }
        placed.push(node);
        renamed.push(TensorId(placed.len() - 1));
    }
    for port in ports {
        port.tensor = renamed[port.tensor.0];
    }
    placed
}

#[cfg(test)]
mod tests {
    use crate::float::{GraphBuilder, Op as FloatOp, PoolKind, Window};
    use crate::int::{Op, run};
    use crate::quantise::{Calibration, Options, Profile, quantise};
    use ndarray::ArrayD;

    #[test]
    fn a_flattened_image_is_read_through_one_axis() {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[1, 33, 10, 10]).expect("an input");
        let window = Window {
            kernel: 2,
            stride: 2,
            dilation: 1,
            pad_begin: 0,
            pad_end: 0,
        };
        let pool = FloatOp::Pool {
            kind: PoolKind::Max,
            windows: vec![window; 2],
        };
        let x = b.add("pool", pool, &[x]).expect("a pool");
        let flatten = FloatOp::Reshape {
            shape: vec![1, 825],
        };
        let x = b.add("flatten", flatten, &[x]).expect("a reshape");
        let weight = |i: usize| ((i * 37) % 101) as f32 / 101.0 - 0.5;
        let weight = (0..825 * 16).map(weight).collect();
        let dense = FloatOp::Dense {
            weight: ArrayD::from_shape_vec(vec![825, 16], weight).expect("825 x 16"),
            bias: None,
        };
        let y = b.add("dense", dense, &[x]).expect("a dense layer");
        let graph = b.finish(vec![("y".into(), y)]).expect("a graph");
        let calibration = Calibration::synthetic(&graph, 1);
        let options = Options::new(Profile::Fast);
        let model = quantise(&graph, &calibration, &options)
            .expect("quantises")
            .model;
        let nodes = &model.graph.nodes;
        let gather = |n: &crate::int::Node| matches!(n.op, Op::Gather { .. }) && n.axes == [825];
        assert_eq!(nodes.iter().filter(|n| gather(n)).count(), 1);
        let batch = &calibration.samples()[..1];
        let inputs = model.graph.quantise_inputs(batch).expect("inputs");
        run(&model, &inputs.cells).expect("runs");
    }
}
