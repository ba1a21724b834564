//! The last pass: domains of the tables, layouts, and the finished model.
//!
//! A table covers the static interval of every argument that reads it when that has at most
//! `2^16` rows, or as many as are looked up of its function, up to `2^18`: then every input in range
//! can be proven. Otherwise it covers the calibrated range four times over, or as often as fits, and an
//! input that leaves it cannot be proven, which the report says. Lookups of one function share a
//! table as long as the union of their domains keeps the limit.

use super::Error;
use super::calibration::{Calibration, Range};
use super::compact::compact;
use super::function::Curve;
use super::layout;
use super::lookup::Lookup;
use super::lower::Lowered;
use super::policy;
use crate::int::{
    Executor, Function, Graph, Interval, MAX_LIMBS, Model, Op, RunError, Table, TableId, TensorId,
};

impl Lowered<'_> {
    /// Cells of all table nodes in one inference.
    pub(super) fn lookup_cells(&self) -> usize {
        self.lookups.iter().map(|l| self.cells(l.node)).sum()
    }

    /// The argument of a lookup for value `v`, to the nearest multiple of `2^shift`, without what is beyond a
    /// table of the calibrated range and on which the curve is constant, where that leaves too
    /// little room and costs no more than the table itself.
    pub(super) fn saturated_argument(
        &mut self,
        v: usize,
        x: TensorId,
        curve: Curve,
        shift: u32,
        calibrated: Range,
    ) -> Result<TensorId, Error> {
        let Interval { lo, hi } = self.interval(x);
        let whole = Interval {
            lo: lo >> shift,
            hi: (hi >> shift) + 1,
        };
        let roomy = || times(calibrated, policy::RANGE_ROOM, whole);
        if self.cells(x) > policy::SATURATED_CELLS
            || rows(whole) <= policy::MOST_ROWS
            || rows(roomy()) <= policy::MOST_ROWS
        {
            return Ok(x);
        }
        let fits = |&factor: &f64| rows(times(calibrated, factor, whole)) <= policy::MOST_ROWS;
        let Some(factor) = policy::RANGE_FACTORS.into_iter().find(fits) else {
            return Ok(x);
        };
        // The same for most, so that they share a table.
        let most = policy::MOST_ROWS as i64 / 2;
        let usual = Interval {
            lo: whole.lo.max(-most),
            hi: whole.hi.min(most - 1),
        };
        let bounds = match times(calibrated, factor, whole) {
            needed if usual.covers(needed) => usual,
            needed => widened(needed, whole),
        };
        let mut x = x;
        if bounds.lo > whole.lo && curve.is_constant(whole.lo, bounds.lo) {
            x = self.at_least(v, x, bounds.lo << shift)?;
        }
        if bounds.hi < whole.hi && curve.is_constant(bounds.hi, whole.hi) {
            x = self.at_most(v, x, bounds.hi << shift)?;
        }
        Ok(x)
    }

    /// `min(x, bound)`
    pub(super) fn at_most(&mut self, v: usize, x: TensorId, bound: i64) -> Result<TensorId, Error> {
        let name = &self.plan.node(v).name;
        let minus = self.weighted_sum(name, &[(-1, x)])?;
        let most = self.at_least(v, minus, -bound)?;
        self.weighted_sum(name, &[(-1, most)])
    }

    /// `max(x, bound) = bound + [x >= bound] (x - bound)`
    pub(super) fn at_least(
        &mut self,
        v: usize,
        x: TensorId,
        bound: i64,
    ) -> Result<TensorId, Error> {
        let node = self.plan.node(v);
        let name = &node.name;
        let bound = self.broadcast_constant(name, vec![bound], &[1], &node.shape)?;
        let excess = self.weighted_sum(name, &[(1, x), (-1, bound)])?;
        let above = self.step_of(name, excess)?;
        let excess = self.cellwise_product(name, above, excess)?;
        self.weighted_sum(name, &[(1, bound), (1, excess)])
    }
}

/// A table before it is filled.
struct Draft {
    curve: Curve,
    domain: Interval,
    /// Whether a reader's static interval is not covered.
    partial: bool,
    /// Union of the readers' static intervals.
    reachable: Interval,
    /// Largest magnitude of an argument times `2^shift` that all readers have room for.
    most: i64,
}

impl Draft {
    /// The arguments that it may have at all.
    fn reachable(&self) -> Interval {
        Interval {
            lo: self.reachable.lo.max(-self.most).min(self.domain.lo),
            hi: self.reachable.hi.min(self.most).max(self.domain.hi),
        }
    }
}

/// The tables of functions, and who reads them.
pub(super) struct Domains {
    drafts: Vec<Draft>,
    readers: Vec<Reader>,
}

/// A node that reads a table.
struct Reader {
    node: String,
    table: usize,
    argument: Interval,
    calibrated: Option<Range>,
}

/// Gives tables their domains and tensors their axes.
pub(super) fn finish(mut lowered: Lowered) -> Result<(Model, Domains), Error> {
    let limit = if lowered.lookup_cells() > policy::MANY_LOOKUPS {
        policy::MANY_ROWS
    } else {
        policy::MOST_ROWS
    };
    let domains = Domains::new(&mut lowered, limit)?;
    let functions = domains.drafts.iter().map(|d| d.curve.table(d.domain));
    let mut tables: Vec<Table> = functions.collect();
    let usual = lowered.shift;
    for node in &mut lowered.nodes {
        let cells = node.cells();
        if let Op::Table { shift, ranges, .. } = &mut node.op {
            let limbs = limbs(*shift, usual, cells).into_iter();
            *ranges = limbs.map(|bits| range_table(&mut tables, bits)).collect();
        }
    }
    let inputs = lowered.inputs.len();
    let mut ports = [lowered.inputs, lowered.outputs].concat();
    let nodes = layout::assign(lowered.nodes, &mut ports).map_err(|e| Error::Layout {
        node: e.node,
        cells: e.cells,
    })?;
    let nodes = compact(nodes, &mut ports);
    let outputs = ports.split_off(inputs);
    let model = Model {
        graph: Graph {
            nodes,
            tables,
            biases: lowered.biases.iter().map(Vec::len).collect(),
            weights: lowered.weights.len(),
            inputs: ports,
            outputs,
        },
        weights: lowered.weights,
        biases: lowered.biases,
    };
    Ok((model, domains))
}

impl Domains {
    /// Chooses the function tables and names them in their nodes.
    fn new(lowered: &mut Lowered, limit: u64) -> Result<Self, Error> {
        let mut drafts: Vec<Draft> = vec![];
        let mut readers = vec![];
        let mut cells = vec![0u64; lowered.curves.len()];
        for lookup in &lowered.lookups {
            cells[lookup.curve] += lowered.cells(lookup.node) as u64;
        }
        for lookup in &lowered.lookups {
            let node = &mut lowered.nodes[lookup.node.0];
            let own = cells[lookup.curve].clamp(policy::MOST_ROWS, limit);
            let domain = domain(lookup, &node.name, own, &[limit, policy::MANY_ROWS])?;
            let Op::Table { shift, table, .. } = &mut node.op else {
                continue;
            };
            let most = policy::MOST_ARGUMENT >> *shift;
            let domain = Interval {
                lo: domain.lo.clamp(-most, most),
                hi: domain.hi.clamp(-most, most),
            };
            let curve = lowered.curves[lookup.curve];
            let joins = |d: &Draft| {
                let hull = d.domain.hull(domain);
                let fits = hull.max_abs() <= d.most.min(most).unsigned_abs();
                d.curve == curve && rows(hull) <= limit && fits
            };
            let index = drafts.iter().position(joins).unwrap_or(drafts.len());
            match drafts.get_mut(index) {
                Some(draft) => {
                    draft.domain = draft.domain.hull(domain);
                    draft.reachable = draft.reachable.hull(lookup.argument);
                    draft.partial |= domain != lookup.argument;
                    draft.most = draft.most.min(most);
                }
                None => drafts.push(Draft {
                    curve,
                    domain,
                    partial: domain != lookup.argument,
                    reachable: lookup.argument,
                    most,
                }),
            }
            *table = TableId(index);
            readers.push(Reader {
                node: node.name.clone(),
                table: index,
                argument: lookup.argument,
                calibrated: lookup.calibrated,
            });
        }
        for draft in drafts.iter_mut().filter(|d| d.partial) {
            draft.domain = widened(draft.domain, draft.reachable());
        }
        Ok(Self { drafts, readers })
    }

    /// Runs `model`, which has these tables, on the samples of the calibration, and widens the
    /// tables that they leave: what calibration saw is never refused.
    pub(super) fn cover(
        &mut self,
        model: &mut Model,
        calibration: &Calibration,
    ) -> Result<(), Error> {
        if !self.drafts.iter().any(|draft| draft.partial) {
            return Ok(());
        }
        let mut executor = Executor::new(model)?;
        for sample in calibration.samples() {
            let inputs = model.graph.quantise_inputs(std::slice::from_ref(sample))?;
            while let Err(error) = executor.run(&inputs.cells) {
                let RunError::OutsideDomain {
                    node, table, value, ..
                } = error
                else {
                    return Err(error.into());
                };
                self.widen(model, table, value, &node)?;
                executor = Executor::new(model)?;
            }
        }
        Ok(())
    }

    /// Makes room for the argument `value`, and beyond it as much again as it was too far.
    fn widen(
        &mut self,
        model: &mut Model,
        table: TableId,
        value: i64,
        node: &str,
    ) -> Result<(), Error> {
        let draft = &mut self.drafts[table.0];
        let reachable = draft.reachable();
        let needed = draft.domain.with(value);
        if rows(needed) > policy::MANY_ROWS || !reachable.contains(value) {
            return Err(Error::Table {
                node: node.into(),
                rows: rows(needed),
                limit: policy::MANY_ROWS,
            });
        }
        let beyond = value + (value - value.clamp(draft.domain.lo, draft.domain.hi));
        let roomy = needed.with(beyond.clamp(reachable.lo, reachable.hi));
        let hull = if rows(roomy) > policy::MANY_ROWS {
            needed
        } else {
            roomy
        };
        draft.domain = widened(hull, reachable);
        model.graph.tables[table.0] = draft.curve.table(draft.domain);
        Ok(())
    }

    /// What inputs beyond the calibration may run into.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let leaves = |reader: &&Reader| {
            let domain = self.drafts[reader.table].domain;
            !domain.covers(reader.argument)
        };
        self.readers.iter().filter(leaves).map(|reader| {
            let Reader { node, argument, .. } = reader;
            let domain = self.drafts[reader.table].domain;
            let (lo, hi) = reader.calibrated.map_or((0.0, 0.0), |r| (r.lo, r.hi));
            format!(
                "node `{node}`: its argument may lie in {argument}, was in {lo:.0}..={hi:.0} during \
                 calibration, and its table covers {domain}: an input that leaves it cannot be \
                 proven"
            )
        })
    }
}

/// Bits of the limbs of a remainder of `shift` bits: one if its range table is the model's usual
/// one or is outweighed by the node's cells, or else several of at most the usual shift.
fn limbs(shift: u32, usual: u32, cells: usize) -> Vec<u32> {
    if shift == 0 {
        return vec![];
    }
    let fits = |bits: u32| bits <= policy::LIMB_BITS && 1_usize << bits <= cells.max(1 << usual);
    let most = MAX_LIMBS as u32;
    let count = (1..=most).find(|&n| fits(shift.div_ceil(n)));
    let count = count.unwrap_or(most);
    (0..count).map(|i| (shift + i) / count).collect()
}

/// The range table `0 .. 2^shift`, added when it is the first.
fn range_table(tables: &mut Vec<Table>, shift: u32) -> TableId {
    let table = Table {
        function: Function::Range,
        start: 0,
        len: 1 << shift,
    };
    let known = tables.iter().position(|t| *t == table);
    TableId(known.unwrap_or_else(|| {
        tables.push(table);
        tables.len() - 1
    }))
}

fn rows(interval: Interval) -> u64 {
    interval.hi.abs_diff(interval.lo).saturating_add(1)
}

/// `domain` with the rows up to the next power of two, which cost nothing, shared between its
/// ends but inside `reachable`.
fn widened(domain: Interval, reachable: Interval) -> Interval {
    let free = (rows(domain).next_power_of_two() - rows(domain)) as i64;
    let below = (free / 2).min(domain.lo - reachable.lo);
    let above = (free - below).min(reachable.hi - domain.hi);
    let below = (free - above).min(domain.lo - reachable.lo);
    Interval {
        lo: domain.lo - below,
        hi: domain.hi + above,
    }
}

/// A calibrated range so many times over, inside `whole`, and once on the side of which calibration
/// saw less. It may have seen one kind of samples only, and what is never positive is
/// so but for its rounding.
fn times(range: Range, factor: f64, whole: Interval) -> Interval {
    let least = if range.hi - range.lo < policy::CONSTANT_STEPS {
        policy::CONSTANT_ROOM
    } else {
        0.0
    };
    let other = (range.size() * (factor / 2.0).min(1.0)).max(least);
    let lo = (range.lo * factor).min(-other).floor() as i64;
    let lo = lo.clamp(whole.lo, whole.hi);
    let hi = ((range.hi * factor).max(other).ceil() as i64).clamp(lo, whole.hi);
    Interval { lo, hi }
}

/// The arguments that a lookup's table must cover: all or room enough if that is at most `own`, else what is
/// within the first of these limits that leaves the calibrated range: rather a large table than none.
fn domain(lookup: &Lookup, name: &str, own: u64, limits: &[u64]) -> Result<Interval, Error> {
    let whole = lookup.argument;
    let calibrated = |factor: f64| Some(times(lookup.calibrated?, factor, whole));
    let within = |limit: u64, factors: &[f64]| {
        let fitting = factors.iter().filter_map(|&factor| calibrated(factor));
        let mut domains = std::iter::once(whole).chain(fitting);
        domains.find(|&domain| rows(domain) <= limit)
    };
    let roomy = within(own, &[policy::RANGE_ROOM]);
    let fitting = |&limit: &u64| within(limit, &policy::RANGE_FACTORS);
    let domain = roomy.or_else(|| limits.iter().find_map(fitting));
    domain.ok_or_else(|| Error::Table {
        node: name.into(),
        rows: rows(calibrated(1.0).unwrap_or(whole)),
        limit: limits.last().copied().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(whole: (i64, i64), calibrated: (f64, f64)) -> Lookup {
        Lookup {
            node: TensorId(0),
            curve: 0,
            argument: Interval {
                lo: whole.0,
                hi: whole.1,
            },
            calibrated: Some(Range {
                lo: calibrated.0,
                hi: calibrated.1,
            }),
        }
    }

    #[test]
    fn domains_are_static_or_calibrated_with_bits_to_spare() {
        let domain = |whole, calibrated| domain(&lookup(whole, calibrated), "n", 1000, &[1000]);
        let interval = |lo, hi| Ok(Interval { lo, hi });
        assert_eq!(domain((-400, 500), (-1.0, 1.0)), interval(-400, 500));
        assert_eq!(domain((-4000, 500), (-9.5, 100.0)), interval(-100, 400));
        assert_eq!(domain((-4000, 4000), (-9.5, 300.0)), interval(-300, 600));
        assert_eq!(domain((-4000, 4000), (-300.0, -200.0)), interval(-600, 300));
        assert_eq!(domain((-4000, 7), (-240.0, 0.0)), interval(-960, 7));
        let wide =
            |calibrated| super::domain(&lookup((-90_000, 90_000), calibrated), "n", 0, &[9000]);
        assert_eq!(wide((0.0, 0.0)), interval(-2048, 2048));
        assert_eq!(wide((700.0, 701.0)), interval(-2048, 2804));
        // Few lookups have a table of what was calibrated, many one of all.
        let of = |own| {
            let lookup = lookup((-4000, 4000), (-100.0, 300.0));
            super::domain(&lookup, "n", own, &[9000])
        };
        assert_eq!(of(8000), interval(-400, 1200));
        assert_eq!(of(8001), interval(-4000, 4000));
        // Where no table of the usual size has the calibrated range, one of all is no larger.
        let few = lookup((-180_000, 60_000), (-5600.0, 60_000.0));
        let own = policy::MOST_ROWS;
        let limits = [policy::MOST_ROWS, policy::MANY_ROWS];
        let all = super::domain(&few, "n", own, &limits);
        assert_eq!(all, interval(-180_000, 60_000));
        let refused = domain((-4000, 4000), (-700.0, 700.0));
        let expected = Error::Table {
            node: "n".into(),
            rows: 1401,
            limit: 1000,
        };
        assert_eq!(refused, Err(expected));
    }

    #[test]
    fn remainders_are_cut_into_limbs_of_the_usual_size() {
        assert_eq!(limbs(0, 12, 10), [0; 0]);
        assert_eq!(limbs(5, 12, 10), [5]);
        assert_eq!(limbs(12, 12, 10), [12]);
        assert_eq!(limbs(16, 12, 1 << 16), [16]);
        assert_eq!(limbs(17, 12, 10), [8, 9]);
        assert_eq!(limbs(31, 12, 10), [10, 10, 11]);
        assert_eq!(limbs(36, 8, 10), [9; 4]);
    }

    #[test]
    fn padding_rows_are_put_to_use() {
        let widen = |a: (i64, i64), b: (i64, i64)| {
            let i = |(lo, hi)| Interval { lo, hi };
            let Interval { lo, hi } = widened(i(a), i(b));
            (lo, hi)
        };
        assert_eq!(widen((-10, 89), (-1000, 1000)), (-24, 103));
        assert_eq!(widen((-10, 89), (-12, 1000)), (-12, 115));
        assert_eq!(widen((-10, 89), (-1000, 90)), (-37, 90));
        assert_eq!(widen((-10, 89), (-11, 90)), (-11, 90));
    }
}
