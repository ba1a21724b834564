//! The small protobuf messages of a graph.

use zkstrata_onnx_import::proto::{
    AttributeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType, tensor_proto::DataType, tensor_shape_proto::Dimension,
    tensor_shape_proto::dimension::Value as DimensionValue, type_proto,
};

/// A constant of floats, given by their bytes, little end first.
pub(crate) fn constant(name: &str, shape: &[usize], raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: shape.iter().map(|&n| n as i64).collect(),
        data_type: DataType::Float as i32,
        raw_data,
        ..TensorProto::default()
    }
}

/// A tensor of static shape.
pub(crate) fn declare(name: &str, cells: DataType, shape: &[usize]) -> ValueInfoProto {
    let axis = |&n: &usize| Dimension {
        value: Some(DimensionValue::DimValue(n as i64)),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: cells as i32,
        shape: Some(TensorShapeProto {
            dim: shape.iter().map(axis).collect(),
        }),
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

pub(crate) fn ints(name: &str, list: &[usize]) -> AttributeProto {
    AttributeProto {
        ints: list.iter().map(|&n| n as i64).collect(),
        ..attribute(name, AttributeType::Ints)
    }
}

pub(crate) fn int(name: &str, n: usize) -> AttributeProto {
    AttributeProto {
        i: n as i64,
        ..attribute(name, AttributeType::Int)
    }
}

pub(crate) fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f,
        ..attribute(name, AttributeType::Float)
    }
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: kind as i32,
        ..AttributeProto::default()
    }
}
