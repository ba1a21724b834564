//! Conversions between element types: Cast, `CastLike`.
//!
//! All float types are one, and all integer types.

use zkstrata_model_ir::float::{Activation, ValueId};

use crate::Error;
use crate::decode::stored::type_name;
use crate::decode::tensor::{Cells, Tensor, range};
use crate::ops::one;
use crate::proto::DataType;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Element, Value};
use crate::write::Writer;
use crate::write::broadcast::folded;
use crate::write::formula::Formula;

/// The input in another element type.
pub(crate) fn cast(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = node.value(0)?;
    let Some(to) = node.int("to")? else {
        return Err(node.bad_attribute("to", "is missing"));
    };
    // Both concern 8-bit float types only, which are not supported.
    if node.opset() >= 19 {
        let _ = node.int("saturate")?;
    }
    if node.opset() >= 25 {
        let _ = node.string("round_mode")?;
    }
    let to = i32::try_from(to).unwrap_or(-1);
    let data_type = DataType::try_from(to).unwrap_or(DataType::Undefined);
    let is_float = is_float(data_type);
    let x = match x {
        Value::Constant(x) => x,
        Value::Activation(x) => {
            if data_type == DataType::Float16 || data_type == DataType::Bfloat16 {
                let (name, to) = (node.name(), type_name(to));
                writer.note(format!("node `{name}`: the rounding to {to} is dropped"));
            }
            let element = match data_type {
                _ if is_float => Element::Float,
                DataType::Bool => Element::Bool,
                _ if range(data_type).is_some() => Element::Int,
                _ => return Err(node.unsupported(format!("the type {}", type_name(to)))),
            };
            let y = convert(node, writer, x, element)?;
            return one(Value::Activation(y));
        }
    };
    let typed = |tensor: Tensor| match range(data_type) {
        Some(_) => tensor.of_type(data_type),
        None => tensor,
    };
    one(folded(typed(constant(node, writer, x, data_type)?)))
}

/// Constant cells in another type; `None` if one does not fit.
fn converted(cells: Cells, to: DataType, is_float: bool) -> Option<Cells> {
    let (lo, hi) = match range(to) {
        Some(range) => range,
        None if is_float || to == DataType::Bool => (i64::MIN, i64::MAX),
        None => return None,
    };
    let fits = |n: i64| (lo..=hi).contains(&n).then_some(n);
    Some(match (cells, to) {
        (cells @ Cells::Float(_), _) if is_float => cells,
        (Cells::Int(cells), _) if is_float => {
            Cells::Float(cells.into_iter().map(|n| n as f32).collect())
        }
        (Cells::Bool(cells), _) if is_float => {
            Cells::Float(cells.into_iter().map(f32::from).collect())
        }
        (Cells::Float(cells), DataType::Bool) => {
            Cells::Bool(cells.into_iter().map(|x| x != 0.0).collect())
        }
        (Cells::Int(cells), DataType::Bool) => {
            Cells::Bool(cells.into_iter().map(|n| n != 0).collect())
        }
        (cells @ Cells::Bool(_), DataType::Bool) => cells,
        (Cells::Float(cells), _) => {
            // 2^63 is the first float beyond i64. What is infinite or no number becomes the lowest
            // integer, as processors have it; something selects others in its place.
            let whole = |x: f32| match x {
                x if !x.is_finite() => Some(lo),
                x => (x.abs() < 9.223_372e18).then_some(x as i64),
            };
            let cells = cells.into_iter().map(|x| fits(whole(x)?));
            Cells::Int(cells.collect::<Option<_>>()?)
        }
        (Cells::Int(cells), _) => Cells::Int(cells.into_iter().map(fits).collect::<Option<_>>()?),
        (Cells::Bool(cells), _) => Cells::Int(cells.into_iter().map(i64::from).collect()),
    })
}

/// Operand 0 as numbers of another kind: integers lose their fraction, and truth is being
/// different from 0.
fn convert(
    node: &mut Node,
    writer: &mut Writer,
    x: ValueId,
    element: Element,
) -> Result<ValueId, Error> {
    let from = node.element(0);
    node.gives(0, element);
    let mut f = Formula::new(node, writer);
    match (from, element) {
        (Element::Float, Element::Int) => f.apply(Activation::Truncate, x),
        (Element::Float | Element::Int, Element::Bool) => {
            let zero = crate::ops::logic::truth::is_zero(&mut f, x)?;
            crate::ops::logic::truth::not(&mut f, zero)
        }
        _ => Ok(x),
    }
}

/// The first operand in the element type of the second.
pub(crate) fn cast_like(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let x = node.value(0)?;
    if node.opset() >= 19 {
        let _ = node.int("saturate")?;
    }
    if node.opset() >= 25 {
        let _ = node.string("round_mode")?;
    }
    let element = node.element(1).unmasked();
    drop(node.value(1)?);
    match x {
        Value::Activation(x) => one(Value::Activation(convert(node, writer, x, element)?)),
        Value::Constant(x) => {
            let data_type = match element {
                Element::Float | Element::Masked(_) | Element::Dynamic(_) => DataType::Float,
                Element::Int | Element::Quantised(_) => DataType::Int64,
                Element::Bool => DataType::Bool,
            };
            one(folded(constant(node, writer, x, data_type)?))
        }
    }
}

/// A constant in another type.
fn constant(
    node: &Node,
    writer: &mut Writer,
    x: Constant,
    data_type: DataType,
) -> Result<Tensor, Error> {
    writer.allow(node, Some(x.tensor.len()))?;
    let shape = x.tensor.shape().to_vec();
    let cells = converted(x.into_tensor().into_cells(), data_type, is_float(data_type));
    let cells = cells.ok_or_else(|| {
        let name = type_name(data_type as i32);
        node.shape_error(format!("a constant does not fit {name}"))
    })?;
    Ok(Tensor::new(shape, cells))
}

fn is_float(data_type: DataType) -> bool {
    matches!(
        data_type,
        DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_of_constants() {
        let floats = || Cells::Float(vec![-1.9, 300.0]);
        assert_eq!(
            converted(floats(), DataType::Int64, false),
            Some(Cells::Int(vec![-1, 300]))
        );
        assert_eq!(converted(floats(), DataType::Uint8, false), None);
        assert_eq!(converted(floats(), DataType::String, false), None);
        let nan = Cells::Float(vec![f32::NAN]);
        assert_eq!(
            converted(nan, DataType::Int32, false),
            Some(Cells::Int(vec![i32::MIN.into()]))
        );
        assert_eq!(
            converted(Cells::Int(vec![2, 0]), DataType::Bool, false),
            Some(Cells::Bool(vec![true, false]))
        );
        assert_eq!(
            converted(Cells::Bool(vec![true]), DataType::Float16, true),
            Some(Cells::Float(vec![1.0]))
        );
    }
}
