//! The table from operator name to import function, one file per family of operators.

mod activation;
mod arithmetic;
mod cast;
mod constant;
mod conv;
mod dense;
mod extreme;
mod formula;
mod index;
mod layout;
mod learn;
mod logic;
mod norm;
mod pool;
mod reduce;
mod softmax;
mod view;
mod window;

use crate::Error;
use crate::import::Importer;
use crate::node::{self, Node};
use crate::proto::NodeProto;
use crate::value::Value;

/// Adds the operators of one ONNX node to the graph and gives its outputs; outputs beyond those
/// given may not be read. Results that are activations are folded if all operands are constant.
pub(crate) type Import = fn(&mut Node, &mut Importer) -> Result<Vec<Value>, Error>;

/// A row of the tables.
pub(crate) struct Operator {
    /// The operator's name.
    pub(crate) name: &'static str,
    /// Its import function.
    pub(crate) import: Import,
    /// What of it is refused, in a few words; empty if it is complete.
    pub(crate) limits: &'static str,
}

const fn row(name: &'static str, import: Import, limits: &'static str) -> Operator {
    Operator {
        name,
        import,
        limits,
    }
}

/// The operators of the default domain.
const OPERATORS: &[Operator] = &[
    row("Add", arithmetic::add, ""),
    row("ArgMax", extreme::arg_max, ""),
    row("ArgMin", extreme::arg_min, ""),
    row("AveragePool", pool::average, ""),
    row("BatchNormalization", norm::batch, ""),
    row("Cast", cast::cast, ""),
    row("CastLike", cast::cast_like, ""),
    row("Clip", activation::clip, ""),
    row("Concat", layout::concat, ""),
    row("Constant", constant::constant, ""),
    row("ConstantOfShape", constant::fill, ""),
    row("Conv", conv::conv, ""),
    row("Div", arithmetic::div, ""),
    row("Dropout", view::dropout, ""),
    row("Equal", arithmetic::equal, ""),
    row("Expand", index::expand, ""),
    row("Flatten", view::flatten, ""),
    row("Gather", index::gather, ""),
    row("Gemm", dense::gemm, ""),
    row("GlobalAveragePool", pool::global_average, ""),
    row("GlobalMaxPool", pool::global_max, ""),
    row("Greater", arithmetic::greater, ""),
    row("Hardmax", extreme::hardmax, ""),
    row("Identity", view::identity, ""),
    row("LeakyRelu", activation::leaky_relu, ""),
    row("Less", arithmetic::less, ""),
    row("LogSoftmax", softmax::log_softmax, ""),
    row("MatMul", dense::matmul, ""),
    row("Max", arithmetic::max, ""),
    row("MaxPool", pool::max, ""),
    row("Min", arithmetic::min, ""),
    row("Mod", arithmetic::modulo, ""),
    row("Mul", arithmetic::mul, ""),
    row("Pad", layout::pad, ""),
    row("Range", constant::range, ""),
    row("ReduceMean", reduce::mean, ""),
    row("Relu", activation::relu, ""),
    row("Reshape", view::reshape, ""),
    row("Shape", constant::shape, ""),
    row("Sigmoid", activation::sigmoid, ""),
    row("Size", constant::size, ""),
    row("Slice", index::slice, ""),
    row("Softmax", softmax::softmax, ""),
    row("Squeeze", view::squeeze, ""),
    row("Sub", arithmetic::sub, ""),
    row("Tanh", activation::tanh, ""),
    row("Transpose", layout::transpose, ""),
    row("Unsqueeze", view::unsqueeze, ""),
    row("Where", arithmetic::select, ""),
];

/// The operators of `ai.onnx.ml`.
const LEARN: &[Operator] = &[
    row(
        "ArrayFeatureExtractor",
        learn::feature,
        "of a constant list",
    ),
    row("LinearClassifier", learn::linear_classifier, ""),
    row("LinearRegressor", learn::linear_regressor, ""),
    row("Normalizer", learn::normalizer, ""),
    row("Scaler", learn::scaler, ""),
    row("ZipMap", learn::zip_map, ""),
];

/// The row of a node's operator.
pub(crate) fn find(proto: &NodeProto) -> Option<&'static Operator> {
    let table = match node::domain(proto) {
        "ai.onnx" => OPERATORS,
        "ai.onnx.ml" => LEARN,
        _ => return None,
    };
    table.iter().find(|row| row.name == proto.op_type)
}

/// The supported operators: domain, name, and what of it is refused (empty if nothing is).
pub fn operators() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let rows = |domain, table: &'static [Operator]| {
        table.iter().map(move |row| (domain, row.name, row.limits))
    };
    rows("ai.onnx", OPERATORS).chain(rows("ai.onnx.ml", LEARN))
}

/// What to do about an operator that is not in the tables.
pub(crate) fn remedy(proto: &NodeProto) -> &'static str {
    match proto.op_type.as_str() {
        "QuantizeLinear"
        | "DequantizeLinear"
        | "DynamicQuantizeLinear"
        | "ConvInteger"
        | "MatMulInteger"
        | "QGemm" => FLOAT_MODEL,
        op if op.starts_with("QLinear") => FLOAT_MODEL,
        "If" | "Loop" | "Scan" => "export the model without control flow, with fixed shapes",
        "LSTM" | "GRU" | "RNN" => "recurrent layers cannot be proven: use a feed-forward model",
        op if op.starts_with("TreeEnsemble") => {
            "tree ensembles cannot be proven: use a neural network or a linear model"
        }
        _ if !matches!(node::domain(proto), "ai.onnx" | "ai.onnx.ml") => {
            "the domain is unknown: inline the model's functions (onnx.inliner), or export with \
             standard operators only"
        }
        _ => "replace it by supported operators (they are listed in this crate's documentation)",
    }
}

const FLOAT_MODEL: &str =
    "the model is quantised already: export the float model, which zkstrata quantises itself";

/// The single output that most operators have.
#[allow(clippy::unnecessary_wraps, reason = "ends an import function")]
fn one(value: Value) -> Result<Vec<Value>, Error> {
    Ok(vec![value])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [OPERATORS, LEARN] {
            assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name));
        }
    }
}
