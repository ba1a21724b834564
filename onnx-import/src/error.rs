//! Why a model cannot be imported; every message names the culprit and says what would mend it.

use std::path::PathBuf;

/// Why a model cannot be imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The bytes are not a protobuf message of the ONNX schema.
    #[error("not an ONNX model: {0}")]
    Decode(#[from] prost::DecodeError),
    /// The message is well-formed but is not a model: a part that every model has is missing.
    #[error("not a complete ONNX model: {reason}")]
    Incomplete {
        /// The missing part.
        reason: String,
    },
    /// An operator set outside the supported range.
    #[error(
        "the model uses opset {version} of domain `{domain}`; opsets {first} to {last} are \
         supported: export it again with one of them, or use onnx.version_converter"
    )]
    UnsupportedOpset {
        /// The operator set's domain, `ai.onnx` for the default one.
        domain: String,
        /// The version that the model asks for.
        version: i64,
        /// First supported version.
        first: i64,
        /// Last supported version.
        last: i64,
    },
    /// An operator, or a use of an operator, that cannot be imported.
    #[error("node `{node}`: {op} (domain `{domain}`, opset {opset}) is not supported: {remedy}")]
    UnsupportedOperator {
        /// The node's name, or its first output when it has none.
        node: String,
        /// The operator.
        op: String,
        /// The operator's domain, `ai.onnx` for the default one.
        domain: String,
        /// The version of the domain's operator set.
        opset: i64,
        /// What is not supported and what to do about it.
        remedy: String,
    },
    /// An attribute that is missing, unknown, of the wrong type or out of range.
    #[error("node `{node}`: attribute `{attribute}` of {op}: {reason}")]
    BadAttribute {
        /// The node.
        node: String,
        /// The operator.
        op: String,
        /// The attribute.
        attribute: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Operands whose number, type or shape the operator does not accept.
    #[error("node `{node}`: {reason}")]
    Shape {
        /// The node, or the model input or output.
        node: String,
        /// What is wrong and what would mend it.
        reason: String,
    },
    /// A value that nothing defines.
    #[error(
        "node `{node}` reads `{name}`, which is no initializer, no input and no node's output: \
         export the model with its weights"
    )]
    MissingInitializer {
        /// The reader.
        node: String,
        /// The undefined value.
        name: String,
    },
    /// Nodes that depend on their own output.
    #[error("node `{node}` depends on its own output")]
    Cycle {
        /// A node on the cycle, or behind it.
        node: String,
    },
    /// A value defined twice.
    #[error("the value `{name}` is defined twice")]
    DuplicateName {
        /// The value.
        name: String,
    },
    /// A weight that is NaN or infinite, or a number too large for single precision.
    #[error(
        "`{name}` has the value {value} at flat index {index}{}; weights must be finite f32: if \
         an input decides whether it counts, make that input a constant (--constant NAME=VALUE), \
         else replace it by a finite number",
        reader.as_ref().map_or(String::new(), |reader| format!(", and {reader} computes with it"))
    )]
    NonFinite {
        /// The initializer, or the node that derives the weight.
        name: String,
        /// Row-major index.
        index: usize,
        /// The value.
        value: f64,
        /// The node that reads it, and its operator.
        reader: Option<String>,
    },
    /// A size beyond what importing may use.
    #[error("{what}: {size} exceeds the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// Data in another file that cannot be used.
    #[error("external data of tensor `{tensor}`: {reason}")]
    ExternalData {
        /// The tensor.
        tensor: String,
        /// What is wrong and what would mend it.
        reason: String,
    },
    /// A tensor whose element type the importer does not know or cannot use.
    #[error("`{name}` has element type {data_type}: {remedy}")]
    UnsupportedType {
        /// The tensor or the model input.
        name: String,
        /// The element type, by its ONNX name or number.
        data_type: String,
        /// What to do about it.
        remedy: String,
    },
    /// A constant whose data contradicts its shape.
    #[error("tensor `{tensor}`: {reason}")]
    BadTensor {
        /// The tensor.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// A dynamic axis other than the batch axis.
    #[error(
        "axis {axis} of input `{input}` is dynamic (`{name}`): its axes are {form}; say how long yours \
         are, in numbers, such as --shape {input}={} (`Options::shape` in the library)",
        example(lengths)
    )]
    DynamicShape {
        /// The model input.
        input: String,
        /// The axis.
        axis: usize,
        /// The symbolic size, `?` when it has none.
        name: String,
        /// The declared lengths and symbols of all axes.
        form: String,
        /// Their lengths, as far as they are known.
        lengths: Vec<Option<usize>>,
    },
    /// An option that does not fit the model.
    #[error("--{option} {name}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// What it is about.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The length of a dynamic axis in an example.
const EXAMPLE: usize = 64;

/// A shape of axes of these lengths.
fn example(lengths: &[Option<usize>]) -> String {
    let length = |(i, length): (usize, &Option<usize>)| {
        let open = if i == 0 { 1 } else { EXAMPLE };
        length.unwrap_or(open).to_string()
    };
    let lengths = lengths.iter().enumerate().map(length);
    lengths.collect::<Vec<_>>().join(",")
}

impl Error {
    /// The error, with the node that reads a weight that is not finite.
    pub(crate) fn used_by(self, node: &str, op: &str) -> Self {
        match self {
            Self::NonFinite {
                name,
                index,
                value,
                reader: None,
            } => Self::NonFinite {
                name,
                index,
                value,
                reader: Some(format!("node `{node}` ({op})")),
            },
            other => other,
        }
    }
}
