//! Bounds of sums whose terms depend on each other.
//!
//! Three patterns of quantised models are much narrower than the sum of their terms' intervals:
//!
//! * `F + R` with `R = min(relu(d), h)`, a table of shift 0, as in a max pool:
//!   `F <= F + R <= max(F, F + d)` and `min(F, F - d) <= F - R <= F`, where the terms of `d`
//!   cancel against those of `F`;
//! * `F + C` with `C = c d`, cell by cell, and `c` in `[0, 1]`: a choice between `F` and `F + d`;
//!   `C` is `relu(d)` if `c` is the step table of `d`;
//! * disjoint placements along an axis: a concatenation.
//!
//! A sum is expanded into a linear form over *atoms*, tensors read at one tap. A form is bounded
//! by its terms' intervals and by the first two rules, applied to its last `R` or `C`.
//!
//! **Soundness.** A form's coefficients are exact integers: terms cancel only if they are equal. A
//! number that does not fit 128 bits ends the expansion, and what is left is the sum of the
//! operands' intervals. [`Steps`] bound the work, of which a graph pays for its own size: whatever
//! is beyond them is an atom, or is bounded by its terms' intervals.

use super::bounds::sum_bounds;
use super::graph::{Graph, Interval, Node, TensorId};
use super::op::{Map, MapAxis, Op, Tap};
use std::collections::{BTreeMap, HashMap};

/// Forms that one bound may look at, and depth of nested sums and tables: what is beyond them is
/// bounded by its interval alone.
const MAX_FORMS: usize = 512;
const MAX_DEPTH: usize = 32;
/// Terms that one form may have to be expanded further.
const MAX_TERMS: usize = 64;
/// Taps and axes that a map may have to be read tap by tap.
const MAX_TAPS: usize = 4;
const MAX_AXES: usize = 8;
/// Steps of one sum: all of its forms at their longest, and a sum of equal sums, which has few terms
/// but many operands.
const SUM_STEPS: usize = 1 << 17;
/// Steps of a graph: for its operands, and at most for a fraction of a second.
const OPERAND_STEPS: usize = 1 << 10;
const LEAST_STEPS: usize = 1 << 16;
const MOST_STEPS: usize = 1 << 21;

/// How many terms may still be looked at.
#[derive(Clone, Debug)]
pub struct Steps(usize);

impl Steps {
    /// Those of one sum.
    pub fn of_sum() -> Self {
        Self(SUM_STEPS)
    }

    /// Those of all sums of a graph: linear in its size.
    pub fn of_graph(graph: &Graph) -> Self {
        let operands = graph.nodes.iter().map(|node| node.inputs.len());
        let earned = operands.fold(0, usize::saturating_add);
        let earned = earned.saturating_mul(OPERAND_STEPS);
        Self(earned.saturating_add(LEAST_STEPS).min(MOST_STEPS))
    }

    fn are_left(&self) -> bool {
        self.0 > 0
    }

    fn spend(&mut self, steps: usize) {
        self.0 = self.0.saturating_sub(steps);
    }
}

/// `sum coef * atom`, by index of the atom.
type Form = BTreeMap<usize, i128>;

/// A tensor, read through a map of one tap of weight 1 if any.
type Atom = (TensorId, Option<Map>);

/// What the rules have to know of table nodes' operators.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// Whether it is `min(max(x, 0), h)` of shift 0 and offset 0 for some `h >= 0`.
    pub relu: &'a dyn Fn(&Op) -> bool,
    /// Whether it is 1 for `x >= 0` and 0 below.
    pub step: &'a dyn Fn(&Op) -> bool,
}

/// Bounds of `sum_k coefs[k] * nodes[inputs[k]]`, never wider than [`sum_bounds`] but for the 0
/// beside tensors placed side by side; `None` means that a bound is not inside `(-2^62, 2^62)`, or that no cell satisfies them all.
///
/// # Panics
/// If the lengths differ or an input is not one of `nodes`.
pub fn dependent_sum_bounds(
    nodes: &[Node],
    known: Known<'_>,
    coefs: &[i64],
    inputs: &[TensorId],
    steps: &mut Steps,
) -> Option<Interval> {
    let intervals: Vec<Interval> = inputs.iter().map(|t| nodes[t.0].interval).collect();
    let plain = sum_bounds(coefs, &intervals)?;
    if placements_are_disjoint(nodes, coefs, inputs) {
        let hull = intervals.iter().copied().reduce(Interval::hull)?;
        return Some(hull.with(0));
    }
    let own = SUM_STEPS.min(steps.0);
    let mut forms = Forms {
        nodes,
        known,
        atoms: vec![],
        index: HashMap::new(),
        left: MAX_FORMS,
        steps: Steps(own),
    };
    let (lo, hi) = forms.sum(coefs, inputs).unwrap_or(ANYTHING);
    steps.spend(own - forms.steps.0);
    let interval = Interval {
        lo: i64::try_from(lo).map_or(plain.lo, |lo| lo.max(plain.lo)),
        hi: i64::try_from(hi).map_or(plain.hi, |hi| hi.min(plain.hi)),
    };
    interval.is_bounded().then_some(interval)
}

/// Bounds that say nothing.
const ANYTHING: (i128, i128) = (i128::MIN, i128::MAX);

struct Forms<'a> {
    nodes: &'a [Node],
    known: Known<'a>,
    atoms: Vec<Atom>,
    index: HashMap<Atom, usize>,
    left: usize,
    steps: Steps,
}

impl Forms<'_> {
    /// Bounds of a sum; `None` if its form does not fit 128 bits.
    fn sum(&mut self, coefs: &[i64], inputs: &[TensorId]) -> Option<(i128, i128)> {
        let mut form = Form::new();
        for (&c, &t) in coefs.iter().zip(inputs) {
            self.expand(&mut form, t, c.into(), 0)?;
        }
        Some(self.bounds(&form, 0))
    }

    /// Adds `coef * tensor` to `form`; on `None` the form is no longer of use.
    fn expand(
        &mut self,
        form: &mut Form,
        tensor: TensorId,
        coef: i128,
        depth: usize,
    ) -> Option<()> {
        let node = &self.nodes[tensor.0];
        let room = MAX_TERMS.saturating_sub(form.len());
        self.steps.spend(1);
        if self.steps.are_left() {
            match &node.op {
                Op::Sum { coefs } if depth < MAX_DEPTH && coefs.len() <= room => {
                    return coefs.iter().zip(&node.inputs).try_for_each(|(&c, &t)| {
                        self.expand(form, t, coef.checked_mul(c.into())?, depth + 1)
                    });
                }
                Op::Map(map) => {
                    self.steps.spend(MAX_TAPS * map.axes.len().min(MAX_AXES));
                    let taps = single_taps(map).filter(|taps| taps.len() <= room);
                    if let Some(taps) = taps {
                        return taps.into_iter().try_for_each(|(weight, tap)| {
                            let coef = coef.checked_mul(weight.into())?;
                            self.add(form, (node.inputs[0], Some(tap)), coef)
                        });
                    }
                }
                _ => {}
            }
        }
        self.add(form, (tensor, None), coef)
    }

    fn add(&mut self, form: &mut Form, atom: Atom, coef: i128) -> Option<()> {
        self.steps
            .spend(1 + atom.1.as_ref().map_or(0, |map| map.axes.len()));
        let index = *self.index.entry(atom).or_insert_with_key(|atom| {
            self.atoms.push(atom.clone());
            self.atoms.len() - 1
        });
        let total = form.entry(index).or_insert(0);
        *total = total.checked_add(coef)?;
        if *total == 0 {
            form.remove(&index);
        }
        Some(())
    }

    /// Bounds of a form.
    fn bounds(&mut self, form: &Form, depth: usize) -> (i128, i128) {
        let plain = self.plain(form);
        self.left = self.left.saturating_sub(1);
        self.steps.spend(form.len());
        if self.left == 0 || depth >= MAX_DEPTH || !self.steps.are_left() {
            return plain;
        }
        let last = form.iter().filter(|&(&atom, &coef)| {
            matches!(coef, 1 | -1) && (self.is_relu(atom) || self.chosen(atom).is_some())
        });
        let Some((&atom, &sign)) = last.max_by_key(|&(&atom, _)| self.atoms[atom].0) else {
            return plain;
        };
        let mut without = form.clone();
        without.remove(&atom);
        let chosen = self.chosen(atom);
        let argument = chosen.unwrap_or(self.nodes[self.atoms[atom].0.0].inputs[0]);
        let mut with = without.clone();
        if self.expand(&mut with, argument, sign, 0).is_none() {
            return plain;
        }
        let (lo, hi) = self.bounds(&without, depth + 1);
        let (with_lo, with_hi) = self.bounds(&with, depth + 1);
        let rectifies = chosen.is_none_or(|d| self.rectifies(atom, d));
        let (lo, hi) = if !rectifies {
            (lo.min(with_lo), hi.max(with_hi))
        } else if sign > 0 {
            (lo, hi.max(with_hi))
        } else {
            (lo.min(with_lo), hi)
        };
        (plain.0.max(lo), plain.1.min(hi))
    }

    /// Bounds of a form whose atoms are independent; an end that does not fit 128 bits is none.
    fn plain(&self, form: &Form) -> (i128, i128) {
        let (mut low, mut high) = (Some(0_i128), Some(0_i128));
        for (&atom, &coef) in form {
            let (tensor, map) = &self.atoms[atom];
            let x = self.nodes[tensor.0].interval;
            let x = map.as_ref().map_or(x, |map| x.with(map.fill));
            let (least, most) = if coef < 0 { (x.hi, x.lo) } else { (x.lo, x.hi) };
            let add = |sum: Option<i128>, x: i64| sum?.checked_add(coef.checked_mul(x.into())?);
            (low, high) = (add(low, least), add(high, most));
        }
        (low.unwrap_or(ANYTHING.0), high.unwrap_or(ANYTHING.1))
    }

    fn chosen(&self, atom: usize) -> Option<TensorId> {
        let (tensor, map) = &self.atoms[atom];
        let node = &self.nodes[tensor.0];
        map.is_none().then(|| chosen(self.nodes, node)).flatten()
    }

    /// Whether the product `atom` with `d` has the step of `d` for its other operand.
    fn rectifies(&self, atom: usize, d: TensorId) -> bool {
        let inputs = &self.nodes[self.atoms[atom].0.0].inputs;
        inputs.iter().any(|c| {
            let node = &self.nodes[c.0];
            node.inputs == [d] && (self.known.step)(&node.op)
        })
    }

    fn is_relu(&self, atom: usize) -> bool {
        let (tensor, map) = &self.atoms[atom];
        map.is_none() && (self.known.relu)(&self.nodes[tensor.0].op)
    }
}

/// The operand of a product, cell by cell, whose other operand lies in `[0, 1]`.
fn chosen(nodes: &[Node], node: &Node) -> Option<TensorId> {
    let Op::Contract(contract) = &node.op else {
        return None;
    };
    let elementwise = contract.left == contract.right && contract.left == contract.output;
    let &[a, b] = node.inputs.as_slice() else {
        return None;
    };
    let unit = Interval { lo: 0, hi: 1 };
    let of = |c: TensorId, d: TensorId| unit.covers(nodes[c.0].interval).then_some(d);
    of(a, b).or(of(b, a)).filter(|_| elementwise)
}

/// A map as a sum of maps of one tap of weight 1 each, if it has few taps and axes and no
/// coefficients.
fn single_taps(map: &Map) -> Option<Vec<(i64, Map)>> {
    let splits = |axis: &MapAxis| match axis {
        MapAxis::Keep(_) => true,
        MapAxis::Window { coefs, .. } => coefs.is_empty(),
        MapAxis::Matrix { .. } => false,
    };
    let taps = map
        .axes
        .iter()
        .try_fold(1_usize, |n, axis| n.checked_mul(axis.taps()));
    let few = taps.filter(|&n| n <= MAX_TAPS)?;
    if map.axes.len() > MAX_AXES || !map.axes.iter().all(splits) {
        return None;
    }
    // The last axis varies fastest.
    let part = |number: usize| {
        let (mut part, mut weight, mut rest) = (map.clone(), 1_i64, number);
        for axis in part.axes.iter_mut().rev() {
            if let MapAxis::Window { taps, .. } = axis {
                let tap = taps[rest % taps.len()];
                rest /= taps.len();
                weight = weight.checked_mul(tap.weight)?;
                *taps = vec![Tap { weight: 1, ..tap }];
            }
        }
        Some((weight, part))
    };
    (0..few).map(part).collect()
}

/// Whether the terms are tensors placed side by side along one axis, with 0 elsewhere.
fn placements_are_disjoint(nodes: &[Node], coefs: &[i64], inputs: &[TensorId]) -> bool {
    if coefs.iter().any(|&c| c != 1) {
        return false;
    }
    let mut places = vec![];
    for t in inputs {
        match placement(&nodes[t.0].op) {
            Some(place) => places.push(place),
            None => return false,
        }
    }
    places.sort_unstable();
    places.windows(2).all(|w| {
        let ((inner, length, _, end), (inner_2, length_2, start, _)) = (w[0], w[1]);
        (inner, length) == (inner_2, length_2) && end <= start
    })
}

/// `(cells inside, length, start, end)` of the axis on which a map places its input.
fn placement(op: &Op) -> Option<(usize, usize, i64, i64)> {
    let Op::Map(map) = op else { return None };
    let mut windows = map
        .axes
        .iter()
        .enumerate()
        .filter(|(_, a)| !matches!(a, MapAxis::Keep(_)));
    let (Some((i, axis)), None) = (windows.next(), windows.next()) else {
        return None;
    };
    let MapAxis::Window {
        input,
        output,
        stride: 1,
        taps,
        coefs,
    } = axis
    else {
        return None;
    };
    let [tap] = taps.as_slice() else { return None };
    if tap.weight != 1 || !coefs.is_empty() || map.fill != 0 {
        return None;
    }
    let inner = map.axes[i + 1..].iter().map(MapAxis::output).product();
    let start = tap.offset.checked_neg()?;
    Some((inner, *output, start, start.checked_add(*input as i64)?))
}

#[cfg(test)]
mod tests {
    use super::super::table::TableId;
    use super::*;

    fn node(op: Op, inputs: &[usize], axes: &[usize], lo: i64, hi: i64) -> Node {
        Node {
            name: "n".into(),
            op,
            inputs: inputs.iter().copied().map(TensorId).collect(),
            axes: axes.to_vec(),
            interval: Interval { lo, hi },
        }
    }

    fn window(input: usize, output: usize, stride: i64, taps: &[(i64, i64)]) -> Op {
        let taps = taps.iter().map(|&(offset, weight)| Tap { offset, weight });
        Op::Map(Map {
            axes: vec![MapAxis::Window {
                input,
                output,
                stride,
                taps: taps.collect(),
                coefs: vec![],
            }],
            fill: 0,
        })
    }

    fn relu() -> Op {
        Op::Table {
            table: TableId(0),
            shift: 0,
            ranges: vec![],
            offset: 0,
        }
    }

    fn bounds(nodes: &[Node], coefs: &[i64], inputs: &[usize]) -> (i64, i64) {
        let inputs: Vec<TensorId> = inputs.iter().copied().map(TensorId).collect();
        let is_relu = |op: &Op| matches!(op, Op::Table { .. });
        let no_step = |_: &Op| false;
        let known = Known {
            relu: &is_relu,
            step: &no_step,
        };
        let bounds = dependent_sum_bounds(nodes, known, coefs, &inputs, &mut Steps::of_sum());
        let bounds = bounds.expect("small");
        (bounds.lo, bounds.hi)
    }

    /// `x`, then `max(x_0, x_1, x_2)` in the form of the quantiser.
    fn maximum(lo: i64, hi: i64) -> Vec<Node> {
        let width = hi - lo;
        vec![
            node(Op::Input, &[], &[6], lo, hi),
            node(
                window(6, 2, 3, &[(0, 1), (1, -1)]),
                &[0],
                &[2],
                -width,
                width,
            ),
            node(relu(), &[1], &[2], 0, width),
            node(
                window(6, 2, 3, &[(1, 1), (2, -1)]),
                &[0],
                &[2],
                -width,
                width,
            ),
        ]
    }

    #[test]
    fn a_maximum_stays_in_the_interval() {
        for (lo, hi) in [(0, 255), (-5, 9)] {
            let width = hi - lo;
            let (lo, hi) = (lo.min(0), hi);
            let mut nodes = maximum(lo, hi);
            assert_eq!(bounds(&nodes, &[1, 1], &[3, 2]), (-(hi - lo), hi - lo));
            let coefs = vec![1, 1];
            nodes.push(node(Op::Sum { coefs }, &[3, 2], &[2], -width, width));
            nodes.push(node(relu(), &[4], &[2], 0, width));
            nodes.push(node(window(6, 2, 3, &[(2, 1)]), &[0], &[2], lo, hi));
            assert_eq!(bounds(&nodes, &[1, 1], &[6, 5]), (lo, hi));
            // Twice the table is no maximum.
            assert_eq!(bounds(&nodes, &[1, 2], &[6, 5]), (lo, hi + 2 * width));
        }
    }

    #[test]
    fn an_unrelated_difference_is_not_cancelled() {
        let mut nodes = maximum(0, 255);
        nodes.push(node(window(6, 2, 3, &[(0, 1)]), &[0], &[2], 0, 255));
        // x_0 + relu(x_0 - x_1) may reach 510; x_1 + relu(x_0 - x_1) may not.
        assert_eq!(bounds(&nodes, &[1, 1], &[4, 2]), (0, 510));
        nodes.push(node(window(6, 2, 3, &[(1, 1)]), &[0], &[2], 0, 255));
        assert_eq!(bounds(&nodes, &[1, 1], &[5, 2]), (0, 255));
    }

    #[test]
    fn placements_side_by_side_do_not_add() {
        let mut nodes = vec![
            node(Op::Input, &[], &[2], 3, 100),
            node(Op::Input, &[], &[3], -7, 50),
            node(window(2, 5, 1, &[(0, 1)]), &[0], &[5], 0, 100),
            node(window(3, 5, 1, &[(-2, 1)]), &[1], &[5], -7, 50),
        ];
        assert_eq!(bounds(&nodes, &[1, 1], &[2, 3]), (-7, 100));
        nodes[3] = node(window(3, 5, 1, &[(-1, 1)]), &[1], &[5], -7, 50);
        assert_eq!(bounds(&nodes, &[1, 1], &[2, 3]), (-7, 150));
    }

    #[test]
    fn doubled_sums_end() {
        let mut nodes = vec![node(Op::Input, &[], &[2], 0, 1)];
        for i in 0..50 {
            let op = Op::Sum { coefs: vec![1; 2] };
            nodes.push(node(op, &[i, i], &[2], 0, 2 << i));
        }
        assert_eq!(bounds(&nodes, &[1, 1], &[50, 50]).0, 0);
    }

    #[test]
    fn deep_sums_end() {
        let mut nodes = vec![node(Op::Input, &[], &[2], 0, 1)];
        for i in 0..300_usize {
            let op = match i % 3 {
                0 => relu(),
                _ => Op::Sum { coefs: vec![1; 2] },
            };
            let inputs = [i, i.saturating_sub(1)];
            nodes.push(node(op, &inputs, &[2], 0, 1 << 40));
        }
        assert_eq!(bounds(&nodes, &[1, 1], &[300, 298]).0, 0);
    }
}
