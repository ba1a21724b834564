//! Affine maps that a graph begins with become a part of how its inputs are read.
//!
//! Who checks a statement about an input rounds its numbers to the model's integers. It may as well
//! bring each feature to its own size first ([`Features`]): nothing of it is proven, features of
//! unlike sizes have the same number of steps each, and one far outside of its calibrated range is
//! clamped as any input is. This is done for whatever follows from cells of inputs by an affine map,
//! be they moved before, where all that reads a cell reads it through the same map.

use super::Error;
use super::calibration::Calibration;
use super::carried::Carried;
use super::facts::{consumers, outputs};
use super::policy;
use super::prepare::{copied, rewritten};
use crate::float::{Graph, Op};
use crate::int::{Features, MAX_FEATURES};
use ndarray::{ArrayD, IxDyn};
use std::ops::Range;

/// Scale and shift of a cell.
type Demand = (f32, f32);

/// What reads a cell that nothing is done to.
const AS_IT_IS: Demand = (1.0, 0.0);

/// A graph without the affine maps that it began with.
pub(super) struct Absorbed {
    pub(super) graph: Graph,
    /// Of its inputs.
    pub(super) calibration: Calibration,
    /// What became of the maps; one for each input.
    pub(super) features: Vec<Option<Features>>,
}

/// The graph whose inputs are what the affine maps made of them; `None` if there are none to absorb.
pub(super) fn absorbed(
    graph: &Graph,
    calibration: &Calibration,
) -> Result<Option<Absorbed>, Error> {
    let nodes = graph.nodes();
    let sources = graph.inputs().map(|v| v.0);
    let sources = sources.filter(|&v| !nodes[v].op.is_integral_input());
    let carried = Carried::new(graph, sources.collect());
    if carried.cells() >= policy::COUNTED_CELLS {
        return Ok(None);
    }
    let readings = readings(&carried);
    if readings.is_empty() {
        return Ok(None);
    }
    let mut absorbed: Vec<bool> = readings.iter().map(|r| r.map.is_some()).collect();
    // What disagrees stays a node, and its operand's cells are read as they are.
    let demands = loop {
        let (demands, mut kept) = demands(&carried, &readings, &absorbed);
        for cells in made_unlike(&carried, calibration, &demands) {
            kept.extend(touching(&readings, &absorbed, &cells));
        }
        if kept.is_empty() {
            break demands;
        }
        for reading in kept {
            absorbed[reading] = false;
        }
    };
    let features = features(&carried, &demands);
    if features.iter().all(Option::is_none) {
        return Ok(None);
    }
    let absorbed = readings
        .iter()
        .zip(absorbed)
        .filter(|(_, absorbed)| *absorbed);
    let absorbed: Vec<usize> = absorbed.map(|(reading, _)| reading.node).collect();
    let graph = rewritten(graph, |b, v, inputs| {
        if absorbed.contains(&v) {
            Ok(inputs[0])
        } else {
            copied(b, &nodes[v], inputs)
        }
    })?;
    let calibration = calibration.featured(&features);
    Ok(Some(Absorbed {
        graph,
        calibration,
        features,
    }))
}

/// A node that computes with cells of inputs.
struct Reading {
    node: usize,
    /// The cells that it reads, as [`Carried::places`] numbers them.
    places: ArrayD<f32>,
    /// What an affine map that can be absorbed makes of each.
    map: Option<[ArrayD<f32>; 2]>,
}

impl Reading {
    /// The cells of sources that are read, from 0 on, and what is made of them.
    fn cells(&self, absorbed: bool) -> impl Iterator<Item = (usize, Demand)> + '_ {
        let demand = move |i: usize| match self.map.as_ref().filter(|_| absorbed) {
            Some([scale, shift]) => (
                scale.as_slice().expect("dense")[i],
                shift.as_slice().expect("dense")[i],
            ),
            None => AS_IT_IS,
        };
        let places = self.places.iter().enumerate();
        places.filter_map(move |(i, &place)| Some(((place as usize).checked_sub(1)?, demand(i))))
    }
}

/// All that computes with cells of inputs or shows them, if an affine map is among it.
fn readings(carried: &Carried) -> Vec<Reading> {
    let (graph, outputs) = (carried.graph, outputs(carried.graph));
    let consumers = consumers(graph);
    let computes = |c: &usize| !carried.has(*c);
    let reads = |v: usize| consumers[v].iter().copied().filter(computes);
    let held = || (0..graph.nodes().len()).filter(|&v| carried.has(v));
    let affine = |c: usize| graph.nodes()[c].op.affine().is_some();
    if !held().any(|v| reads(v).any(affine)) {
        return vec![];
    }
    let mut readings = vec![];
    for v in held() {
        let shown = outputs[v].then_some(v);
        let readers: Vec<usize> = reads(v).chain(shown).collect();
        if readers.is_empty() {
            continue;
        }
        let all = carried.places(v);
        for node in readers {
            let places = all.clone();
            let map = (node != v)
                .then(|| map(&graph.nodes()[node].op, &places))
                .flatten();
            readings.push(Reading { node, places, map });
        }
    }
    readings
}

/// Scale and shift of every cell of these places, if `op` is an affine map that can be absorbed.
fn map(op: &Op, places: &ArrayD<f32>) -> Option<[ArrayD<f32>; 2]> {
    let (scale, shift) = op.affine()?;
    let inverts = scale.iter().all(|s| s.is_normal()) && shift.iter().all(|s| s.is_finite());
    let whole = places.iter().all(|&place| place > 0.0);
    let spread = |x: &ArrayD<f32>| {
        let cells: Vec<f32> = x.broadcast(places.raw_dim())?.iter().copied().collect();
        ArrayD::from_shape_vec(places.raw_dim(), cells).ok()
    };
    (inverts && whole).then(|| Some([spread(scale)?, spread(shift)?]))?
}

/// What becomes of every cell of the sources before it is read, and the absorbed maps that disagree
/// with another reading.
fn demands(
    carried: &Carried,
    readings: &[Reading],
    absorbed: &[bool],
) -> (Vec<Demand>, Vec<usize>) {
    let mut demands: Vec<Option<(Demand, usize)>> = vec![None; carried.cells()];
    let mut kept = vec![];
    for (k, reading) in readings.iter().enumerate() {
        for (cell, demand) in reading.cells(absorbed[k]) {
            let (first, by) = *demands[cell].get_or_insert((demand, k));
            if first != demand {
                kept.extend([k, by].into_iter().filter(|&k| absorbed[k]));
            }
        }
    }
    let demands: Vec<Demand> = demands
        .into_iter()
        .map(|d| d.map_or(AS_IT_IS, |d| d.0))
        .collect();
    // A key holds the features.
    for cells in carried.of_sources() {
        if compact(&demands[cells.clone()]).is_none() {
            kept.extend(touching(readings, absorbed, &cells));
        }
    }
    (demands, kept)
}

/// The absorbed maps that read some of the cells.
fn touching<'a>(
    readings: &'a [Reading],
    absorbed: &'a [bool],
    cells: &'a Range<usize>,
) -> impl Iterator<Item = usize> + 'a {
    let touches = |r: &Reading| r.cells(false).any(|(cell, _)| cells.contains(&cell));
    (0..readings.len()).filter(move |&k| absorbed[k] && touches(&readings[k]))
}

/// The cells of the sources which the maps do not bring to one size, but take from it: one scale would
/// be coarse for the small ones.
fn made_unlike(
    carried: &Carried,
    calibration: &Calibration,
    demands: &[Demand],
) -> Vec<Range<usize>> {
    let ratio = |sizes: &[f64]| {
        let sizes = sizes.iter().filter(|&&size| size > 0.0);
        let (least, most) = sizes.fold((f64::INFINITY, 0.0_f64), |(a, b), &x| (a.min(x), b.max(x)));
        if most > 0.0 { most / least } else { 1.0 }
    };
    let inputs: Vec<usize> = carried.graph.inputs().map(|v| v.0).collect();
    let sources = carried.sources.iter().zip(carried.of_sources());
    let worse = |(source, cells): (&usize, Range<usize>)| {
        let input = inputs.iter().position(|v| v == source)?;
        let demands = &demands[cells.clone()];
        let mut before = vec![0.0_f64; demands.len()];
        let mut after = before.clone();
        for sample in calibration.samples() {
            for (k, (&x, &(scale, shift))) in sample[input].iter().zip(demands).enumerate() {
                let x = f64::from(x);
                before[k] = before[k].max(x.abs());
                after[k] = after[k].max((x * f64::from(scale) + f64::from(shift)).abs());
            }
        }
        (ratio(&after) > policy::MADE_UNLIKE * ratio(&before)).then_some(cells)
    };
    sources.filter_map(worse).collect()
}

/// The features of every input of the graph, where they are more than its cells as they are.
fn features(carried: &Carried, demands: &[Demand]) -> Vec<Option<Features>> {
    let mut sources = carried.of_sources();
    let feature = |v: usize| {
        let cells = carried.sources.contains(&v).then(|| sources.next())??;
        let demands = &demands[cells];
        let changed = demands.iter().any(|&demand| demand != AS_IT_IS);
        changed.then(|| compact(demands))?
    };
    carried.graph.inputs().map(|v| v.0).map(feature).collect()
}

/// The fewest features of which the cells are; `None` if there are too many.
fn compact(demands: &[Demand]) -> Option<Features> {
    let inner = divisors(demands.len())
        .filter(|n| {
            demands
                .chunks(*n)
                .all(|run| run.iter().all(|d| *d == run[0]))
        })
        .last()?;
    let firsts: Vec<Demand> = demands.iter().step_by(inner).copied().collect();
    let repeats = |n: &usize| firsts.iter().zip(&firsts[*n..]).all(|(a, b)| a == b);
    let count = divisors(firsts.len()).find(repeats)?;
    let (scale, shift) = firsts[..count].iter().copied().unzip();
    (count <= MAX_FEATURES).then_some(Features {
        scale,
        shift,
        inner,
    })
}

/// From 1 on.
fn divisors(n: usize) -> impl Iterator<Item = usize> {
    (1..=n).filter(move |d| n.is_multiple_of(*d))
}

impl Features {
    /// What is rounded of all cells.
    pub(super) fn of_all(&self, x: &ArrayD<f32>) -> ArrayD<f32> {
        let cells = x.iter().enumerate().map(|(i, &x)| self.of(i, x));
        ArrayD::from_shape_vec(IxDyn(x.shape()), cells.collect()).expect("as many cells")
    }

    /// Whether what is rounded, no less than this in calibration, is that of numbers of which none was
    /// negative, nor made negative.
    pub(super) fn are_nonnegative(&self, least: f64) -> bool {
        let below = |&t: &f32| t >= 0.0 && f64::from(t) <= least;
        self.scale.iter().all(|&s| s > 0.0) && self.shift.iter().all(below)
    }

    /// Whether they bring features of unlike sizes to one size.
    pub(super) fn are_unlike(&self) -> bool {
        let sizes = self.scale.iter().map(|s| s.abs());
        let (least, most) = sizes.fold((f32::INFINITY, 0.0_f32), |(a, b), s| (a.min(s), b.max(s)));
        most / least >= policy::UNLIKE_FEATURES
    }
}
