//! Random graphs: one operator after the other, on values that are there, chains and diamonds.
//!
//! The reference is run on every sample as the graph grows, so that types, shapes and ranges of all
//! values are known; an operator whose results are not finite there, or too large, is taken back.

mod array;
mod elementwise;
mod network;
mod table;

use super::graph::{Attribute, Case, Node, Values};
use super::number::Random;
use super::reference;
use super::tensor::{Tensor, Type, broadcast};
use std::collections::BTreeSet;

pub(super) use table::RECIPES;

/// Most cells of a value.
const CELLS: usize = 256;
/// Most nodes that are tried for each one that is wanted.
const TRIES: usize = 12;

/// A way to add an operator: what it is called in ONNX, and the node on some of the values; `None`
/// where no value suits it.
pub(super) struct Recipe {
    pub(super) op: &'static str,
    pub(super) make: fn(&mut Maker, &'static str) -> Option<Node>,
    /// How often, beside the others.
    pub(super) weight: usize,
}

/// A graph that grows.
pub(super) struct Maker {
    pub(super) random: Random,
    case: Case,
    /// Every value on every sample.
    runs: Vec<Values>,
    /// Values that depend on inputs, the latest last.
    names: Vec<String>,
    fresh: usize,
}

/// Graph `index` of the search from `seed`.
pub(super) fn graph(seed: u64, index: u64) -> Option<Case> {
    let mut maker = Maker::new(Random::new(seed, index));
    let wanted = maker.random.int(2, 12) as usize;
    // Some graphs are about few operators, so that pairs of them meet often.
    let few = maker.random.chance(0.3);
    let chosen: Vec<&Recipe> = (0..4).map(|_| maker.recipe()).collect();
    for _ in 0..wanted * TRIES {
        if maker.case.nodes.len() >= wanted {
            break;
        }
        let recipe = if few {
            maker.random.pick(&chosen)
        } else {
            maker.recipe()
        };
        if let Some(node) = (recipe.make)(&mut maker, recipe.op) {
            maker.add(node);
        }
    }
    maker.finish()
}

/// A graph of one operator, and of what its operands need.
#[cfg(test)]
pub(super) fn single(seed: u64, index: u64, recipe: &Recipe) -> Option<Case> {
    let mut maker = Maker::new(Random::new(seed, index));
    let node = (recipe.make)(&mut maker, recipe.op)?;
    maker.add(node)?;
    maker.finish()
}

impl Maker {
    fn new(random: Random) -> Self {
        let mut maker = Self {
            random,
            case: Case::default(),
            runs: Vec::new(),
            names: Vec::new(),
            fresh: 0,
        };
        let samples = maker.random.pick(&[1, 2, 3, 4, 4, 6]) + 1;
        maker.case.samples = vec![Vec::new(); samples];
        maker.runs = vec![Values::new(); samples];
        for _ in 0..maker.random.pick(&[1, 1, 1, 2, 2, 3]) {
            maker.input();
        }
        maker
    }

    fn recipe(&mut self) -> &'static Recipe {
        let total = RECIPES.iter().map(|r| r.weight).sum();
        let mut left = self.random.below(total);
        for recipe in RECIPES {
            match left.checked_sub(recipe.weight) {
                Some(rest) => left = rest,
                None => return recipe,
            }
        }
        &RECIPES[0]
    }

    /// A shape of this many axes.
    pub(super) fn shape(&mut self, rank: usize) -> Vec<usize> {
        let lengths: &[usize] = match rank {
            0 | 1 => &[1, 2, 3, 5, 6, 7, 8, 13],
            2 => &[1, 2, 3, 4, 5, 7],
            _ => &[1, 2, 3, 4, 5],
        };
        let mut shape: Vec<usize> = (0..rank).map(|_| self.random.pick(lengths)).collect();
        // A batch of one is the rule.
        if rank > 1 && self.random.chance(0.5) {
            shape[0] = 1;
        }
        shape
    }

    fn input(&mut self) {
        let rank = self.random.pick(&[0, 1, 1, 2, 2, 2, 3, 3, 4, 4]);
        let shape = match self.names.last() {
            // Of a shape that fits to that of another.
            Some(name) if self.random.chance(0.6) => self.runs[0][name].shape.clone(),
            _ => self.shape(rank),
        };
        let kind = self.random.pick(&[
            Type::Float,
            Type::Float,
            Type::Float,
            Type::Float,
            Type::Float,
            Type::Float,
            Type::Int64,
            Type::Bool,
        ]);
        let name = format!("x{}", self.case.inputs.len());
        let mut cell = self.distribution(kind);
        for i in 0..self.runs.len() {
            let cells = (0..shape.iter().product()).map(|k| cell(&mut self.random, k));
            let tensor = Tensor::new(kind, &shape, cells.collect());
            self.case.samples[i].push(tensor.clone());
            self.runs[i].insert(name.clone(), tensor);
        }
        self.case.inputs.push(name.clone());
        self.names.push(name);
    }

    /// A way to draw the cells of an input.
    fn distribution(&mut self, kind: Type) -> Box<dyn FnMut(&mut Random, usize) -> f64> {
        let random = &mut self.random;
        match kind {
            Type::Bool => Box::new(|r, _| f64::from(u8::from(r.chance(0.5)))),
            Type::Float => {
                let scale = random.pick(&[1.0, 1.0, 1.0, 3.0, 0.1, 10.0, 100.0, 1e-3]);
                let shift = random.pick(&[0.0, 0.0, 0.0, 0.0, 1.0, -1.0, 3.0]) * scale;
                match random.below(12) {
                    0 => Box::new(move |r, _| f64::from(r.int(-4, 4) as i32)),
                    1 => Box::new(move |r, _| r.real(0.0, scale)),
                    2 => Box::new(move |r, _| {
                        if r.chance(0.6) {
                            0.0
                        } else {
                            r.real(-scale, scale)
                        }
                    }),
                    // Features of unlike sizes.
                    3 => Box::new(move |r, k| {
                        let size = [1.0, 100.0, 0.01][k % 3];
                        r.real(-scale * size, scale * size)
                    }),
                    4 if random.chance(0.3) => {
                        let all = random.pick(&[0.0, 1.0, -2.5]);
                        Box::new(move |_, _| all)
                    }
                    _ => Box::new(move |r, _| r.real(shift - scale, shift + scale)),
                }
            }
            _ => {
                let (lo, hi) = random.pick(&[(0, 1), (0, 3), (-3, 3), (0, 9), (-100, 100), (1, 5)]);
                Box::new(move |r, _| r.int(lo, hi) as f64)
            }
        }
    }

    fn name(&mut self, start: &str) -> String {
        self.fresh += 1;
        format!("{start}{}", self.fresh)
    }

    /// The tensor of a value on the first sample: its type and shape.
    pub(super) fn of(&self, name: &str) -> &Tensor {
        &self.runs[0][name]
    }

    /// The hull of a value's cells on all samples.
    pub(super) fn range(&self, name: &str) -> (f64, f64) {
        let cells = self.runs.iter().flat_map(|run| &run[name].cells);
        cells.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), &x| {
            (lo.min(x), hi.max(x))
        })
    }

    /// A value that suits; a late one rather than an early one.
    pub(super) fn value(&mut self, suits: impl Fn(&Tensor) -> bool) -> Option<String> {
        let names = self.names.iter().filter(|name| suits(self.of(name)));
        let names: Vec<String> = names.cloned().collect();
        if names.is_empty() {
            return None;
        }
        let last = names.len() - 1;
        let from = if self.random.chance(0.5) {
            last.saturating_sub(1)
        } else {
            0
        };
        Some(names[from + self.random.below(last + 1 - from)].clone())
    }

    pub(super) fn float(&mut self) -> Option<String> {
        self.value(|t| t.kind.is_float())
    }

    pub(super) fn float_of(&mut self, ranks: std::ops::RangeInclusive<usize>) -> Option<String> {
        self.value(|t| t.kind.is_float() && ranks.contains(&t.rank()))
    }

    /// A float value inside `lo..=hi`, made so if there is none.
    pub(super) fn inside(&mut self, lo: f64, hi: f64) -> Option<String> {
        let names = self.names.iter().filter(|name| {
            let (a, b) = self.range(name);
            self.of(name).kind.is_float() && lo <= a && b <= hi
        });
        let names: Vec<String> = names.cloned().collect();
        if !names.is_empty() {
            return Some(self.random.pick(&names));
        }
        let x = self.float()?;
        let op = if hi < 2.0 && lo < 0.0 {
            "Tanh"
        } else {
            "Sigmoid"
        };
        let y = self.apply(op, &[&x])?;
        if hi >= 2.0 {
            let (scale, shift) = (self.random.pick(&[1.0, 3.0, 10.0]), lo.max(-10.0));
            let scale = self.constant(Tensor::scalar(Type::Float, scale));
            let y = self.apply("Mul", &[&y, &scale])?;
            let shift = self.constant(Tensor::scalar(Type::Float, shift));
            return self.apply("Add", &[&y, &shift]);
        }
        let (a, b) = self.range(&y);
        (lo <= a && b <= hi).then_some(y)
    }

    pub(super) fn constant(&mut self, tensor: Tensor) -> String {
        let name = self.name("c");
        for run in &mut self.runs {
            run.insert(name.clone(), tensor.clone());
        }
        self.case.constants.insert(name.clone(), tensor);
        name
    }

    /// Integers as a constant list.
    pub(super) fn list(&mut self, cells: &[i64]) -> String {
        self.constant(Tensor::list(cells))
    }

    /// A constant of this type and shape.
    pub(super) fn weights(&mut self, kind: Type, shape: &[usize]) -> String {
        let random = &mut self.random;
        let scale = random.pick(&[1.0, 1.0, 1.0, 0.3, 3.0, 0.01, 20.0]);
        let way = random.below(16);
        let cells = (0..shape.iter().product::<usize>()).map(|k| match (kind, way) {
            (Type::Bool, _) => f64::from(u8::from(random.chance(0.5))),
            (Type::Float, 0) => 0.0,
            (Type::Float, 1) => scale,
            (Type::Float, 2) => random.int(-3, 3) as f64,
            (Type::Float, 3) => f64::from((scale * [1.0, -50.0, 0.01][k % 3]) as f32),
            (Type::Float, 4) => f64::from(random.real(0.5, 1.5) as f32),
            (Type::Float, _) => random.real(-scale, scale),
            (Type::Uint8, _) => random.int(0, 9) as f64,
            _ => random.int(-4, 4) as f64,
        });
        let tensor = Tensor::new(kind, shape, cells.collect());
        self.constant(tensor)
    }

    /// A second operand beside `x`: another value of its type, or a constant, broadcast either way.
    pub(super) fn beside(&mut self, x: &str) -> Option<String> {
        let (kind, shape) = (self.of(x).kind, self.of(x).shape.clone());
        if self.random.chance(0.6) {
            let fits = |t: &Tensor| {
                t.kind == kind
                    && broadcast(&[&t.shape, &shape])
                        .is_some_and(|s| s.iter().product::<usize>() <= CELLS)
            };
            if let Some(y) = self.value(fits) {
                return Some(y);
            }
        }
        let shape = self.broadcastable(&shape);
        Some(self.weights(kind, &shape))
    }

    /// A shape that is broadcast with `shape`.
    pub(super) fn broadcastable(&mut self, shape: &[usize]) -> Vec<usize> {
        let mut other = shape.to_vec();
        for n in &mut other {
            if self.random.chance(0.35) {
                *n = if *n == 1 {
                    self.random.pick(&[1, 2, 3])
                } else {
                    1
                };
            }
        }
        while !other.is_empty() && self.random.chance(0.25) {
            other.remove(0);
        }
        other
    }

    /// An axis, counted from either end.
    pub(super) fn axis(&mut self, rank: usize) -> Option<(usize, i64)> {
        if rank == 0 {
            return None;
        }
        let axis = self.random.below(rank);
        let named = if self.random.chance(0.4) {
            axis as i64 - rank as i64
        } else {
            axis as i64
        };
        Some((axis, named))
    }

    /// Adds a node of one result, and names it.
    pub(super) fn apply(&mut self, op: &str, operands: &[&str]) -> Option<String> {
        self.add(Node::new(op, operands, "?"))
    }

    /// Adds a node; the name of its first result.
    pub(super) fn add(&mut self, mut node: Node) -> Option<String> {
        for output in &mut node.outputs {
            *output = self.name("v");
        }
        let results: Option<Vec<Vec<Tensor>>> = self
            .runs
            .iter()
            .map(|run| reference::run(&node, run).ok())
            .collect();
        let results = results?;
        let wild = self.random.chance(0.002);
        let fine = |t: &Tensor| {
            let cells = t.cells.iter();
            let most = cells.clone().map(|x| x.abs()).fold(0.0, f64::max);
            let finite = wild || (cells.clone().all(|x| x.is_finite()) && most < 1e5);
            finite && (1..=CELLS).contains(&t.len()) && t.rank() <= 6
        };
        if !results.iter().flatten().all(fine) {
            return None;
        }
        let shapes = |r: &Vec<Tensor>| r.iter().map(|t| t.shape.clone()).collect::<Vec<_>>();
        if results.iter().any(|r| shapes(r) != shapes(&results[0])) {
            return None;
        }
        let depends = node.inputs.iter().any(|x| self.names.contains(x));
        for (run, results) in self.runs.iter_mut().zip(results) {
            for (name, tensor) in node.outputs.iter().zip(results) {
                run.insert(name.clone(), tensor);
            }
        }
        if depends {
            self.names.extend(node.outputs.iter().cloned());
        }
        let first = node.outputs[0].clone();
        self.case.nodes.push(node);
        Some(first)
    }

    /// The graph: its outputs are the values that nothing reads, and sometimes one that is read.
    fn finish(mut self) -> Option<Case> {
        let read: BTreeSet<&String> = self.case.nodes.iter().flat_map(|n| &n.inputs).collect();
        let computed = self.case.nodes.iter().flat_map(|n| &n.outputs);
        let computed: Vec<String> = computed
            .filter(|n| self.names.contains(n))
            .cloned()
            .collect();
        let mut outputs: Vec<String> = computed
            .iter()
            .filter(|n| !read.contains(n))
            .cloned()
            .collect();
        if outputs.is_empty() {
            return None;
        }
        if self.random.chance(0.15) {
            let more = self.random.pick(&computed);
            if !outputs.contains(&more) {
                outputs.push(more);
            }
        }
        while outputs.len() > 4 {
            let k = self.random.below(outputs.len());
            outputs.remove(k);
        }
        self.case.outputs = outputs;
        self.case.prune();
        Some(self.case)
    }
}

/// `Attribute::Ints` of lengths.
pub(super) fn lengths(list: &[usize]) -> Attribute {
    Attribute::Ints(list.iter().map(|&n| n as i64).collect())
}
