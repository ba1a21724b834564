//! The columns of the weight commitment, in integers as small as they are. Padding cells are zero:
//! that cuts the sums over input channels and taps to their real lengths (the padding rule).

use crate::plan::WeightPlan;
use crate::tensor::{for_each_live, padded};
use rayon::prelude::*;
use zkstrata_mle::live_cells;
use zkstrata_model_ir::int::{Model, Op, SmallInts, SmallSlice};
use zkstrata_pcs::joint::Column;

/// The padded columns of a model's weights and biases, up to their last live cells.
pub(crate) fn columns(model: &Model, plan: &WeightPlan) -> Vec<Column> {
    let of_tensor = |(&node, weights): (&usize, &SmallInts)| match &model.graph.nodes[node].op {
        Op::Affine(affine) => {
            let shape = affine.weight_shape();
            let taps = shape.taps.iter().product();
            let axes = [shape.groups, shape.outputs, shape.inputs].concat();
            match weights.as_slice() {
                SmallSlice::I8(x) => taps_of(&axes, taps, x, Column::I8),
                SmallSlice::I16(x) => taps_of(&axes, taps, x, Column::I16),
                SmallSlice::I32(x) => taps_of(&axes, taps, x, Column::I32),
            }
        }
        _ => unreachable!("the plan lists affine nodes"),
    };
    let tensors = plan.nodes.par_iter().zip(&model.weights);
    let mut columns: Vec<Column> = tensors.flat_map(of_tensor).collect();
    if let (false, Some(table)) = (plan.biases.is_empty(), plan.shape.last()) {
        let mut column = vec![0i64; table.live];
        for (block, bias) in plan.biases.iter().zip(&model.biases) {
            let cells = &mut column[block.offset..][..live_cells(&block.axes)];
            for_each_live(&block.axes, |dense, at| cells[at] = bias[dense]);
        }
        columns.push(Column::I64(column));
    }
    columns
}

/// `column[t][padded index of x] = weights[x][t]`
fn taps_of<T: Copy + Default + Send + Sync>(
    axes: &[usize],
    taps: usize,
    weights: &[T],
    column: fn(Vec<T>) -> Column,
) -> Vec<Column> {
    let tap = |t: usize| {
        let cells: Vec<T> = weights[t..].iter().step_by(taps).copied().collect();
        column(padded(axes, &cells))
    };
    (0..taps).map(tap).collect()
}
