//! What is right.
//!
//! * Importing, quantising and running never panic. A refusal is right if it names a node or an
//!   input.
//! * The float executor gives what the reference gives, up to what single precision may cost: the
//!   reference is run again with noise of that size at every node, and ten times the largest
//!   deviation is allowed.
//! * The integer model gives what the reference gives, up to what its precision may cost: the float
//!   graph is run again with noise of one step at every node ([`noise`](super::noise)). A float
//!   output may deviate by three times as much as the noise made it deviate, and by a small part of
//!   its range; an integer or a truth value is one of those that noise gave at its place. Where it
//!   does not, setup may have said so: such a graph is counted by itself.
//! * Every cell of every integer tensor lies in the interval that the model declares.
//! * Samples of the calibration are never refused. Another input may be, and is compared only if
//!   no node of the float graph leaves the range that calibration saw: beyond it the integer model
//!   saturates, which is its definition.
//! * Names and the order of nodes change nothing.

use super::agreement::{Trust, between, most, same, size};
use super::graph::{Case, Values};
use super::noise::{Effort, Noisy};
use super::number::Random;
use super::panics::guarded;
use super::runtime::Runtime;
use super::tensor::{Tensor, Type};
use crate::args::Profile;
use crate::described;
use ndarray::{ArrayD, IxDyn};
use zkstrata_model_ir::float::{Graph, Node, Op};
use zkstrata_model_ir::int::{Executor, Model, Trace};
use zkstrata_model_ir::quantise::{Accuracy, Calibration, Error, Options, quantise};

/// What is wrong with a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A panic.
    Panic,
    /// The float executor against the reference.
    Float,
    /// The integer model against the reference.
    Integers,
    /// A cell outside of its declared interval.
    Interval,
    /// A calibration sample that the model does not take.
    Sample,
    /// An integer model that is none.
    Malformed,
    /// A refusal that does not say of what.
    Nameless,
    /// The reference against onnxruntime.
    Reference,
    /// A dependence on names or on the order of nodes.
    Order,
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) profile: Option<Profile>,
    /// The sample that shows it.
    pub(super) sample: usize,
    pub(super) detail: String,
}

/// What became of a graph.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It was compared; `loose` if noise was allowed to change some output by more than a tenth.
    Right {
        loose: bool,
    },
    /// It was turned down, and why.
    Refused(String),
    /// Setup says that the integer model does not stand for the graph, and it does not.
    Told(Fault),
    Wrong(Fault),
    /// The reference cannot run it: no graph of the search.
    Invalid(String),
}

/// Whether a graph is also judged by other names and in another order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// As it is.
    Once,
    /// Both.
    Again,
}

/// Why a graph is not right: a verdict other than that.
type Stop = Verdict;

fn wrong(kind: Kind, sample: usize, profile: Option<Profile>, detail: String) -> Stop {
    Verdict::Wrong(Fault {
        kind,
        profile,
        sample,
        detail,
    })
}

/// Judges a graph.
pub(super) fn judge(
    case: &Case,
    profiles: &[Profile],
    depth: Depth,
    runtime: Option<&mut Runtime>,
) -> Verdict {
    match attempt(case, profiles, depth, runtime) {
        Ok(loose) => Verdict::Right { loose },
        Err(stop) => stop,
    }
}

/// A graph that was imported, and its runs.
struct Judged<'a> {
    case: &'a Case,
    runs: Vec<Values>,
    graph: Graph,
    /// The samples in the order of the graph's inputs.
    samples: Vec<Vec<ArrayD<f32>>>,
    /// Every node of the float graph on every sample.
    floats: Vec<Vec<ArrayD<f32>>>,
}

fn attempt(
    case: &Case,
    profiles: &[Profile],
    depth: Depth,
    runtime: Option<&mut Runtime>,
) -> Result<bool, Stop> {
    let runs = reference(case)?;
    if let Some(runtime) = runtime {
        agree(case, &runs, runtime)?;
    }
    let judged = Judged::new(case, runs)?;
    judged.computes()?;
    for i in 0..judged.samples.len() {
        judged.float(i)?;
    }
    let mut loose = false;
    for &profile in profiles {
        loose |= judged.integers(profile)?;
    }
    if depth == Depth::Again {
        let mut random = Random::new(case.nodes.len() as u64, case.samples.len() as u64);
        let other = case.renamed(&mut random);
        judged.named(&other)?;
        judged.order(&other.reordered(&mut random))?;
    }
    Ok(loose)
}

/// Every value of the reference, by sample. A graph that was shrunk too far may be none: operands
/// of the wrong shape.
fn reference(case: &Case) -> Result<Vec<Values>, Stop> {
    let runs = guarded(|| (0..case.samples.len()).map(|i| case.run(i)).collect());
    let runs: Vec<Values> = runs.unwrap_or_else(Err).map_err(Verdict::Invalid)?;
    if !case.outputs.iter().all(|name| runs[0].contains_key(name)) {
        return Err(Verdict::Invalid("an output that nothing gives".into()));
    }
    Ok(runs)
}

/// Compares the reference with onnxruntime, which says nothing of what it does not run.
fn agree(case: &Case, runs: &[Values], runtime: &mut Runtime) -> Result<(), Stop> {
    let Ok(outputs) = runtime.run(case, &runs[0]) else {
        return Ok(());
    };
    for (i, outputs) in outputs.iter().enumerate() {
        let mut noisy = None;
        for (name, found) in case.outputs.iter().zip(outputs) {
            let cells: Vec<f64> = found.iter().copied().collect();
            let found = (found.shape(), &*cells);
            let same = same(case, &runs[i], (i, name), found, Trust::Runtime, &mut noisy);
            same.map_err(|detail| wrong(Kind::Reference, i, None, detail))?;
        }
    }
    Ok(())
}

fn imported(bytes: &[u8]) -> Result<Graph, Stop> {
    let graph = guarded(|| zkstrata_onnx_import::import(bytes));
    let graph = graph.map_err(|detail| wrong(Kind::Panic, 0, None, detail))?;
    graph.map_err(|error| refused(&described(&error)))
}

fn refused(reason: &str) -> Stop {
    if reason.contains('`') {
        Verdict::Refused(reason.to_owned())
    } else {
        wrong(Kind::Nameless, 0, None, reason.to_owned())
    }
}

fn samples(case: &Case, graph: &Graph) -> Vec<Vec<ArrayD<f32>>> {
    let places = graph.inputs().map(|value| {
        let name = &graph.nodes()[value.0].name;
        case.inputs.iter().position(|n| n == name)
    });
    let places: Vec<usize> = places
        .map(|k| k.expect("inputs keep their names"))
        .collect();
    let array = |t: &Tensor| {
        let cells = t.cells.iter().map(|&x| x as f32).collect();
        ArrayD::from_shape_vec(IxDyn(&t.shape), cells).expect("a cell each")
    };
    let samples = case.samples.iter();
    samples
        .map(|s| places.iter().map(|&k| array(&s[k])).collect())
        .collect()
}

impl<'a> Judged<'a> {
    fn new(case: &'a Case, runs: Vec<Values>) -> Result<Self, Stop> {
        let graph = imported(&case.encode(&runs[0]))?;
        let samples = samples(case, &graph);
        let mut floats = Vec::new();
        for (i, sample) in samples.iter().enumerate() {
            let run = guarded(|| graph.run(sample));
            let run = run.map_err(|detail| wrong(Kind::Panic, i, None, detail))?;
            floats.push(run.map_err(|e| wrong(Kind::Float, i, None, described(&e)))?);
        }
        Ok(Self {
            case,
            runs,
            graph,
            samples,
            floats,
        })
    }

    /// The largest magnitude of an output on any sample; 1 if it is always 0.
    fn range(&self, name: &str) -> f64 {
        let most = self
            .runs
            .iter()
            .map(|run| size(&run[name].cells))
            .fold(0.0, f64::max);
        if most > 0.0 { most } else { 1.0 }
    }

    fn float(&self, i: usize) -> Result<(), Stop> {
        let mut noisy = None;
        for (name, value) in self.graph.outputs() {
            let found = &self.floats[i][value.0];
            let cells: Vec<f64> = found.iter().map(|&x| x.into()).collect();
            let found = (found.shape(), &*cells);
            let same = same(
                self.case,
                &self.runs[i],
                (i, name),
                found,
                Trust::Ours,
                &mut noisy,
            );
            same.map_err(|detail| wrong(Kind::Float, i, None, detail))?;
        }
        Ok(())
    }

    /// Refuses graphs in which a value is no number, but for missing cells that are read as such.
    fn computes(&self) -> Result<(), Stop> {
        let reads = |node: &Node| matches!(node.op, Op::Missing(_));
        let missing = self.graph.nodes().iter().any(reads);
        let no_number = |v: &usize| {
            self.floats
                .iter()
                .any(|run| run[*v].iter().any(|x| x.is_nan()))
        };
        match (0..self.graph.nodes().len()).find(no_number) {
            Some(v) if !missing => {
                let name = &self.graph.nodes()[v].name;
                Err(refused(&format!("node `{name}` is no number on a sample")))
            }
            _ => Ok(()),
        }
    }

    /// The integer model.
    fn model(&self, profile: Profile) -> Result<Model, Stop> {
        let calibration = self.samples[..self.samples.len() - 1].to_vec();
        let calibration = Calibration::from_samples(calibration);
        let model = guarded(|| quantise(&self.graph, &calibration, &Options::new(profile.into())));
        let model = model.map_err(|detail| wrong(Kind::Panic, 0, Some(profile), detail))?;
        let model = model.map_err(|error| match error {
            Error::Model(_) | Error::Run(_) | Error::Graph(_) => {
                wrong(Kind::Malformed, 0, Some(profile), described(&error))
            }
            error => refused(&described(&error)),
        });
        Ok(model?.model)
    }

    fn integers(&self, profile: Profile) -> Result<bool, Stop> {
        let count = self.samples.len();
        let model = self.model(profile)?;
        let executor = Executor::new(&model)
            .map_err(|e| wrong(Kind::Sample, 0, Some(profile), described(&e)))?;
        let mut loose = false;
        let mut noisy = Noisy::new(&self.graph, &self.floats[..count - 1], profile);
        for i in (0..count).rev() {
            let known = i + 1 < count || self.is_inside();
            let run = guarded(|| {
                let inputs = model.graph.quantise_inputs(&self.samples[i..=i]);
                let inputs = inputs.map_err(|e| described(&e))?;
                executor.run(&inputs.cells).map_err(|e| described(&e))
            });
            let run = run.map_err(|detail| wrong(Kind::Panic, i, Some(profile), detail))?;
            let trace = match run {
                Ok(trace) => trace,
                Err(detail) if known => {
                    return Err(wrong(Kind::Sample, i, Some(profile), detail));
                }
                Err(_) => continue,
            };
            intervals(&model, &trace).map_err(|d| wrong(Kind::Interval, i, Some(profile), d))?;
            let compared = self.outputs(&model, &trace, i, known, profile, &mut noisy);
            loose |= compared.map_err(|detail| {
                let fault = Fault {
                    kind: Kind::Integers,
                    profile: Some(profile),
                    sample: i,
                    detail,
                };
                if self.is_said(&model) {
                    Verdict::Told(fault)
                } else {
                    Verdict::Wrong(fault)
                }
            })?;
        }
        Ok(loose)
    }

    /// Whether setup says of the integer model, by the samples that calibrated it, that it does not
    /// stand for the graph.
    fn is_said(&self, model: &Model) -> bool {
        let calibration = &self.samples[..self.samples.len() - 1];
        let measured = Accuracy::measure(&self.graph, model, calibration);
        measured.is_ok_and(|accuracy| accuracy.verdict().is_err())
    }

    /// Whether the last sample leaves no range that the others span, at any node.
    fn is_inside(&self) -> bool {
        let Some((last, others)) = self.floats.split_last() else {
            return false;
        };
        last.iter().enumerate().all(|(v, x)| {
            let seen = others.iter().flat_map(|run| &run[v]);
            let (lo, hi) = hull(seen.copied());
            let (a, b) = hull(x.iter().copied());
            let room = 1e-6 * hi.max(-lo);
            a.is_finite() && b.is_finite() && lo - room <= a && b <= hi + room
        })
    }

    /// Compares the outputs of a run; whether noise allowed much.
    fn outputs(
        &self,
        model: &Model,
        trace: &Trace,
        i: usize,
        known: bool,
        profile: Profile,
        noisy: &mut Noisy<'_>,
    ) -> Result<bool, String> {
        let mut loose = false;
        for port in &model.graph.outputs {
            let name = &port.name;
            let expected = &self.runs[i][name];
            if port.shape != expected.shape {
                return Err(format!(
                    "output {name}: shape {:?}, expected {:?}",
                    port.shape, expected.shape
                ));
            }
            let tensor = &trace.tensors[port.tensor.0];
            let found: Vec<f64> = (0..tensor.len())
                .map(|k| tensor.get(k) as f64 * port.scale)
                .collect();
            if expected.kind == Type::Bool
                && let Some(k) = found
                    .iter()
                    .position(|&x| x.abs() > 1e-9 && (x - 1.0).abs() > 1e-9)
            {
                return Err(format!(
                    "output {name}: cell {k} is {}, no truth value",
                    found[k]
                ));
            }
            if expected.kind.is_integer()
                && let Some(k) = found.iter().position(|x| (x - x.round()).abs() > 1e-6)
            {
                return Err(format!(
                    "output {name}: cell {k} is {}, no integer",
                    found[k]
                ));
            }
            if !known || expected.cells.iter().any(|x| !x.is_finite()) {
                continue;
            }
            let range = self.range(name);
            let slack = if expected.kind.is_float() {
                base(profile) * range
            } else {
                1e-6
            };
            let pairs = || found.iter().zip(&expected.cells).enumerate();
            if pairs().all(|(_, (&x, &y))| (x - y).abs() <= slack) {
                continue;
            }
            let value = self.graph.outputs().iter().find(|(n, _)| n == name);
            let value = value.ok_or("an output is missing")?.1;
            let mut compared = |effort: Effort| {
                let others = noisy.values(&self.samples[i], (i, value.0), effort);
                let cells = |k: usize| others.iter().map(move |x| x[k]);
                let worst = |k: usize| {
                    cells(k)
                        .map(|x| (x - expected.cells[k]).abs())
                        .fold(0.0, most)
                };
                let pooled = (0..found.len()).map(worst).fold(0.0, f64::max);
                let allowed = |k: usize, x: f64, y: f64| {
                    if expected.kind.is_float() {
                        (x - y).abs() <= slack + 3.0 * pooled
                    } else {
                        between(x, y, cells(k))
                    }
                };
                match pairs().find(|&(k, (&x, &y))| !allowed(k, x, y)) {
                    None => Ok(pooled > 0.1 * range),
                    Some((k, (&x, &y))) => Err(format!(
                        "output {name}: cell {k} is {x}, expected {y}: an error of {:.3} of the \
                         range {range:.3e}; noise makes {:.3}",
                        (x - y).abs() / range,
                        pooled / range
                    )),
                }
            };
            loose |= compared(Effort::Some).or_else(|_| compared(Effort::Much))?;
        }
        Ok(loose)
    }

    /// Whether the model is that of the same graph by other names.
    fn named(&self, other: &Case) -> Result<(), Stop> {
        let model = |case: &Case| {
            let graph = imported(&case.encode(&reference(case)?[0]))?;
            let mut samples = samples(case, &graph);
            samples.pop();
            let calibration = Calibration::from_samples(samples);
            let options = Options::new(Profile::Fast.into());
            let model = quantise(&graph, &calibration, &options);
            let mut model = model.map_err(|e| refused(&described(&e)))?.model;
            let Model { graph, .. } = &mut model;
            graph.nodes.iter_mut().for_each(|node| node.name.clear());
            let ports = graph.inputs.iter_mut().chain(&mut graph.outputs);
            ports.for_each(|port| port.name.clear());
            Ok::<_, Stop>(model)
        };
        if model(self.case)? == model(other)? {
            return Ok(());
        }
        let detail = "other names give another model".into();
        Err(wrong(Kind::Order, 0, Some(Profile::Fast), detail))
    }

    /// Whether the same graph in another order is right as well.
    fn order(&self, other: &Case) -> Result<(), Stop> {
        let detail = match attempt(other, &[Profile::Fast], Depth::Once, None) {
            Err(Verdict::Wrong(fault)) => fault.detail,
            Err(Verdict::Refused(reason)) => reason,
            _ => return Ok(()),
        };
        let detail = format!("in another order: {detail}");
        Err(wrong(Kind::Order, 0, Some(Profile::Fast), detail))
    }
}

/// The part of its range by which every float output may be off.
fn base(profile: Profile) -> f64 {
    match profile {
        Profile::Fast => 0.02,
        Profile::Accurate => 0.003,
    }
}

fn hull(cells: impl Iterator<Item = f32>) -> (f32, f32) {
    cells.fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), x| {
        if x.is_nan() {
            (f32::NAN, f32::NAN)
        } else {
            (lo.min(x), hi.max(x))
        }
    })
}

fn intervals(model: &Model, trace: &Trace) -> Result<(), String> {
    for (node, tensor) in model.graph.nodes.iter().zip(&trace.tensors) {
        for k in 0..tensor.len() {
            let x = tensor.get(k);
            if !node.interval.contains(x) {
                return Err(format!(
                    "node `{}`: cell {k} is {x}, not in {}",
                    node.name, node.interval
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
