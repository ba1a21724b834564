//! The model's inputs: tensors of static shape, except that a dynamic batch axis becomes 1.

use zkstrata_model_ir::float::{GraphBuilder, ValueId};

use crate::Error;
use crate::decode::type_name;
use crate::proto::{DataType, DimensionValue, TypeValue, ValueInfoProto};
use crate::tensor::MAX_RANK;
use crate::value::Element;

/// Declares one input; gives its value and the kind of its elements.
pub(crate) fn declare(
    input: &ValueInfoProto,
    builder: &mut GraphBuilder,
) -> Result<(ValueId, Element), Error> {
    let name = &input.name;
    let shape_error = |reason: String| Error::Shape {
        node: name.clone(),
        reason,
    };
    let Some(TypeValue::TensorType(tensor)) = input.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return Err(shape_error("this input is not a tensor".into()));
    };
    let element = match DataType::try_from(tensor.elem_type) {
        Ok(DataType::Float) => Element::Float,
        Ok(DataType::Float16 | DataType::Bfloat16 | DataType::Double) => {
            let data_type = type_name(tensor.elem_type);
            builder.note(format!(
                "input `{name}` of type {data_type} is imported as float"
            ));
            Element::Float
        }
        Ok(
            DataType::Int64
            | DataType::Int32
            | DataType::Int16
            | DataType::Int8
            | DataType::Uint64
            | DataType::Uint32
            | DataType::Uint16
            | DataType::Uint8,
        ) => Element::Int,
        Ok(DataType::Bool) => Element::Bool,
        _ => {
            return Err(Error::UnsupportedType {
                name: name.clone(),
                data_type: type_name(tensor.elem_type),
                remedy: "model inputs must be numbers or truth values: convert (or embed) the \
                         input outside of the model"
                    .into(),
            });
        }
    };
    let Some(shape) = &tensor.shape else {
        return Err(shape_error(
            "this input has no shape: export the model with fixed input shapes".into(),
        ));
    };
    if shape.dim.len() > MAX_RANK {
        let rank = shape.dim.len();
        return Err(shape_error(format!(
            "this input has {rank} axes, at most {MAX_RANK} are supported"
        )));
    }
    let mut dims = Vec::with_capacity(shape.dim.len());
    for (axis, dim) in shape.dim.iter().enumerate() {
        let symbol = match &dim.value {
            Some(DimensionValue::DimValue(n @ 1..)) => {
                let size = usize::try_from(*n);
                dims.push(size.map_err(|_| shape_error(format!("axis {axis} has length {n}")))?);
                continue;
            }
            Some(DimensionValue::DimValue(0)) | None => "?",
            Some(DimensionValue::DimValue(n)) => {
                return Err(shape_error(format!("axis {axis} has length {n}")));
            }
            Some(DimensionValue::DimParam(symbol)) => symbol,
        };
        if axis > 0 {
            return Err(Error::DynamicShape {
                input: name.clone(),
                axis,
                name: symbol.into(),
            });
        }
        builder.note(format!(
            "the batch axis (axis 0, `{symbol}`) of input `{name}` is imported as 1; a proof has \
             a batch dimension of its own"
        ));
        dims.push(1);
    }
    let value = match element {
        Element::Float => builder.input(name, &dims)?,
        _ => builder.integral_input(name, &dims)?,
    };
    Ok((value, element))
}
