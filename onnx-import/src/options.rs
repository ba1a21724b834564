//! What a user says about a model that its file leaves open: lengths of dynamic axes, and inputs
//! that are settings.

use std::collections::BTreeMap;

/// How a model is imported; by default with nothing but a dynamic axis 0 left open.
///
/// ```
/// use zkstrata_onnx_import::Options;
///
/// let options = Options::new()
///     .shape("image", vec![1, 3, 48, 192])
///     .constant("sampling_rate", vec![16_000.0]);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub(crate) shapes: BTreeMap<String, Vec<usize>>,
    pub(crate) constants: BTreeMap<String, Vec<f64>>,
}

impl Options {
    /// Nothing is said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The shape of input `name`, which fixes its dynamic axes, and with them the axes of other
    /// inputs that have the same symbolic lengths. A `name` that is a symbolic length and no input
    /// stands for the one number in `shape`.
    #[must_use]
    pub fn shape(mut self, name: &str, shape: Vec<usize>) -> Self {
        self.shapes.insert(name.into(), shape);
        self
    }

    /// Makes input `name` a constant of the model: one number for all of its cells, or a number
    /// for each in row-major order. Truth values are 1 and 0.
    #[must_use]
    pub fn constant(mut self, name: &str, cells: Vec<f64>) -> Self {
        self.constants.insert(name.into(), cells);
        self
    }
}
