//! Inputs of the model on which every feature has a range of its own.
//!
//! Of an input of features of unlike sizes the integers have room for the largest, and each feature is
//! brought to its own calibrated range by the model, in a table that is clamped. A feature far outside
//! of its range is clamped there, and that is to be told as of any other input.

use super::{InputError, Inputs};
use crate::int::{Affine, Function, Interval, Ints, MapAxis, Model, Node, Op, TensorId};
use ndarray::ArrayD;

impl Model {
    /// The integers of a batch of real inputs, as [`Graph::quantise_inputs`](crate::int::Graph)
    /// makes them; [`Inputs::saturated`] also counts features that the model clamps itself.
    ///
    /// # Errors
    /// Those of the graph.
    pub fn quantise_inputs(&self, batch: &[Vec<ArrayD<f32>>]) -> Result<Inputs, InputError> {
        let mut inputs = self.graph.quantise_inputs(batch)?;
        for (port, cells) in self.graph.inputs.iter().zip(&inputs.cells) {
            inputs.saturated += self.clamped(port.tensor, cells);
        }
        Ok(inputs)
    }

    /// How many cells of an input lie inside the input's interval and outside of what a table of
    /// features holds.
    fn clamped(&self, input: TensorId, cells: &Ints) -> usize {
        let inside = self.graph.node(input).interval;
        let mut clamped = vec![false; cells.len()];
        for (tensor, node) in self.graph.nodes.iter().enumerate() {
            let Some(feature) = self.features(node).filter(|_| node.inputs == [input]) else {
                continue;
            };
            let tables = self.graph.nodes.iter();
            let tables = tables.filter_map(|node| self.clamp(node, TensorId(tensor)));
            for (bounds, shift, offset) in tables {
                for (i, clamped) in clamped.iter_mut().enumerate() {
                    let x = cells.get(i);
                    let within = inside.lo < x && x < inside.hi;
                    let argument = (feature(i, x) + offset) >> shift;
                    *clamped |= within && !bounds.contains(argument);
                }
            }
        }
        clamped.into_iter().filter(|&clamped| clamped).count()
    }

    /// What a layer of one weight and one bias per feature makes of cell `i`, whose integer is `x`.
    fn features<'a>(&'a self, node: &'a Node) -> Option<impl Fn(usize, i64) -> i64 + 'a> {
        let Op::Affine(affine) = &node.op else {
            return None;
        };
        let Affine {
            groups,
            outputs,
            inputs,
            windows,
            weight,
            bias,
            ..
        } = affine;
        let keeps = windows.iter().all(|axis| matches!(axis, MapAxis::Keep(_)));
        let diagonal = outputs.is_empty() && inputs.is_empty() && keeps;
        let length = |axis: &MapAxis| match axis {
            MapAxis::Keep(n) => *n,
            _ => 1,
        };
        let (count, inner): (usize, usize) = (
            groups.iter().product(),
            windows.iter().map(length).product(),
        );
        let weights = &self.weights[weight.0];
        let biases = bias.map(|bias| &self.biases[bias.0]);
        (diagonal && weights.len() == count).then_some(move |i: usize, x: i64| {
            let feature = i / inner % count;
            i64::from(weights.get(feature)) * x + biases.map_or(0, |biases| biases[feature])
        })
    }

    /// Bounds, shift and offset of a node that rounds `tensor` and clamps it.
    fn clamp(&self, node: &Node, tensor: TensorId) -> Option<(Interval, u32, i64)> {
        let Op::Table {
            table,
            shift,
            offset,
            ..
        } = &node.op
        else {
            return None;
        };
        let bounds = match self.graph.tables[table.0].function {
            // Not what a rectifier leaves.
            Function::Clamp { lo, hi } if lo == -hi => Interval { lo, hi },
            Function::Clamp { .. } | Function::Values(_) | Function::Range => return None,
        };
        (node.inputs == [tensor]).then_some((bounds, *shift, *offset))
    }
}

#[cfg(test)]
mod tests {
    use crate::float::{GraphBuilder, Op};
    use crate::quantise::{Calibration, Options, Profile, quantise};
    use ndarray::{ArrayD, arr2};

    /// A layer of features around 0.1, 1 and 100 that are shown as well, so that the model brings them
    /// to one size itself.
    #[test]
    fn features_beyond_their_own_ranges_are_counted() {
        let mut b = GraphBuilder::new();
        let x = b.input("x", &[1, 3]).expect("a shape");
        let weight = arr2(&[[20.0, -10.0], [1.0, 2.0], [1e-2, -3e-2]]).into_dyn();
        let y = b.add("y", Op::Dense { weight, bias: None }, &[x]);
        let y = y.expect("a shape");
        let graph = b.finish(vec![("y".into(), y), ("x".into(), x)]);
        let graph = graph.expect("valid");
        let sample = |cells: [f32; 3]| {
            vec![ArrayD::from_shape_vec(vec![1, 3], cells.to_vec()).expect("three cells")]
        };
        let seen = [[0.1, -1.0, 90.0], [-0.08, 0.5, -100.0]].map(sample);
        let calibration = Calibration::from_samples(seen.to_vec());
        for profile in [Profile::Fast, Profile::Accurate] {
            let model = quantise(&graph, &calibration, &Options::new(profile));
            let model = model.expect("quantises").model;
            assert!(model.graph.inputs[0].features.is_none());
            let clamped = |cells: [f32; 3]| {
                let inputs = model.quantise_inputs(&[sample(cells)]).expect("numbers");
                inputs.saturated
            };
            for cells in [[0.1, -1.0, 90.0], [-0.09, 0.9, 10.0]] {
                assert_eq!(clamped(cells), 0, "{profile:?} {cells:?}");
            }
            // Far below the largest number of all, and far above its own.
            assert_eq!(clamped([10.0, 0.0, 0.0]), 1, "{profile:?}");
            assert_eq!(clamped([10.0, -50.0, 50.0]), 2, "{profile:?}");
            assert_eq!(clamped([0.0, 0.0, 1e5]), 1, "{profile:?}");
        }
    }
}
