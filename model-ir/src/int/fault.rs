//! What can be wrong with a graph.

use super::graph::Interval;

/// Why a graph is malformed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A node is malformed.
    #[error("node {index} `{name}`: {fault}")]
    Node {
        /// Index of the node.
        index: usize,
        /// Its name.
        name: String,
        /// What is wrong.
        fault: NodeFault,
    },
    /// A table is malformed.
    #[error("table {index}: {fault}")]
    Table {
        /// Index of the table.
        index: usize,
        /// What is wrong.
        fault: TableFault,
    },
    /// A model input or output is malformed.
    #[error("port `{name}`: {fault}")]
    Port {
        /// Name of the port.
        name: String,
        /// What is wrong.
        fault: PortFault,
    },
    /// A weight tensor that no node uses.
    #[error("weight {0} is not used")]
    UnusedWeight(usize),
    /// A bias vector that no node uses.
    #[error("bias {0} is not used")]
    UnusedBias(usize),
    /// No inputs.
    #[error("the graph has no inputs")]
    NoInputs,
    /// No outputs.
    #[error("the graph has no outputs")]
    NoOutputs,
}

/// What is wrong with a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeFault {
    /// An operand is not an earlier node.
    #[error("operand {0} is not an earlier node")]
    Operand(usize),
    /// The wrong number of operands.
    #[error("got {got} operands, expected {expected}")]
    Arity {
        /// Given.
        got: usize,
        /// The operator's.
        expected: usize,
    },
    /// An operator's view of an operand is not the operand's axes.
    #[error("the operand has axes {got:?}, the operator's view of it is {expected:?}")]
    InputAxes {
        /// Axes of the operand.
        got: Vec<usize>,
        /// The view without axes of length 1.
        expected: Vec<usize>,
    },
    /// The node's axes are not those of the operator's result.
    #[error("the node has axes {got:?}, the operator's result {expected:?}")]
    OutputAxes {
        /// Axes of the node.
        got: Vec<usize>,
        /// The view without axes of length 1.
        expected: Vec<usize>,
    },
    /// The result has a different number of cells.
    #[error("the node has {got} cells, the operator's result {expected}")]
    Cells {
        /// Cells of the node.
        got: usize,
        /// Cells of the result.
        expected: usize,
    },
    /// A length of 0, a length of 1 in the node's own axes, or too many axes.
    #[error("axes {0:?} are not a list of at most 32 lengths above 1 (0 in a view)")]
    Axes(Vec<usize>),
    /// Too many cells in a tensor, a weight tensor or in all tensors so far.
    #[error("more than 2^30 cells in a tensor or 2^33 in all")]
    TooLarge,
    /// An empty interval or one that leaves `(-2^62, 2^62)`.
    #[error("the interval {0} is empty or leaves (-2^62, 2^62)")]
    Interval(Interval),
    /// Not a permutation.
    #[error("{0:?} is not a permutation of the axes")]
    Permutation(Vec<usize>),
    /// A gather with no cells, too many cells or an index out of range.
    #[error("a gather has 1 to 2^20 cells, its operand likewise, and it reads inside it")]
    Gather,
    /// A window without taps, over more than 2^22 cells, with numbers above 2^31, a wrong number of coefficients, or, in
    /// an affine layer, tap weights or coefficients; or a matrix in an affine layer.
    #[error("window {axis} is malformed")]
    Window {
        /// Index of the axis.
        axis: usize,
    },
    /// A matrix over more than 2^22 cells or with more than 2^22 entries, entries out of order,
    /// repeated, outside of its axes, zero or above 2^31.
    #[error(
        "matrix {axis} is malformed: its axes have at most 2^22 cells, its at most 2^22 entries \
         lie inside them, sorted by output and input, and are not 0 and at most 2^31"
    )]
    Matrix {
        /// Index of the axis.
        axis: usize,
    },
    /// The windows and matrices of the graph have too many taps and entries.
    #[error("more than 2^28 taps over all outputs of all windows, and entries of matrices")]
    TooManyTaps,
    /// A zero or huge coefficient, or not one per operand.
    #[error("a sum has one nonzero coefficient of at most 2^31 per operand")]
    Coefficients,
    /// A label of a contraction without a length, twice in a list, or not in two lists.
    #[error("label {0} has no length, is twice in a list of labels, or not in two lists")]
    Label(usize),
    /// The fill leaves `(-2^62, 2^62)`.
    #[error("the fill {0} leaves (-2^62, 2^62)")]
    Fill(i64),
    /// A weight tensor out of range or used twice.
    #[error("weight {0} does not exist or is used twice")]
    Weight(usize),
    /// A bias vector out of range or used twice.
    #[error("bias {0} does not exist or is used twice")]
    Bias(usize),
    /// A bias vector of the wrong length.
    #[error("the bias has {got} entries, expected {expected}")]
    BiasLength {
        /// Declared.
        got: usize,
        /// Groups times outputs, or the cells of a constant.
        expected: usize,
    },
    /// A table out of range.
    #[error("table {0} does not exist")]
    NoTable(usize),
    /// A shift above 48.
    #[error("the shift is {0}, the largest is 48")]
    Shift(u32),
    /// An offset that leaves `(-2^62, 2^62)`.
    #[error("the offset {0} leaves (-2^62, 2^62)")]
    Offset(i64),
    /// Missing, superfluous or wrong range tables.
    #[error("the range tables are at most 4 of 0 .. 2^k, k > 0, whose k add up to the shift")]
    Range,
    /// `hi` would not be unique in the field.
    #[error("|x| + |offset| + 2^S (max|domain| + 1) is not below 2^63")]
    Wraps,
    /// The table's values leave the node's interval.
    #[error("the table's values {image} leave the node's interval {interval}")]
    Image {
        /// Of the table.
        image: Interval,
        /// Of the node.
        interval: Interval,
    },
    /// An input node without exactly one input port.
    #[error("an input node has exactly one input port, this one has {0}")]
    Ports(usize),
}

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableFault {
    /// No rows or too many.
    #[error("{0} rows; a table has 1 to 2^20")]
    Length(usize),
    /// Not one value per row.
    #[error("{got} values for {expected} rows")]
    Values {
        /// Values.
        got: usize,
        /// Rows.
        expected: usize,
    },
    /// The domain or the clamp is empty or leaves `(-2^62, 2^62)`.
    #[error("the domain or the clamp is empty or leaves (-2^62, 2^62)")]
    Bounds,
}

/// What is wrong with a port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PortFault {
    /// Not a tensor of the graph.
    #[error("tensor {0} does not exist")]
    Tensor(usize),
    /// The tensor of an input port is computed.
    #[error("tensor {0} is not an input node")]
    NotInput(usize),
    /// The shape has another number of cells.
    #[error("shape {shape:?} does not have {cells} cells")]
    Shape {
        /// Of the port.
        shape: Vec<usize>,
        /// Of the tensor.
        cells: usize,
    },
    /// Not a finite positive scale.
    #[error("the scale is not finite and positive")]
    Scale,
    /// Features of an output or of integers, of the wrong number, or with an affine map that is not
    /// finite or does not invert.
    #[error("its features are not those of an input of {cells} real numbers")]
    Features {
        /// Of the tensor.
        cells: usize,
    },
}
