//! The table from operator name to import function, one file per family of operators.

mod array;
mod inner;
mod learn;
mod logic;
mod math;
mod microsoft;
mod nn;
pub(crate) mod quantised;
mod recurrent;

use zkstrata_model_ir::float::Activation;

pub(crate) use self::array::view;
use self::array::{
    blocks, cast, constant, gather, layout, pad, repeat, resize, scatter, sequence, slice, triangle,
};
use self::logic::compare;
pub(crate) use self::logic::truth;
use self::math::activation::apply;
use self::math::{activation, arithmetic, bits, einsum, extreme, power, reduce, signal, topk};
use self::microsoft::{fused, transformer};
use self::nn::{attention, conv, conv_transpose, dense, norm, places, pool, rotary, softmax};
use crate::decode::model::domain;
use crate::proto::NodeProto;
use crate::write::Import;
pub(crate) use crate::write::one;

/// A row of the tables.
pub(crate) struct Operator {
    /// The operator's name.
    pub(crate) name: &'static str,
    /// Its import function.
    pub(crate) import: Import,
    /// What of it is refused, in a few words; empty if it is complete.
    pub(crate) limits: &'static str,
    /// How it reads operands that are more than numbers.
    pub(crate) reads: Reads,
    /// Whether its result is a product of its operands, so that their units multiply.
    pub(crate) multiplies: bool,
}

/// How an operator reads operands that are quantised or masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// As numbers: integers are restored, and masked cells must hold what ONNX has.
    Numbers,
    /// It moves or selects cells of its first operand, or compares them.
    Moves,
    /// It is an elementwise function of an operand if all others are constant.
    Each,
    /// It asks for the scales of quantised operands.
    Quantised,
    /// It asks for masks.
    Masks,
    /// It compares the cells of its first operand, and asks for its mask.
    Largest,
    /// Both, the scales if all operands have the same.
    Alike,
}

const fn row(name: &'static str, import: Import, limits: &'static str) -> Operator {
    Operator {
        name,
        import,
        limits,
        reads: Reads::Numbers,
        multiplies: false,
    }
}

impl Operator {
    /// The row with another way of reading.
    const fn reading(mut self, reads: Reads) -> Self {
        self.reads = reads;
        self
    }

    /// The row of an operator that multiplies its operands.
    const fn multiplying(mut self) -> Self {
        self.multiplies = true;
        self
    }
}

/// The operators of the default domain.
const OPERATORS: &[Operator] = &[
    row("Abs", |n, i| apply(n, i, Activation::Abs), "").reading(Reads::Each),
    row("Acos", |n, i| apply(n, i, Activation::Acos), ""),
    row("Acosh", |n, i| apply(n, i, Activation::Acosh), ""),
    row("Add", arithmetic::add, "").reading(Reads::Masks),
    row("And", truth::and, ""),
    row("ArgMax", extreme::arg_max, ""),
    row("ArgMin", extreme::arg_min, ""),
    row("Asin", |n, i| apply(n, i, Activation::Asin), ""),
    row("Asinh", |n, i| apply(n, i, Activation::Asinh), ""),
    row("Atan", |n, i| apply(n, i, Activation::Atan), ""),
    row("Atanh", |n, i| apply(n, i, Activation::Atanh), ""),
    row("Attention", attention::attention, "no infinite outputs").reading(Reads::Masks),
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
    row("BlackmanWindow", signal::blackman, "of a constant size"),
    row("Cast", cast::cast, "no strings")
        .reading(Reads::Each)
        .multiplying(),
    row("CastLike", cast::cast_like, "").reading(Reads::Each),
    row("Ceil", |n, i| apply(n, i, Activation::Ceil), ""),
    row("Celu", activation::celu, ""),
    row("Clip", activation::clip, "").reading(Reads::Each),
    row("Compress", slice::compress, "of a constant condition").reading(Reads::Moves),
    row("Concat", layout::concat, "").reading(Reads::Alike),
    row("ConcatFromSequence", sequence::concat, ""),
    row("Constant", constant::constant, ""),
    row("ConstantOfShape", constant::fill, ""),
    row("Conv", conv::conv, "of a constant weight"),
    row(
        "ConvInteger",
        quantised::conv_integer,
        "of a constant weight",
    )
    .multiplying(),
    row(
        "ConvTranspose",
        conv_transpose::conv_transpose,
        "of a constant weight",
    ),
    row("Cos", |n, i| apply(n, i, Activation::Cos), ""),
    row("Cosh", |n, i| apply(n, i, Activation::Cosh), ""),
    row("CumSum", reduce::cumulative, "constant axis"),
    row("DepthToSpace", blocks::depth_to_space, "").reading(Reads::Moves),
    row(
        "DequantizeLinear",
        quantised::dequantize,
        "per tensor or per axis",
    )
    .reading(Reads::Quantised)
    .multiplying(),
    row("Div", arithmetic::div, "integers by constants").reading(Reads::Each),
    row("Dropout", view::dropout, "inference").reading(Reads::Moves),
    row(
        "DynamicQuantizeLinear",
        quantised::dynamic,
        "before products, as the float numbers that it approximates",
    ),
    row("Einsum", einsum::einsum, ""),
    row("Elu", activation::elu, "").reading(Reads::Each),
    row("Equal", compare::equal, "").reading(Reads::Masks),
    row("Erf", |n, i| apply(n, i, Activation::Erf), ""),
    row("Exp", |n, i| apply(n, i, Activation::Exp), "").reading(Reads::Each),
    row("Expand", repeat::expand, "").reading(Reads::Moves),
    row("EyeLike", triangle::eye_like, ""),
    row("Flatten", view::flatten, "").reading(Reads::Moves),
    row("Floor", |n, i| apply(n, i, Activation::Floor), ""),
    row("GRU", recurrent::gru, "of constant lengths"),
    row("Gather", gather::gather, "").reading(Reads::Moves),
    row("GatherElements", gather::gather_elements, "").reading(Reads::Moves),
    row("GatherND", gather::gather_nd, "").reading(Reads::Moves),
    row("Gelu", activation::gelu, "").reading(Reads::Each),
    row("Gemm", dense::gemm, ""),
    row("GlobalAveragePool", pool::global_average, ""),
    row("GlobalLpPool", pool::global_norm, "`p` up to 4"),
    row("GlobalMaxPool", pool::global_max, "").reading(Reads::Largest),
    row("Greater", compare::greater, "").reading(Reads::Masks),
    row("GreaterOrEqual", compare::greater_or_equal, "").reading(Reads::Masks),
    row("GridSample", resize::grid_sample, "of a constant grid"),
    row("GroupNormalization", norm::group, ""),
    row("HammingWindow", signal::hamming, "of a constant size"),
    row("HannWindow", signal::hann, "of a constant size"),
    row("HardSigmoid", activation::hard_sigmoid, "").reading(Reads::Each),
    row("HardSwish", |n, i| apply(n, i, Activation::HardSwish), "").reading(Reads::Each),
    row("Hardmax", extreme::hardmax, ""),
    row("Identity", view::identity, "").reading(Reads::Moves),
    row("InstanceNormalization", norm::instance, ""),
    row("IsInf", compare::is_inf, "activations are finite").reading(Reads::Masks),
    row("IsNaN", compare::is_nan, "activations are finite").reading(Reads::Masks),
    row("LRN", norm::local_response, ""),
    row("LSTM", recurrent::lstm, "of constant lengths"),
    row("LayerNormalization", norm::layer, ""),
    row("LeakyRelu", activation::leaky_relu, "").reading(Reads::Each),
    row("Less", compare::less, "").reading(Reads::Masks),
    row("LessOrEqual", compare::less_or_equal, "").reading(Reads::Masks),
    row("Log", |n, i| apply(n, i, Activation::Log), ""),
    row("LogSoftmax", softmax::log_softmax, "").reading(Reads::Masks),
    row("LpNormalization", norm::length, ""),
    row("LpPool", pool::norm, "`p` up to 4"),
    row("MatMul", dense::matmul, ""),
    row("MatMulInteger", quantised::matmul_integer, "").multiplying(),
    row("Max", arithmetic::max, "").reading(Reads::Each),
    row("MaxPool", pool::max, "").reading(Reads::Largest),
    row("MaxUnpool", places::unpool, "of small tensors"),
    row("Mean", arithmetic::mean, ""),
    row("MeanVarianceNormalization", norm::mean_variance, ""),
    row("MelWeightMatrix", signal::mel_weights, "of constants"),
    row("Min", arithmetic::min, "").reading(Reads::Each),
    row("Mish", |n, i| apply(n, i, Activation::Mish), ""),
    row("Mod", arithmetic::modulo, "by constants; floats with fmod"),
    row("Mul", arithmetic::mul, "")
        .reading(Reads::Each)
        .multiplying(),
    row("Neg", arithmetic::neg, "").reading(Reads::Each),
    row("NonZero", triangle::non_zero, "of constants"),
    row("Not", truth::negation, ""),
    row("OneHot", triangle::one_hot, "of constant depth and values"),
    row("Or", truth::or, ""),
    row("PRelu", activation::prelu, ""),
    row("Pad", pad::pad, ""),
    row("Pow", power::pow, "of two activations: positive bases"),
    row("QLinearConv", quantised::quantised, "of a constant weight").reading(Reads::Quantised),
    row("QLinearMatMul", quantised::quantised, "").reading(Reads::Quantised),
    row(
        "QuantizeLinear",
        quantised::quantize,
        "per tensor or per axis, to 8 or 16 bits",
    ),
    row("RMSNormalization", norm::root_mean_square, ""),
    row("RNN", recurrent::rnn, "of constant lengths"),
    row("Range", constant::range, "of constants"),
    row("Reciprocal", |n, i| apply(n, i, Activation::Reciprocal), ""),
    row("ReduceL1", reduce::l1, ""),
    row("ReduceL2", reduce::l2, "of floats"),
    row("ReduceLogSum", reduce::log_sum, ""),
    row("ReduceLogSumExp", reduce::log_sum_exp, ""),
    row("ReduceMax", reduce::max, "").reading(Reads::Masks),
    row("ReduceMean", reduce::mean, "of floats"),
    row("ReduceMin", reduce::min, ""),
    row("ReduceProd", reduce::prod, ""),
    row("ReduceSum", reduce::sum, ""),
    row("ReduceSumSquare", reduce::sum_square, ""),
    row("Relu", |n, i| apply(n, i, Activation::Relu), "").reading(Reads::Each),
    row("Reshape", view::reshape, "").reading(Reads::Moves),
    row("Resize", resize::resize, "of constant sizes"),
    row(
        "ReverseSequence",
        triangle::reverse_sequence,
        "of constant lengths",
    )
    .reading(Reads::Moves),
    row("RotaryEmbedding", rotary::rotary, ""),
    row("Round", |n, i| apply(n, i, Activation::Round), ""),
    row("Scatter", scatter::scatter_elements, ""),
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
    row("Selu", activation::selu, "").reading(Reads::Each),
    row("SequenceAt", sequence::at, "of a constant position"),
    row("SequenceConstruct", sequence::construct, ""),
    row("SequenceEmpty", sequence::empty, ""),
    row("SequenceErase", sequence::erase, "at a constant position"),
    row("SequenceInsert", sequence::insert, "at a constant position"),
    row("SequenceLength", sequence::length, ""),
    row("Shape", constant::shape, "").reading(Reads::Moves),
    row("Shrink", activation::shrink, ""),
    row("Sigmoid", |n, i| apply(n, i, Activation::Sigmoid), "").reading(Reads::Each),
    row("Sign", activation::sign, ""),
    row("SimplifiedLayerNormalization", norm::root_mean_square, ""),
    row("Sin", |n, i| apply(n, i, Activation::Sin), ""),
    row("Sinh", |n, i| apply(n, i, Activation::Sinh), ""),
    row("Size", constant::size, "").reading(Reads::Moves),
    row("Slice", slice::slice, "of constant bounds").reading(Reads::Moves),
    row("Softmax", softmax::softmax, "").reading(Reads::Masks),
    row("Softplus", |n, i| apply(n, i, Activation::Softplus), "").reading(Reads::Each),
    row("Softsign", |n, i| apply(n, i, Activation::Softsign), ""),
    row("SpaceToDepth", blocks::space_to_depth, "").reading(Reads::Moves),
    row("Split", slice::split, "of constant lengths").reading(Reads::Moves),
    row("SplitToSequence", sequence::split, "of constant lengths"),
    row("Sqrt", |n, i| apply(n, i, Activation::Sqrt), ""),
    row("Squeeze", view::squeeze, "").reading(Reads::Moves),
    row("Sub", arithmetic::sub, "").reading(Reads::Masks),
    row("Sum", arithmetic::sum, ""),
    row("SwiGLU", activation::swiglu, ""),
    row("Swish", activation::swish, "").reading(Reads::Each),
    row("Tan", |n, i| apply(n, i, Activation::Tan), ""),
    row("Tanh", |n, i| apply(n, i, Activation::Tanh), "").reading(Reads::Each),
    row("ThresholdedRelu", activation::thresholded_relu, ""),
    row("Tile", repeat::tile, "of constant repeats").reading(Reads::Moves),
    row("TopK", topk::top_k, "axes up to 512 long, or k = 1"),
    row("Transpose", layout::transpose, "").reading(Reads::Moves),
    row("Trilu", triangle::trilu, ""),
    row("Unsqueeze", view::unsqueeze, "").reading(Reads::Moves),
    row("Upsample", resize::upsample, "of constant scales"),
    row("Where", truth::select, "").reading(Reads::Masks),
    row("Xor", truth::xor, ""),
];

/// The operators of `ai.onnx.ml`.
const LEARN: &[Operator] = &[
    row("ArrayFeatureExtractor", gather::array_feature_extractor, ""),
    row("Binarizer", learn::binarizer, ""),
    row("FeatureVectorizer", learn::feature_vectorizer, ""),
    row(
        "Imputer",
        learn::imputer,
        "of missing values that are NaN or infinite, which do not occur",
    ),
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

/// The operators of `com.microsoft`, which onnxruntime's quantiser and optimiser write.
const MICROSOFT: &[Operator] = &[
    row(
        "Attention",
        transformer::packed_attention,
        "of constant weights, without a past",
    )
    .reading(Reads::Masks),
    row("BiasGelu", fused::bias_gelu, ""),
    row(
        "DequantizeLinear",
        quantised::dequantize,
        "per tensor or per axis",
    )
    .reading(Reads::Quantised)
    .multiplying(),
    row(
        "DynamicQuantizeLSTM",
        fused::dynamic_lstm,
        "of constant lengths, as the float layer that it approximates",
    ),
    row(
        "DynamicQuantizeMatMul",
        fused::dynamic_matmul,
        "as the float product that it approximates",
    ),
    row(
        "EmbedLayerNormalization",
        transformer::embed,
        "without the output `mask_index`",
    ),
    row("FastGelu", fused::fast_gelu, ""),
    row("FusedConv", fused::fused_conv, "of a constant weight"),
    row("FusedGemm", fused::fused_gemm, ""),
    row(
        "FusedMatMul",
        fused::fused_matmul,
        "without transBatchA and transBatchB",
    ),
    row("Gelu", |n, i| apply(n, i, Activation::Gelu), "").reading(Reads::Each),
    row(
        "MatMulIntegerToFloat",
        fused::matmul_to_float,
        "of a constant weight",
    )
    .multiplying(),
    row(
        "MultiHeadAttention",
        transformer::multi_head_attention,
        "of separate queries, keys and values, without a past",
    )
    .reading(Reads::Masks),
    row("QGemm", quantised::quantised, "of a constant weight").reading(Reads::Quantised),
    row("QLinearAdd", quantised::quantised, "").reading(Reads::Quantised),
    row("QLinearAveragePool", quantised::quantised, "").reading(Reads::Quantised),
    row("QLinearConcat", quantised::quantised, "").reading(Reads::Quantised),
    row("QLinearGlobalAveragePool", quantised::quantised, "").reading(Reads::Quantised),
    row("QLinearLeakyRelu", quantised::quantised, "").reading(Reads::Quantised),
    row("QLinearMul", quantised::quantised, "").reading(Reads::Quantised),
    row("QLinearSigmoid", quantised::quantised, "").reading(Reads::Quantised),
    row("QLinearSoftmax", quantised::quantised, "").reading(Reads::Quantised),
    row(
        "QuantizeLinear",
        quantised::quantize,
        "per tensor or per axis, to 8 or 16 bits",
    ),
    row("QuickGelu", fused::quick_gelu, ""),
    row("SimplifiedLayerNormalization", norm::root_mean_square, ""),
    row("SkipLayerNormalization", transformer::skip_layer, ""),
    row(
        "SkipSimplifiedLayerNormalization",
        transformer::skip_simplified_layer,
        "",
    ),
];

/// The row of a node's operator.
pub(crate) fn find(proto: &NodeProto) -> Option<&'static Operator> {
    let table = match domain(proto) {
        "ai.onnx" => OPERATORS,
        "ai.onnx.ml" => LEARN,
        "com.microsoft" => MICROSOFT,
        _ => return None,
    };
    table.iter().find(|row| row.name == proto.op_type)
}

/// The operators of the tables: domain, name, and what of it is refused (empty if nothing is).
pub(crate) fn operators() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let rows = |domain, table: &'static [Operator]| {
        table.iter().map(move |row| (domain, row.name, row.limits))
    };
    rows("ai.onnx", OPERATORS)
        .chain(rows("ai.onnx.ml", LEARN))
        .chain(rows("com.microsoft", MICROSOFT))
}

/// What to do about an operator that is not in the tables.
pub(crate) fn remedy(proto: &NodeProto) -> String {
    let listed = "`zkstrata operators` lists what is imported";
    match (domain(proto), proto.op_type.as_str()) {
        ("ai.onnx", "RoiAlign" | "NonMaxSuppression" | "Unique" | "StringNormalizer") => {
            "what it gives has no fixed place or size: do it outside of the model".into()
        }
        ("ai.onnx", op)
            if op.starts_with("Random") || matches!(op, "Bernoulli" | "Multinomial") =>
        {
            "it is random, which a proof cannot repeat: give its result as an input".into()
        }
        ("ai.onnx" | "ai.onnx.ml", _) => {
            format!("replace it by other operators; {listed}")
        }
        (domain, op) if domain.starts_with("com.microsoft") || domain == "com.ms.internal.nhwc" => {
            format!(
                "{op} is onnxruntime's own; take the model as it was before onnxruntime optimised \
                 it, or save it with ORT_ENABLE_BASIC; {listed}"
            )
        }
        _ => format!(
            "its domain is not known: inline the model's functions (onnx.inliner), or export with \
             standard operators; {listed}"
        ),
    }
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
