//! Operators on quantised operands: the float operator of the real numbers, its result rounded.

use ndarray::arr0;

use super::{Parameters, Rounded, real, rounded};
use crate::Error;
use crate::ops;
use crate::proto::NodeProto;
use crate::scope::names::Meaning;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::Writer;

/// The operator set whose attributes the operators of `com.microsoft` have.
const OPSET: i64 = 13;

/// Where an operator's operands lie; each quantised one is followed by scale and zero point.
struct Form {
    /// The operator on quantised operands.
    name: &'static str,
    /// The float operator.
    op: &'static str,
    /// The first quantised operand, and how many there are (0: all that follow).
    operands: (usize, usize),
    /// A bias of integers with the product of the operands' scales.
    bias: Option<usize>,
    /// Scale of the result, before its zero point.
    result: usize,
}

const fn unary(name: &'static str, op: &'static str) -> Form {
    Form {
        name,
        op,
        operands: (0, 1),
        bias: None,
        result: 3,
    }
}

const fn binary(name: &'static str, op: &'static str) -> Form {
    Form {
        name,
        op,
        operands: (0, 2),
        bias: None,
        result: 6,
    }
}

const FORMS: &[Form] = &[
    binary("QLinearAdd", "Add"),
    unary("QLinearAveragePool", "AveragePool"),
    Form {
        name: "QLinearConcat",
        op: "Concat",
        operands: (2, 0),
        bias: None,
        result: 0,
    },
    Form {
        bias: Some(8),
        ..binary("QLinearConv", "Conv")
    },
    unary("QLinearGlobalAveragePool", "GlobalAveragePool"),
    unary("QLinearLeakyRelu", "LeakyRelu"),
    binary("QLinearMatMul", "MatMul"),
    binary("QLinearMul", "Mul"),
    unary("QLinearSigmoid", "Sigmoid"),
    unary("QLinearSoftmax", "Softmax"),
    Form {
        bias: Some(6),
        result: 7,
        ..binary("QGemm", "Gemm")
    },
];

/// An operator of the table: dequantised operands, the float operator, the result quantised.
pub(crate) fn quantised(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let form = FORMS.iter().find(|form| form.name == node.op());
    let form = form.ok_or_else(|| node.unsupported("it is not in the table"))?;
    let (first, count) = form.operands;
    let count = match count {
        0 => node.input_count().saturating_sub(first) / 3,
        n => n,
    };
    let mut operands = Vec::with_capacity(count + 1);
    let mut scales = arr0(1.0).into_dyn();
    for i in (0..count).map(|i| first + 3 * i) {
        let element = node.element(i);
        let x = node.value(i)?;
        let parameters = Parameters::read(node, i + 1)?;
        // The rows of a convolution's kernel, the columns of a matrix.
        let shape = writer.shape_of(&x).to_vec();
        let transposed = form.op == "Gemm" && node.int("transB")?.unwrap_or(0) != 0;
        let axis = if form.op == "Conv" || transposed {
            0
        } else {
            -1
        };
        let product = &scales * &parameters.scale;
        scales = product;
        let parameters = parameters.along(node, &shape, axis)?;
        operands.push(Some(Meaning::Tensor(
            real(node, writer, x, element, &parameters)?,
            Element::Float,
        )));
    }
    if let Some(index) = form.bias {
        operands.push(match node.take(index) {
            None => None,
            Some(bias @ Value::Constant(_)) => {
                // The factor of a product is that of its bias too.
                if form.op == "Gemm" {
                    scales *= node.float("alpha")?.unwrap_or(1.0);
                }
                let zero = ndarray::ArrayD::zeros(scales.shape());
                let integers = None;
                let parameters = Parameters {
                    scale: scales,
                    zero,
                    integers,
                };
                let bias = real(node, writer, bias, Element::Int, &parameters)?;
                Some(Meaning::Tensor(bias, Element::Float))
            }
            Some(_) => return Err(node.unsupported("its bias depends on the model's inputs")),
        });
    }
    let result = if node.has(form.result) {
        Some(Parameters::read(node, form.result)?)
    } else {
        None
    };
    let opset = match node.domain() {
        "ai.onnx" => node.opset(),
        // Which axes share: one, or all that follow.
        _ if form.op == "Softmax" => node.int("opset")?.unwrap_or(OPSET),
        _ => OPSET,
    };
    let y = float(node, writer, form.op, opset, operands)?;
    node.gives(0, Element::Float);
    let Some(parameters) = result else {
        return super::one(y);
    };
    let y = writer.lift(node, y)?;
    let shape = writer.shape(y).to_vec();
    let parameters = parameters.along(node, &shape, -1)?;
    // onnxruntime's sums and products of two tensors add the zero point in single precision.
    let order = match form.op {
        "Add" | "Mul" => Rounded::Last,
        _ => Rounded::First,
    };
    let y = rounded(node, writer, y, &parameters, order)?;
    super::one(Value::Activation(y))
}

/// The float operator `op` with this node's attributes.
fn float(
    node: &Node,
    writer: &mut Writer,
    op: &str,
    opset: i64,
    operands: Vec<Option<Meaning>>,
) -> Result<Value, Error> {
    let mut proto = NodeProto {
        name: node.name().into(),
        op_type: op.into(),
        domain: String::new(),
        attribute: node.take_attributes(),
        ..NodeProto::default()
    };
    // These say that the layout is the usual one, and the operator set of Softmax, which is read.
    let flag = |name: &str| proto.attribute.iter().any(|a| a.name == name && a.i != 0);
    if flag("channels_last") {
        return Err(node.unsupported("its channels come last: export them as axis 1"));
    }
    proto
        .attribute
        .retain(|a| a.name != "channels_last" && a.name != "opset");
    let operator = ops::find(&proto).ok_or_else(|| node.unsupported("has no float operator"))?;
    let mut inner = Node::new(&proto, opset, operands)?;
    let produced = (operator.import)(&mut inner, writer)?;
    inner.finish()?;
    produced
        .into_iter()
        .next()
        .ok_or_else(|| node.unsupported("has no result"))
}

/// A convolution of integers, the zero points subtracted.
pub(crate) fn conv_integer(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    integers(node, writer, "Conv", 0)
}

/// A product of matrices of integers, the zero points subtracted.
pub(crate) fn matmul_integer(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    integers(node, writer, "MatMul", -1)
}

/// The float operator `op` of integers without their zero points; lists of zero points lie along
/// axis -2 of the first operand and `axis` of the second.
fn integers(
    node: &mut Node,
    writer: &mut Writer,
    op: &str,
    axis: i64,
) -> Result<Vec<Value>, Error> {
    node.at_most(4)?;
    let mut operands = Vec::with_capacity(2);
    for (i, axis) in [(0, -2), (1, axis)] {
        let x = node.value(i)?;
        let zero = node.optional_weight(i + 2)?;
        let Some(zero) = zero else {
            operands.push(Some(Meaning::Tensor(x, Element::Float)));
            continue;
        };
        let scale = ndarray::ArrayD::ones(zero.shape());
        let parameters = Parameters {
            scale: super::single(scale),
            zero: super::single(zero),
            integers: None,
        };
        let parameters = parameters.along(node, writer.shape_of(&x), axis)?;
        let x = real(node, writer, x, Element::Int, &parameters)?;
        operands.push(Some(Meaning::Tensor(x, Element::Float)));
    }
    let y = float(node, writer, op, node.opset(), operands)?;
    node.gives(0, Element::Int);
    super::one(y)
}
