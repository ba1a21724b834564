//! Real inputs to integers and integers to real outputs: `real = scale * integer`.

use crate::int::{Graph, Interval, Ints, Port, Trace};
use ndarray::{ArrayD, IxDyn};

/// Integer inputs of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    /// One per graph input, dense `[B, axes..]`.
    pub cells: Vec<Ints>,
    /// How many cells lay beyond their port's interval and were clamped to it: the calibration
    /// samples did not represent these inputs.
    pub saturated: usize,
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
    #[error("inference {inference}, input `{input}`: cell {cell} is {value}")]
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
    /// A fraction for an input of integers.
    #[error("inference {inference}, input `{input}`: cell {cell} is {value}, not an integer")]
    Fraction {
        /// Index in the batch.
        inference: usize,
        /// The port's name.
        input: String,
        /// Row-major index of the cell.
        cell: usize,
        /// The cell.
        value: String,
    },
    /// An integer outside of those that the model takes.
    #[error(
        "inference {inference}, input `{input}`: cell {cell} is {value}, outside of the model's \
         {interval}"
    )]
    Outside {
        /// Index in the batch.
        inference: usize,
        /// The port's name.
        input: String,
        /// Row-major index of the cell.
        cell: usize,
        /// The cell.
        value: String,
        /// What the port takes.
        interval: Interval,
    },
}

impl Graph {
    /// The integers of a batch of real inputs: each cell divided by its port's scale, rounded
    /// to the nearest integer, the even one of two, and clamped to the port's interval. Integers
    /// are taken as they are. `batch[i]` is inference `i`, one array per input port, of the port's
    /// shape.
    ///
    /// # Errors
    /// Arrays that do not fit, numbers that are not finite, and for a port of integers fractions
    /// and what lies outside of its interval.
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
            let interval = self.node(port.tensor).interval;
            let mut integers = Vec::new();
            for (inference, arrays) in batch.iter().enumerate() {
                saturated += quantise(port, interval, inference, &arrays[k], &mut integers)?;
            }
            cells.push(Ints::from_cells(interval, &integers));
        }
        Ok(Inputs { cells, saturated })
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

impl Ints {
    /// These cells in the smallest type that holds `interval`, which they must not leave.
    pub fn from_cells(interval: Interval, cells: &[i64]) -> Self {
        let mut ints = Self::zeros(interval, cells.len());
        match &mut ints {
            Self::I16(v) => v.iter_mut().zip(cells).for_each(|(v, &x)| *v = x as i16),
            Self::I32(v) => v.iter_mut().zip(cells).for_each(|(v, &x)| *v = x as i32),
            Self::I64(v) => v.copy_from_slice(cells),
        }
        ints
    }
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
    for (cell, &x) in array.iter().enumerate() {
        if !x.is_finite() {
            return Err(InputError::NotFinite {
                inference,
                input: port.name.clone(),
                cell,
                value: x.to_string(),
            });
        }
        let integer = (f64::from(x) / port.scale).round_ties_even() as i64;
        let clamped = integer.clamp(interval.lo, interval.hi);
        if port.integral {
            let (input, value) = (port.name.clone(), x.to_string());
            if x.fract() != 0.0 {
                return Err(InputError::Fraction {
                    inference,
                    input,
                    cell,
                    value,
                });
            }
            if clamped != integer {
                return Err(InputError::Outside {
                    inference,
                    input,
                    cell,
                    value,
                    interval,
                });
            }
        }
        saturated += usize::from(clamped != integer);
        integers.push(clamped);
    }
    Ok(saturated)
}
