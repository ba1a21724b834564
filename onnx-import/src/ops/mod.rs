//! The table from operator name to import function, one file per family of operators.

mod activation;
mod arithmetic;
mod constant;
mod conv;
mod dense;
mod index;
mod layout;
mod learn;
mod norm;
mod pool;
pub(crate) mod readout;
mod reduce;
mod view;
mod window;

use crate::Error;
use crate::import::Importer;
use crate::node::{self, Node};
use crate::proto::NodeProto;
use crate::value::Value;

/// Adds the operators of one ONNX node to the graph, or folds it, and gives its outputs; outputs
/// beyond those given may not be read.
type Import = fn(&mut Node, &mut Importer) -> Result<Vec<Value>, Error>;

/// The operators of the default domain.
const OPERATORS: &[(&str, Import)] = &[
    ("Add", arithmetic::add),
    ("ArgMax", readout::label),
    ("AveragePool", pool::average),
    ("BatchNormalization", norm::batch),
    ("Cast", view::cast),
    ("Clip", activation::clip),
    ("Concat", layout::concat),
    ("Constant", constant::constant),
    ("ConstantOfShape", constant::fill),
    ("Conv", conv::conv),
    ("Div", arithmetic::div),
    ("Dropout", view::dropout),
    ("Equal", arithmetic::equal),
    ("Expand", index::expand),
    ("Flatten", view::flatten),
    ("Gather", index::gather),
    ("Gemm", dense::gemm),
    ("GlobalAveragePool", pool::global_average),
    ("GlobalMaxPool", pool::global_max),
    ("Greater", arithmetic::greater),
    ("Identity", view::identity),
    ("LeakyRelu", activation::leaky_relu),
    ("Less", arithmetic::less),
    ("LogSoftmax", readout::scores),
    ("MatMul", dense::matmul),
    ("Max", arithmetic::max),
    ("MaxPool", pool::max),
    ("Min", arithmetic::min),
    ("Mod", arithmetic::modulo),
    ("Mul", arithmetic::mul),
    ("Pad", layout::pad),
    ("Range", constant::range),
    ("ReduceMean", reduce::mean),
    ("Relu", activation::relu),
    ("Reshape", view::reshape),
    ("Shape", constant::shape),
    ("Sigmoid", activation::sigmoid),
    ("Size", constant::size),
    ("Slice", index::slice),
    ("Softmax", readout::scores),
    ("Squeeze", view::squeeze),
    ("Sub", arithmetic::sub),
    ("Tanh", activation::tanh),
    ("Transpose", layout::transpose),
    ("Unsqueeze", view::unsqueeze),
    ("Where", arithmetic::select),
];

/// The operators of `ai.onnx.ml`.
const LEARN: &[(&str, Import)] = &[
    ("LinearClassifier", learn::linear_classifier),
    ("LinearRegressor", learn::linear_regressor),
    ("Normalizer", readout::normalizer),
    ("Scaler", learn::scaler),
    ("ZipMap", readout::zip_map),
];

/// Domain and name of every operator that is imported, in some form at least.
pub fn operators() -> impl Iterator<Item = (&'static str, &'static str)> {
    let tables = [("ai.onnx", OPERATORS), ("ai.onnx.ml", LEARN)];
    tables
        .into_iter()
        .flat_map(|(domain, table)| table.iter().map(move |(name, _)| (domain, *name)))
}

/// The import function of a node's operator.
pub(crate) fn find(proto: &NodeProto) -> Option<Import> {
    let table = match node::domain(proto) {
        "ai.onnx" => OPERATORS,
        "ai.onnx.ml" => LEARN,
        _ => return None,
    };
    let found = table.iter().find(|(op, _)| *op == proto.op_type);
    found.map(|(_, import)| *import)
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
            assert!(table.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
