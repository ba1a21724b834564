//! The columns of the weight commitment. Padding cells are zero: that cuts the sums over input
//! channels and taps to their real lengths (the padding rule).

use crate::plan::WeightPlan;
use crate::tensor::for_each_live;
use rayon::prelude::*;
use zkstrata_mle::{F, PrimeCharacteristicRing, tensor_vars};
use zkstrata_model_ir::int::{Model, Op};
use zkstrata_pcs::Columns;

/// The padded columns of a model's weights and biases.
pub(crate) fn columns(model: &Model, plan: &WeightPlan) -> Columns {
    let mut columns: Columns = plan
        .nodes
        .par_iter()
        .zip(&model.weights)
        .map(|(&node, weights)| match &model.graph.nodes[node].op {
            Op::Affine(affine) => {
                let shape = affine.weight_shape();
                let taps = shape.taps.iter().product();
                let axes = [
                    shape.groups.as_slice(),
                    shape.outputs.as_slice(),
                    shape.inputs.as_slice(),
                ]
                .concat();
                tap_columns(&axes, taps, weights)
            }
            _ => unreachable!("the plan lists affine nodes"),
        })
        .collect();
    if !plan.biases.is_empty() {
        let mut column = vec![F::ZERO; 1 << plan.bias_vars];
        for (block, bias) in plan.biases.iter().zip(&model.biases) {
            let cells = &mut column[block.offset..];
            for_each_live(&block.axes, |dense, at| {
                cells[at] = F::from_i64(bias[dense]);
            });
        }
        columns.push(vec![column]);
    }
    columns
}

/// `column[t][padded index of x] = weights[x][t]`
fn tap_columns(axes: &[usize], taps: usize, weights: &[i32]) -> Vec<Vec<F>> {
    let mut columns = vec![vec![F::ZERO; 1 << tensor_vars(axes)]; taps];
    for (t, column) in columns.iter_mut().enumerate() {
        for_each_live(axes, |dense, at| {
            column[at] = F::from_i32(weights[dense * taps + t]);
        });
    }
    columns
}
