//! Small models built in memory.

use candle_onnx::onnx::attribute_proto::AttributeType;
use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::tensor_shape_proto::{Dimension, dimension};
use candle_onnx::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};
use prost::Message;

/// An axis of a declared shape.
pub(crate) fn dim(value: Option<dimension::Value>) -> Dimension {
    Dimension {
        value,
        ..Dimension::default()
    }
}

/// A declared tensor.
pub(crate) fn declare(name: &str, data_type: DataType, dim: Vec<Dimension>) -> ValueInfoProto {
    let tensor = type_proto::Tensor {
        elem_type: data_type as i32,
        shape: Some(TensorShapeProto { dim }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

/// A float tensor of static shape.
pub(crate) fn float(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dims = shape
        .iter()
        .map(|&n| dim(Some(dimension::Value::DimValue(n))));
    declare(name, DataType::Float, dims.collect())
}

/// A node named after its first output.
pub(crate) fn node(
    op: &str,
    inputs: &[&str],
    output: &str,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|&i| i.into()).collect(),
        output: vec![output.into()],
        attribute,
        ..NodeProto::default()
    }
}

/// A model with the input `x` and the output `y`.
pub(crate) fn model(
    opset: i64,
    x: &[i64],
    initializer: Vec<TensorProto>,
    node: Vec<NodeProto>,
) -> ModelProto {
    let graph = GraphProto {
        name: "test".into(),
        input: vec![float("x", x)],
        output: vec![float("y", &[])],
        initializer,
        node,
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: opset,
        }],
        graph: Some(graph),
        ..ModelProto::default()
    }
}

/// The model's bytes.
pub(crate) fn encode(model: &ModelProto) -> Vec<u8> {
    model.encode_to_vec()
}

/// A float initializer.
pub(crate) fn floats(name: &str, shape: &[i64], cells: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: shape.to_vec(),
        data_type: DataType::Float as i32,
        raw_data: cells.iter().flat_map(|x| x.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

/// A float initializer with cells that differ.
pub(crate) fn weights(name: &str, shape: &[i64]) -> TensorProto {
    let cells = shape.iter().product::<i64>();
    let cell = |i: i64| ((i * 37 + 11) % 23) as f32 / 16.0 - 0.7;
    floats(name, shape, &(0..cells).map(cell).collect::<Vec<_>>())
}

/// A list of integers as an initializer.
pub(crate) fn list(name: &str, cells: &[i64]) -> TensorProto {
    TensorProto {
        dims: vec![cells.len() as i64],
        ..integers(name, cells)
    }
}

/// One integer as an initializer.
pub(crate) fn integer(name: &str, cell: i64) -> TensorProto {
    integers(name, &[cell])
}

fn integers(name: &str, cells: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: DataType::Int64 as i32,
        int64_data: cells.to_vec(),
        ..TensorProto::default()
    }
}

fn attribute(name: &str, data_type: AttributeType) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: data_type as i32,
        ..AttributeProto::default()
    }
}

/// The attribute `name`, a list of integers.
pub(crate) fn ints(name: &str, list: &[i64]) -> AttributeProto {
    AttributeProto {
        ints: list.to_vec(),
        ..attribute(name, AttributeType::Ints)
    }
}

/// The attribute `name`, an integer.
pub(crate) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        i,
        ..attribute(name, AttributeType::Int)
    }
}

/// The attribute `name`, a number.
pub(crate) fn number(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f,
        ..attribute(name, AttributeType::Float)
    }
}

/// The attribute `name`, a list of numbers.
pub(crate) fn numbers(name: &str, list: &[f32]) -> AttributeProto {
    AttributeProto {
        floats: list.to_vec(),
        ..attribute(name, AttributeType::Floats)
    }
}

/// The attribute `name`, a list of strings.
pub(crate) fn strings(name: &str, list: &[&str]) -> AttributeProto {
    AttributeProto {
        strings: list.iter().map(|&s| s.into()).collect(),
        ..attribute(name, AttributeType::Strings)
    }
}

/// The attribute `name`, a string.
pub(crate) fn string(name: &str, s: &str) -> AttributeProto {
    AttributeProto {
        s: s.into(),
        ..attribute(name, AttributeType::String)
    }
}

/// The attribute `name`, a tensor.
pub(crate) fn tensor(name: &str, t: TensorProto) -> AttributeProto {
    AttributeProto {
        t: Some(t),
        ..attribute(name, AttributeType::Tensor)
    }
}

/// The attribute `name`, a graph.
pub(crate) fn graph(
    name: &str,
    inputs: &[&str],
    outputs: &[&str],
    initializer: Vec<TensorProto>,
    node: Vec<NodeProto>,
) -> AttributeProto {
    let declared = |names: &[&str]| names.iter().map(|name| float(name, &[])).collect();
    AttributeProto {
        g: Some(GraphProto {
            name: name.into(),
            input: declared(inputs),
            output: declared(outputs),
            initializer,
            node,
            ..GraphProto::default()
        }),
        ..attribute(name, AttributeType::Graph)
    }
}

/// A node with several outputs.
pub(crate) fn several(
    op: &str,
    inputs: &[&str],
    outputs: &[&str],
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        output: outputs.iter().map(|&o| o.into()).collect(),
        ..node(op, inputs, outputs[0], attribute)
    }
}

/// A node of `com.microsoft`.
pub(crate) fn microsoft(
    op: &str,
    inputs: &[&str],
    output: &str,
    attribute: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        domain: "com.microsoft".into(),
        ..node(op, inputs, output, attribute)
    }
}

/// The model with another output in place of `y`.
pub(crate) fn giving(mut model: ModelProto, names: &[&str]) -> ModelProto {
    if let Some(graph) = &mut model.graph {
        graph.output = names.iter().map(|name| float(name, &[])).collect();
    }
    model
}

/// The model with one more input.
pub(crate) fn taking(
    mut model: ModelProto,
    name: &str,
    data_type: DataType,
    shape: &[i64],
) -> ModelProto {
    let dims = shape
        .iter()
        .map(|&n| dim(Some(dimension::Value::DimValue(n))));
    if let Some(graph) = &mut model.graph {
        graph.input.push(declare(name, data_type, dims.collect()));
    }
    model
}

/// A truth value as an initializer.
pub(crate) fn truth(name: &str, cell: bool) -> TensorProto {
    TensorProto {
        name: name.into(),
        data_type: DataType::Bool as i32,
        int32_data: vec![cell.into()],
        ..TensorProto::default()
    }
}
