//! The table from operator name to import function, one file per family of operators.

mod activation;
mod arithmetic;
mod attention;
mod bits;
mod blocks;
mod cast;
mod constant;
mod conv;
mod conv_transpose;
mod dense;
mod einsum;
mod extreme;
mod formula;
mod gather;
mod index;
mod layout;
mod learn;
mod logic;
mod mask;
mod norm;
mod pad;
mod pair;
mod pool;
mod power;
pub(crate) mod quantised;
mod recurrent;
mod reduce;
mod repeat;
mod resize;
mod rotary;
mod scatter;
mod slice;
mod softmax;
mod topk;
mod triangle;
mod view;
mod window;

use zkstrata_model_ir::float::Activation;

use self::activation::apply;
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
    row("Abs", |n, i| apply(n, i, Activation::Abs), ""),
    row("Acos", |n, i| apply(n, i, Activation::Acos), ""),
    row("Acosh", |n, i| apply(n, i, Activation::Acosh), ""),
    row("Add", arithmetic::add, ""),
    row("And", logic::and, ""),
    row("ArgMax", extreme::arg_max, ""),
    row("ArgMin", extreme::arg_min, ""),
    row("Asin", |n, i| apply(n, i, Activation::Asin), ""),
    row("Asinh", |n, i| apply(n, i, Activation::Asinh), ""),
    row("Atan", |n, i| apply(n, i, Activation::Atan), ""),
    row("Atanh", |n, i| apply(n, i, Activation::Atanh), ""),
    row("Attention", attention::attention, "no infinite outputs"),
    row(
        "AveragePool",
        pool::average,
        "without `auto_pad` SAME and dilations",
    ),
    row("BatchNormalization", norm::batch, "inference"),
    row("BitShift", bits::shift, "by constants"),
    row("BitwiseAnd", bits::and, "with a constant"),
    row("BitwiseOr", bits::or, "with a constant"),
    row("BitwiseXor", bits::xor, "with a constant"),
    row("Cast", cast::cast, "no strings"),
    row("CastLike", cast::cast_like, ""),
    row("Ceil", |n, i| apply(n, i, Activation::Ceil), ""),
    row("Celu", activation::celu, ""),
    row("Clip", activation::clip, ""),
    row("Compress", slice::compress, "of a constant condition"),
    row("Concat", layout::concat, ""),
    row("Constant", constant::constant, ""),
    row("ConstantOfShape", constant::fill, ""),
    row("Conv", conv::conv, "of a constant weight"),
    row(
        "ConvInteger",
        quantised::conv_integer,
        "of a constant weight",
    ),
    row(
        "ConvTranspose",
        conv_transpose::conv_transpose,
        "of a constant weight",
    ),
    row("Cos", |n, i| apply(n, i, Activation::Cos), ""),
    row("Cosh", |n, i| apply(n, i, Activation::Cosh), ""),
    row("CumSum", reduce::cumulative, "constant axis"),
    row("DepthToSpace", blocks::depth_to_space, ""),
    row(
        "DequantizeLinear",
        quantised::dequantize,
        "per tensor or per axis",
    ),
    row("Div", arithmetic::div, "integers by constants"),
    row("Dropout", view::dropout, "inference"),
    row("Einsum", einsum::einsum, ""),
    row("Elu", activation::elu, ""),
    row("Equal", logic::equal, ""),
    row("Erf", |n, i| apply(n, i, Activation::Erf), ""),
    row("Exp", |n, i| apply(n, i, Activation::Exp), ""),
    row("Expand", repeat::expand, ""),
    row("EyeLike", triangle::eye_like, ""),
    row("Flatten", view::flatten, ""),
    row("Floor", |n, i| apply(n, i, Activation::Floor), ""),
    row("GRU", recurrent::gru, "of full sequences"),
    row("Gather", gather::gather, ""),
    row("GatherElements", gather::gather_elements, ""),
    row("GatherND", gather::gather_nd, ""),
    row("Gelu", activation::gelu, ""),
    row("Gemm", dense::gemm, ""),
    row("GlobalAveragePool", pool::global_average, ""),
    row("GlobalLpPool", pool::global_norm, "`p` up to 4"),
    row("GlobalMaxPool", pool::global_max, ""),
    row("Greater", logic::greater, ""),
    row("GreaterOrEqual", logic::greater_or_equal, ""),
    row("GroupNormalization", norm::group, ""),
    row("HardSigmoid", activation::hard_sigmoid, ""),
    row("HardSwish", |n, i| apply(n, i, Activation::HardSwish), ""),
    row("Hardmax", extreme::hardmax, ""),
    row("Identity", view::identity, ""),
    row("InstanceNormalization", norm::instance, ""),
    row("IsInf", logic::is_inf, "activations are finite"),
    row("IsNaN", logic::is_nan, "activations are finite"),
    row("LRN", norm::local_response, ""),
    row("LSTM", recurrent::lstm, "of full sequences"),
    row("LayerNormalization", norm::layer, ""),
    row("LeakyRelu", activation::leaky_relu, ""),
    row("Less", logic::less, ""),
    row("LessOrEqual", logic::less_or_equal, ""),
    row("Log", |n, i| apply(n, i, Activation::Log), ""),
    row("LogSoftmax", softmax::log_softmax, ""),
    row("LpNormalization", norm::length, ""),
    row("LpPool", pool::norm, "`p` up to 4"),
    row("MatMul", dense::matmul, ""),
    row("MatMulInteger", quantised::matmul_integer, ""),
    row("Max", arithmetic::max, ""),
    row("MaxPool", pool::max, ""),
    row("Mean", arithmetic::mean, ""),
    row("MeanVarianceNormalization", norm::mean_variance, ""),
    row("Min", arithmetic::min, ""),
    row("Mish", |n, i| apply(n, i, Activation::Mish), ""),
    row("Mod", arithmetic::modulo, "by constants; floats with fmod"),
    row("Mul", arithmetic::mul, ""),
    row("Neg", arithmetic::neg, ""),
    row("NonZero", triangle::non_zero, "of constants"),
    row("Not", logic::negation, ""),
    row("OneHot", triangle::one_hot, "of constant depth and values"),
    row("Or", logic::or, ""),
    row("PRelu", activation::prelu, ""),
    row("Pad", pad::pad, ""),
    row("Pow", power::pow, "of two activations: positive bases"),
    row("QLinearConv", quantised::quantised, "of a constant weight"),
    row("QLinearMatMul", quantised::quantised, ""),
    row(
        "QuantizeLinear",
        quantised::quantize,
        "per tensor or per axis, to 8 or 16 bits",
    ),
    row("RMSNormalization", norm::root_mean_square, ""),
    row("RNN", recurrent::rnn, "of full sequences"),
    row("Range", constant::range, ""),
    row("Reciprocal", |n, i| apply(n, i, Activation::Reciprocal), ""),
    row("ReduceL1", reduce::l1, ""),
    row("ReduceL2", reduce::l2, "of floats"),
    row("ReduceLogSum", reduce::log_sum, ""),
    row("ReduceLogSumExp", reduce::log_sum_exp, ""),
    row("ReduceMax", reduce::max, ""),
    row("ReduceMean", reduce::mean, "of floats"),
    row("ReduceMin", reduce::min, ""),
    row("ReduceProd", reduce::prod, ""),
    row("ReduceSum", reduce::sum, ""),
    row("ReduceSumSquare", reduce::sum_square, ""),
    row("Relu", |n, i| apply(n, i, Activation::Relu), ""),
    row("Reshape", view::reshape, ""),
    row("Resize", resize::resize, "of constant sizes"),
    row(
        "ReverseSequence",
        triangle::reverse_sequence,
        "of constant lengths",
    ),
    row("RotaryEmbedding", rotary::rotary, ""),
    row("Round", |n, i| apply(n, i, Activation::Round), ""),
    row(
        "ScatterElements",
        scatter::scatter_elements,
        "of variable indices: reductions `none` and `add`",
    ),
    row(
        "ScatterND",
        scatter::scatter_nd,
        "of variable indices: reductions `none` and `add`",
    ),
    row("Selu", activation::selu, ""),
    row("Shape", constant::shape, ""),
    row("Shrink", activation::shrink, ""),
    row("Sigmoid", |n, i| apply(n, i, Activation::Sigmoid), ""),
    row("Sign", activation::sign, ""),
    row("Sin", |n, i| apply(n, i, Activation::Sin), ""),
    row("Sinh", |n, i| apply(n, i, Activation::Sinh), ""),
    row("Size", constant::size, ""),
    row("Slice", slice::slice, "of constant bounds"),
    row("Softmax", softmax::softmax, ""),
    row("Softplus", |n, i| apply(n, i, Activation::Softplus), ""),
    row("Softsign", |n, i| apply(n, i, Activation::Softsign), ""),
    row("SpaceToDepth", blocks::space_to_depth, ""),
    row("Split", slice::split, "of constant lengths"),
    row("Sqrt", |n, i| apply(n, i, Activation::Sqrt), ""),
    row("Squeeze", view::squeeze, ""),
    row("Sub", arithmetic::sub, ""),
    row("Sum", arithmetic::sum, ""),
    row("SwiGLU", activation::swiglu, ""),
    row("Swish", activation::swish, ""),
    row("Tan", |n, i| apply(n, i, Activation::Tan), ""),
    row("Tanh", |n, i| apply(n, i, Activation::Tanh), ""),
    row("ThresholdedRelu", activation::thresholded_relu, ""),
    row("Tile", repeat::tile, "of constant repeats"),
    row("TopK", topk::top_k, "axes up to 512 long, or k = 1"),
    row("Transpose", layout::transpose, ""),
    row("Trilu", triangle::trilu, ""),
    row("Unsqueeze", view::unsqueeze, ""),
    row("Upsample", resize::upsample, "of constant scales"),
    row("Where", logic::select, ""),
    row("Xor", logic::xor, ""),
];

/// The operators of `ai.onnx.ml`.
const LEARN: &[Operator] = &[
    row("ArrayFeatureExtractor", gather::array_feature_extractor, ""),
    row("Binarizer", learn::binarizer, ""),
    row("FeatureVectorizer", learn::feature_vectorizer, ""),
    row("Imputer", learn::imputer, "of missing values that are NaN"),
    row(
        "LabelEncoder",
        learn::label_encoder,
        "from integers to numbers",
    ),
    row("LinearClassifier", learn::linear_classifier, ""),
    row("LinearRegressor", learn::linear_regressor, ""),
    row("Normalizer", learn::normalizer, ""),
    row("OneHotEncoder", learn::one_hot_encoder, "of integers"),
    row(
        "SVMClassifier",
        learn::svm_classifier,
        "without probabilities",
    ),
    row("SVMRegressor", learn::svm_regressor, ""),
    row("Scaler", learn::scaler, ""),
    row("TreeEnsemble", learn::tree_ensemble, ""),
    row("TreeEnsembleClassifier", learn::tree_classifier, ""),
    row("TreeEnsembleRegressor", learn::tree_regressor, ""),
    row("ZipMap", learn::zip_map, ""),
];

/// The operators of `com.microsoft`, which onnxruntime's quantiser writes.
const MICROSOFT: &[Operator] = &[
    row("QGemm", quantised::quantised, "of a constant weight"),
    row("QLinearAdd", quantised::quantised, ""),
    row("QLinearAveragePool", quantised::quantised, ""),
    row("QLinearConcat", quantised::quantised, ""),
    row("QLinearGlobalAveragePool", quantised::quantised, ""),
    row("QLinearLeakyRelu", quantised::quantised, ""),
    row("QLinearMul", quantised::quantised, ""),
    row("QLinearSigmoid", quantised::quantised, ""),
    row("QLinearSoftmax", quantised::quantised, ""),
];

/// The row of a node's operator.
pub(crate) fn find(proto: &NodeProto) -> Option<&'static Operator> {
    let table = match node::domain(proto) {
        "ai.onnx" => OPERATORS,
        "ai.onnx.ml" => LEARN,
        "com.microsoft" => MICROSOFT,
        _ => return None,
    };
    table.iter().find(|row| row.name == proto.op_type)
}

/// The supported operators: domain, name, and what of it is refused (empty if nothing is).
pub fn operators() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let rows = |domain, table: &'static [Operator]| {
        table.iter().map(move |row| (domain, row.name, row.limits))
    };
    rows("ai.onnx", OPERATORS)
        .chain(rows("ai.onnx.ml", LEARN))
        .chain(rows("com.microsoft", MICROSOFT))
}

/// What to do about an operator that is not in the tables.
pub(crate) fn remedy(proto: &NodeProto) -> &'static str {
    match proto.op_type.as_str() {
        "DynamicQuantizeLinear" => {
            "its scale depends on the input: quantise statically (QDQ), or export the float model, \
             which zkstrata quantises itself"
        }
        "If" | "Loop" | "Scan" => "export the model without control flow, with fixed shapes",
        "GridSample" | "RoiAlign" | "NonMaxSuppression" => {
            "it reads at positions that depend on the input: do it outside of the model"
        }
        _ if !matches!(node::domain(proto), "ai.onnx" | "ai.onnx.ml") => {
            "the domain is unknown: inline the model's functions (onnx.inliner), or export with \
             standard operators only"
        }
        _ => "replace it by supported operators (they are listed in this crate's documentation)",
    }
}

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
        for table in [OPERATORS, LEARN, MICROSOFT] {
            assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name));
        }
    }
}
