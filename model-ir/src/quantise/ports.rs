//! Real inputs to integers and integers to real outputs: `real = scale * integer`.

use crate::int::{Graph, Interval, Ints, Port, PortKind, RunError, Trace};
use ndarray::{ArrayD, IxDyn};

/// Integer inputs of a batch that fit a graph: made of real ones by [`Graph::quantise_inputs`], or
/// of integers by [`Inputs::new`]. There are as many tensors as ports, all of one number of
/// inferences, and every cell lies in its port's interval.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inputs {
    /// One per graph input, dense `[B, axes..]`.
    pub cells: Vec<Ints>,
    /// How many cells of real ports lay beyond their port's interval and were clamped to it, or are
    /// clamped by the model to the calibrated range of their feature: the calibration samples did not
    /// represent these inputs.
    pub saturated: usize,
}

impl Inputs {
    /// The inputs with these cells, one dense tensor `[B, axes..]` for each port; `B` follows from
    /// their lengths.
    ///
    /// # Errors
    /// Tensors of the wrong number or lengths, or a cell outside of its port's interval.
    pub fn new(graph: &Graph, cells: &[Vec<i64>]) -> Result<Self, RunError> {
        let ports = &graph.inputs;
        if cells.len() != ports.len() {
            return Err(RunError::InputCount {
                got: cells.len(),
                expected: ports.len(),
            });
        }
        let mut typed = Vec::with_capacity(ports.len());
        let mut batch = None;
        for (port, x) in ports.iter().zip(cells) {
            let node = graph.node(port.tensor);
            let (cells, interval) = (node.cells(), node.interval);
            let input = || port.name.clone();
            if x.is_empty() || !x.len().is_multiple_of(cells) {
                return Err(RunError::InputLength {
                    input: input(),
                    got: x.len(),
                    cells,
                });
            }
            let got = x.len() / cells;
            let expected = *batch.get_or_insert(got);
            if got != expected {
                return Err(RunError::BatchSize {
                    input: input(),
                    got,
                    expected,
                });
            }
            if let Some(index) = x.iter().position(|&x| !interval.contains(x)) {
                return Err(RunError::InputCell {
                    input: input(),
                    index,
                    value: x[index],
                    interval,
                });
            }
            typed.push(typed_cells(interval, x));
        }
        Ok(Self {
            cells: typed,
            saturated: 0,
        })
    }
}

/// Why inputs do not fit a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// No inferences.
    #[error("a batch needs at least one inference")]
    EmptyBatch,
    /// The wrong number of arrays.
    #[error("inference {inference}: got {got} input arrays, expected {expected}")]
    Count {
        /// Index in the batch.
        inference: usize,
        /// Given.
        got: usize,
        /// The model's.
        expected: usize,
    },
    /// An array of the wrong shape.
    #[error("inference {inference}, input `{input}`: got shape {got:?}, expected {expected:?}")]
    Shape {
        /// Index in the batch.
        inference: usize,
        /// The port's name.
        input: String,
        /// Given.
        got: Vec<usize>,
        /// The port's.
        expected: Vec<usize>,
    },
    /// NaN or an infinity.
    #[error(
        "inference {inference}, input `{input}`: cell {cell} is {value}, but this input takes finite \
         numbers: fill in missing values (NaN) before the model, or, if its own operators take \
         them, set up with calibration samples that have some"
    )]
    NotFinite {
        /// Index in the batch.
        inference: usize,
        /// The port's name.
        input: String,
        /// Row-major index of the cell.
        cell: usize,
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// A fraction where the model takes integers.
    #[error(
        "inference {inference}, input `{input}`: cell {cell} is {value}, but this input takes \
         integers"
    )]
    NotInteger {
        /// Index in the batch.
        inference: usize,
        /// The port's name.
        input: String,
        /// Row-major index of the cell.
        cell: usize,
        /// The value, in decimal.
        value: String,
    },
    /// An integer beyond what the quantised model was made for.
    #[error(
        "inference {inference}, input `{input}`: cell {cell} is {value}, but the quantised model \
         takes {lo} to {hi}: an index must lie inside its axis; other integers are taken after a \
         setup with calibration samples that reach them"
    )]
    OutOfRange {
        /// Index in the batch.
        inference: usize,
        /// The port's name.
        input: String,
        /// Row-major index of the cell.
        cell: usize,
        /// The integer, in decimal.
        value: String,
        /// Smallest that is taken.
        lo: i64,
        /// Largest that is taken.
        hi: i64,
    },
}

impl Graph {
    /// The integers of a batch of real inputs: each cell, or what its port's features make of it,
    /// divided by its port's scale, rounded to the nearest integer, the even one of two, and clamped
    /// to the port's interval; cells of
    /// an integer port must be integers inside it. NaN is the lowest integer of a port that may have
    /// missing cells, and no number is. `batch[i]` is inference `i`, one array per input
    /// port, of the port's shape.
    pub fn quantise_inputs(&self, batch: &[Vec<ArrayD<f32>>]) -> Result<Inputs, InputError> {
        if batch.is_empty() {
            return Err(InputError::EmptyBatch);
        }
        for (inference, arrays) in batch.iter().enumerate() {
            if arrays.len() != self.inputs.len() {
                return Err(InputError::Count {
                    inference,
                    got: arrays.len(),
                    expected: self.inputs.len(),
                });
            }
        }
        let mut saturated = 0;
        let mut cells = Vec::with_capacity(self.inputs.len());
        for (k, port) in self.inputs.iter().enumerate() {
            let arrays = batch.iter().map(|arrays| &arrays[k]);
            let (integers, beyond) = self.quantise_input(port, arrays)?;
            cells.push(typed_cells(self.node(port.tensor).interval, &integers));
            saturated += beyond;
        }
        Ok(Inputs { cells, saturated })
    }

    /// The same of one input: its integers, and how many were clamped.
    ///
    /// # Errors
    /// As for [`quantise_inputs`](Self::quantise_inputs).
    pub fn quantise_input<'a>(
        &self,
        port: &Port,
        arrays: impl IntoIterator<Item = &'a ArrayD<f32>>,
    ) -> Result<(Vec<i64>, usize), InputError> {
        let interval = self.node(port.tensor).interval;
        let (mut integers, mut saturated) = (Vec::new(), 0);
        for (inference, array) in arrays.into_iter().enumerate() {
            saturated += quantise(port, interval, inference, array, &mut integers)?;
        }
        Ok((integers, saturated))
    }

    /// The real outputs of every inference of a run, one array per output port.
    ///
    /// # Panics
    /// If the trace is not of this graph.
    pub fn dequantise_outputs(&self, trace: &Trace) -> Vec<Vec<ArrayD<f32>>> {
        let output = |inference: usize, port: &Port| {
            let tensor = &trace.tensors[port.tensor.0];
            let cells = tensor.len() / trace.batch;
            let real = |i| (tensor.get(i) as f64 * port.scale) as f32;
            let cells = (inference * cells..(inference + 1) * cells).map(real);
            ArrayD::from_shape_vec(IxDyn(&port.shape), cells.collect())
                .expect("a port's shape has its tensor's cells")
        };
        let inference = |i| self.outputs.iter().map(|port| output(i, port)).collect();
        (0..trace.batch).map(inference).collect()
    }
}

/// Cells of `interval` in the smallest type that holds it.
fn typed_cells(interval: Interval, cells: &[i64]) -> Ints {
    let mut ints = Ints::zeros(interval, cells.len());
    match &mut ints {
        Ints::I16(v) => v.iter_mut().zip(cells).for_each(|(v, &x)| *v = x as i16),
        Ints::I32(v) => v.iter_mut().zip(cells).for_each(|(v, &x)| *v = x as i32),
        Ints::I64(v) => v.copy_from_slice(cells),
    }
    ints
}

/// Appends the integers of one array; how many were clamped.
fn quantise(
    port: &Port,
    interval: Interval,
    inference: usize,
    array: &ArrayD<f32>,
    integers: &mut Vec<i64>,
) -> Result<usize, InputError> {
    if array.shape() != port.shape {
        return Err(InputError::Shape {
            inference,
            input: port.name.clone(),
            got: array.shape().to_vec(),
            expected: port.shape.clone(),
        });
    }
    let mut saturated = 0;
    let ordinary = port.ordinary(interval);
    for (cell, &x) in array.iter().enumerate() {
        if x.is_nan() && port.kind == PortKind::RealOrMissing {
            integers.push(interval.lo);
            continue;
        }
        if !x.is_finite() {
            return Err(InputError::NotFinite {
                inference,
                input: port.name.clone(),
                cell,
                value: x.to_string(),
            });
        }
        let number = port
            .features
            .as_ref()
            .map_or(x, |features| features.of(cell, x));
        let integer = (f64::from(number) / port.scale).round_ties_even() as i64;
        let clamped = integer.clamp(ordinary.lo, ordinary.hi);
        if port.kind == PortKind::Integer && (x.fract() != 0.0 || clamped != integer) {
            return Err(refused(port, interval, inference, cell, x));
        }
        saturated += usize::from(clamped != integer);
        integers.push(clamped);
    }
    Ok(saturated)
}

impl Port {
    /// The integers of `interval` that stand for numbers.
    fn ordinary(&self, interval: Interval) -> Interval {
        match self.kind {
            PortKind::Real | PortKind::Integer => interval,
            PortKind::RealOrMissing => Interval {
                lo: (interval.lo + 1).min(interval.hi),
                ..interval
            },
        }
    }
}

/// What is wrong with a cell of an integer port.
fn refused(port: &Port, interval: Interval, inference: usize, cell: usize, x: f32) -> InputError {
    let (input, value) = (port.name.clone(), x.to_string());
    if x.fract() != 0.0 {
        return InputError::NotInteger {
            inference,
            input,
            cell,
            value,
        };
    }
    InputError::OutOfRange {
        inference,
        input,
        cell,
        value,
        lo: (interval.lo as f64 * port.scale).ceil() as i64,
        hi: (interval.hi as f64 * port.scale).floor() as i64,
    }
}
