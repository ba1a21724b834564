//! Operators that only move integers, and the axes of windows.

use super::forms::Form;
use super::lower::{Handle, Lowered};
use super::{Error, average};
use crate::exact::exp2;
use crate::float::Window;
use crate::int::{MAX_GATHER, Map, MapAxis, Op, Tap, TensorId};

impl Lowered<'_> {
    /// The permutation of a tensor's axes; nothing when only axes of length 1 move.
    pub(super) fn transpose(&mut self, v: usize, x: TensorId, perm: &[usize]) -> TensorId {
        let node = self.plan.node(v);
        let axes = self.plan.node(node.inputs[0].0).shape.clone();
        let long = || perm.iter().filter(|&&p| axes[p] > 1);
        if long().is_sorted() {
            return x;
        }
        let op = Op::Permute {
            axes: axes.clone(),
            perm: perm.to_vec(),
        };
        self.push(&node.name, op, vec![x], self.cells(x), self.interval(x))
    }

    /// The operands placed side by side; those of different scales in a common unit.
    pub(super) fn concat(&mut self, v: usize, axis: usize) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let mut terms = Vec::new();
        let mut start = 0;
        for &value in &node.inputs {
            let shape = &self.plan.node(value.0).shape;
            let mut axes = keep(shape);
            axes[axis] = shifted(shape[axis], node.shape[axis], -start);
            start += shape[axis] as i64;
            let x = self.small(value)?;
            let tensor = self.map(&node.name, x.tensor, Map { axes, fill: 0 })?;
            terms.push((1, Handle { tensor, ..x }));
        }
        let (scale, terms) = self.aligned(v, &terms)?;
        Ok(Handle {
            tensor: self.weighted_sum(&node.name, &terms)?,
            shift: 0,
            small: self.plan.forms.of(v) == Form::Small,
            scale,
        })
    }

    /// The operand with a border, or cropped; in a part of the operand's own unit if the two are not
    /// to be had in one scale.
    pub(super) fn pad(
        &mut self,
        v: usize,
        pads: &[(i64, i64)],
        value: f32,
    ) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let mut x = self.small(node.inputs[0])?;
        let small = self.plan.forms.of(v) == Form::Small;
        if small {
            x.scale = self.plan.scales.of(v);
        } else {
            let split = self.split_for(v, &[value.into()], x.scale);
            if split > 0 {
                x.tensor = self.weighted_sum(&node.name, &[(1 << split, x.tensor)])?;
                x.scale *= exp2(-split);
            }
        }
        let shape = &self.plan.node(node.inputs[0].0).shape;
        let mut axes = keep(shape);
        for (i, &(before, after)) in pads.iter().enumerate() {
            if (before, after) != (0, 0) {
                axes[i] = shifted(shape[i], node.shape[i], -before);
            }
        }
        let fill = (f64::from(value) / x.scale).round() as i64;
        Ok(Handle {
            tensor: self.map(&node.name, x.tensor, Map { axes, fill })?,
            small,
            ..x
        })
    }

    /// Cells taken at constant positions.
    pub(super) fn take(&mut self, v: usize, indices: &[u32]) -> Result<Handle, Error> {
        let node = self.plan.node(v);
        let x = self.values[node.inputs[0].0];
        let map = indices.to_vec();
        let cells = map.len();
        if cells.max(self.cells(x.tensor)) > MAX_GATHER {
            return Err(Error::Unsupported {
                node: node.name.clone(),
                reason: format!(
                    "it gathers {cells} of {} cells in no regular way; at most {} are supported",
                    self.cells(x.tensor),
                    MAX_GATHER
                ),
            });
        }
        let interval = self.interval(x.tensor);
        let tensor = self.push(
            &node.name,
            Op::Gather { map },
            vec![x.tensor],
            cells,
            interval,
        );
        Ok(Handle { tensor, ..x })
    }
}

/// Axes that are passed through.
pub(super) fn keep(shape: &[usize]) -> Vec<MapAxis> {
    shape.iter().copied().map(MapAxis::Keep).collect()
}

/// Output `i` reads input `i + offset`.
pub(super) fn shifted(input: usize, output: usize, offset: i64) -> MapAxis {
    MapAxis::Window {
        input,
        output,
        stride: 1,
        taps: vec![Tap { offset, weight: 1 }],
        coefs: vec![],
    }
}

/// The axis of a convolution or pool window with taps of weight 1.
pub(super) fn window_axis(window: &Window, n: usize) -> MapAxis {
    if (
        window.kernel,
        window.stride,
        window.pad_begin,
        window.pad_end,
    ) == (1, 1, 0, 0)
    {
        return MapAxis::Keep(n);
    }
    MapAxis::Window {
        input: n,
        output: average::outputs(window, n),
        stride: window.stride as i64,
        taps: (0..window.kernel)
            .map(|a| Tap {
                offset: average::offset(window, a),
                weight: 1,
            })
            .collect(),
        coefs: vec![],
    }
}
