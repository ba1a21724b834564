//! How large weights may be, for those who do not see them.
//!
//! The intervals of a graph's layers are those of one set of weights. Whoever knows of the weights only
//! that they have so many bits recomputes them for the worst ones: a row of `n` weights of `w` bits on
//! cells of magnitude `m` at most, and a bias of `b` bits, give
//!
//! ```text
//! |Y| <= n 2^(w-1) m + 2^(b-1)
//! ```
//!
//! If no cell of the graph can wrap in the field even then, every proof about such weights is one of the
//! integer model.

use super::fault::{GraphError, NodeFault};
use super::graph::{Graph, Interval};
use super::intervals::{Analysis, ModelError};
use super::model::Model;
use super::op::{Affine, MapAxis, Op};
use super::small::SmallInts;
use serde::{Deserialize, Serialize};

/// Sizes of biases are told in steps of so many bits.
const STEP: u32 = 8;

/// The bits that weights and biases fit in, as integers in two's complement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WeightBits {
    /// Of every weight: 8, 16 or 32.
    pub weights: u32,
    /// Of every bias and constant: a multiple of 8, at most 64.
    pub biases: u32,
}

impl WeightBits {
    /// Whether weights can have such sizes.
    pub fn is_valid(self) -> bool {
        let biases = (STEP..=i64::BITS).contains(&self.biases) && self.biases.is_multiple_of(STEP);
        matches!(self.weights, 8 | 16 | 32) && biases
    }
}

/// All integers of so many bits, 1 to 64 of them.
pub fn integers_of(bits: u32) -> Interval {
    let lo = i64::MIN >> i64::BITS.saturating_sub(bits.max(1));
    Interval { lo, hi: !lo }
}

impl Model {
    /// The sizes that the model's weights and biases have.
    pub fn weight_bits(&self) -> WeightBits {
        // As many as a number has below its sign, and the sign.
        let bits = |x: i64| i64::BITS - (x ^ (x >> 63)).leading_zeros() + 1;
        let weights = self.weights.iter().flat_map(SmallInts::iter);
        let biases = self.biases.iter().flatten();
        let weights = weights.map(|w| bits(w.into())).max().unwrap_or(0);
        let biases = biases.map(|&b| bits(b)).max().unwrap_or(0);
        WeightBits {
            weights: weights.max(STEP).next_power_of_two(),
            biases: biases.max(STEP).next_multiple_of(STEP),
        }
    }
}

impl Graph {
    /// Checks that no cell wraps and no lookup is ambiguous, whatever weights and biases of these sizes the
    /// model has. For a valid graph, in time linear in its size.
    ///
    /// # Errors
    /// A node whose cells have no bounds then, or whose lookup is ambiguous.
    pub fn check_any_weights(&self, bits: WeightBits) -> Result<(), ModelError> {
        let mut analysis = Analysis::new(self);
        // Nothing but nodes is asked for behind this.
        let mut graph = Graph {
            nodes: self.nodes.clone(),
            tables: vec![],
            biases: vec![],
            weights: 0,
            inputs: vec![],
            outputs: vec![],
        };
        for index in 0..graph.nodes.len() {
            let node = &graph.nodes[index];
            let found = match &node.op {
                Op::Affine(affine) => affine.any_bounds(bits, graph.node(node.inputs[0]).interval),
                Op::Constant { .. } => Some(integers_of(bits.biases)).filter(|x| x.is_bounded()),
                _ => analysis.bounds(&graph, node),
            };
            let Some(found) = found else {
                return Err(ModelError::Interval {
                    node: node.name.clone(),
                    declared: node.interval,
                    found,
                });
            };
            if let Op::Table {
                table,
                shift,
                offset,
                ..
            } = node.op
                && self.tables[table.0].wraps(shift, offset, graph.node(node.inputs[0]).interval)
            {
                return Err(ModelError::Graph(GraphError::Node {
                    index,
                    name: node.name.clone(),
                    fault: NodeFault::Wraps,
                }));
            }
            graph.nodes[index].interval = found;
        }
        Ok(())
    }
}

impl Affine {
    /// The bounds of a layer of any weights and biases of these sizes.
    fn any_bounds(&self, bits: WeightBits, input: Interval) -> Option<Interval> {
        let pads = self.windows.iter().any(MapAxis::reads_outside);
        let input = if pads { input.with(0) } else { input };
        let terms = self.weight_shape().len().checked_div(self.rows())?;
        let bias = if self.bias.is_some() {
            1i128 << (bits.biases - 1)
        } else {
            0
        };
        let weight = 1i128 << (bits.weights - 1);
        let reach = i128::try_from(terms).ok()?.checked_mul(weight)?;
        let reach = reach
            .checked_mul(input.max_abs().into())?
            .checked_add(bias)?;
        let reach = i64::try_from(reach).ok()?;
        let bounds = Interval {
            lo: -reach,
            hi: reach,
        };
        bounds.is_bounded().then_some(bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Node, TensorId};
    use super::super::op::{BiasId, WeightId};
    use super::super::table::{Function, Table, TableId};
    use super::*;

    #[test]
    fn integers_have_the_bits_of_their_types() {
        let of = |lo, hi| Interval { lo, hi };
        assert_eq!(integers_of(8), of(-128, 127));
        assert_eq!(integers_of(16), of(i16::MIN.into(), i16::MAX.into()));
        assert_eq!(integers_of(64), of(i64::MIN, i64::MAX));
        assert!(!integers_of(64).is_bounded());
        assert!(integers_of(56).is_bounded());
    }

    /// Two layers of 10 and 3 inputs behind each other, and a lookup with a shift.
    fn model(weight: i32, bias: i64, shift: u32) -> Model {
        let affine = |inputs: usize, outputs: usize, id: usize| {
            Op::Affine(Affine {
                lead: vec![],
                groups: vec![],
                outputs: vec![outputs],
                inputs: vec![inputs],
                windows: vec![],
                weight: WeightId(id),
                bias: (id == 0).then_some(BiasId(0)),
            })
        };
        let node = |op, inputs: &[usize], axes: &[usize], reach: i64| Node {
            name: format!("node {}", inputs.len()),
            op,
            inputs: inputs.iter().copied().map(TensorId).collect(),
            axes: axes.to_vec(),
            interval: Interval {
                lo: -reach,
                hi: reach,
            },
        };
        let clamp = Function::Clamp { lo: -100, hi: 100 };
        let table = |function, start, len| Table {
            function,
            start,
            len,
        };
        let range = vec![TableId(1); usize::from(shift > 0)];
        let lookup = Op::Table {
            table: TableId(0),
            shift,
            ranges: range,
            offset: 0,
        };
        let graph = Graph {
            nodes: vec![
                node(Op::Input, &[], &[10], 1000),
                node(affine(10, 3, 0), &[0], &[3], 1 << 40),
                node(affine(3, 2, 1), &[1], &[2], 1 << 50),
                node(lookup, &[2], &[2], 100),
            ],
            tables: vec![
                table(clamp, -(3 << 11), 3 << 12),
                table(Function::Range, 0, 1 << shift),
            ],
            biases: vec![3],
            weights: 2,
            inputs: vec![],
            outputs: vec![],
        };
        Model {
            graph,
            weights: vec![vec![weight; 30].into(), vec![1; 6].into()],
            biases: vec![vec![bias; 3]],
        }
    }

    #[test]
    fn sizes_are_those_of_the_largest() {
        for (weight, bits) in [(127, 8), (-128, 8), (128, 16), (-129, 16), (1 << 15, 32)] {
            assert_eq!(model(weight, 0, 0).weight_bits().weights, bits, "{weight}");
        }
        for (bias, bits) in [(0, 8), (-128, 8), (128, 16), (1 << 22, 24), (1 << 23, 32)] {
            let found = model(1, bias, 0).weight_bits();
            assert_eq!(found.biases, bits, "{bias}");
            assert!(found.is_valid());
        }
        let bits = |weights, biases| WeightBits { weights, biases };
        for bits in [
            bits(7, 8),
            bits(0, 8),
            bits(64, 8),
            bits(8, 7),
            bits(8, 72),
            bits(8, 0),
        ] {
            assert!(!bits.is_valid(), "{bits:?}");
        }
    }

    /// `10 * 2^(w-1) * 1000 + 2^(b-1)`, then `3 * 2^(w-1)` times it.
    #[test]
    fn what_the_worst_weights_give() {
        let bits = |weights, biases| WeightBits { weights, biases };
        let check = |bits, shift| model(1, 0, shift).graph.check_any_weights(bits);
        let unbounded = |checked| matches!(checked, Err(ModelError::Interval { .. }));
        assert_eq!(check(bits(8, 54), 0), Ok(()));
        // 3 * 2^7 * 2^54 is not below 2^62.
        assert!(unbounded(check(bits(8, 55), 0)));
        assert!(unbounded(check(bits(8, 64), 0)));
        assert_eq!(check(bits(16, 40), 0), Ok(()));
        // 2^13.3 2^31 2^1.6 2^31
        assert!(unbounded(check(bits(32, 8), 0)));
        // 1.5 * 2^62 of the domain is below 2^63, and not with 1.5 * 2^61 of the argument.
        assert_eq!(check(bits(8, 8), 50), Ok(()));
        let wraps = check(bits(8, 54), 50);
        assert!(matches!(wraps, Err(ModelError::Graph(_))), "{wraps:?}");
    }
}
