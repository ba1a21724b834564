//! Preparation of features: Binarizer, Imputer, `LabelEncoder`, `OneHotEncoder`,
//! `FeatureVectorizer`.

use ndarray::{Array2, arr1};
use zkstrata_model_ir::float::{Activation, Op, ValueId};

use crate::Error;
use crate::ops::logic::truth;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value, finite};
use crate::write::Writer;
use crate::write::formula::Formula;

/// 1 if `x > threshold`, else 0
pub(crate) fn binarizer(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let threshold = node.float("threshold")?.unwrap_or(0.0);
    if !threshold.is_finite() {
        return Err(node.bad_attribute("threshold", format!("is {threshold}")));
    }
    let x = writer.activation(node, 0)?;
    let mut f = Formula::new(node, writer);
    let margin = f.affine(x, -1.0, threshold)?;
    let below = f.apply(Activation::Step, margin)?;
    one(Value::Activation(f.affine(below, -1.0, 1.0)?))
}

/// The input with other numbers in place of those that are missing, one for all features or one
/// for each: `x + [x = missing] (y - missing)`. What is NaN is a cell of an input, or one at which a
/// function before it is not defined, and what is infinite never is.
pub(crate) fn imputer(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let (floats, integers) = (
        node.floats("imputed_value_floats")?,
        node.ints("imputed_value_int64s")?,
    );
    let (float, integer) = (
        node.float("replaced_value_float")?,
        node.int("replaced_value_int64")?,
    );
    let (name, missing, values) = if node.element(0) == Element::Float {
        let values = floats.map(<[f32]>::to_vec);
        ("imputed_value_floats", float.unwrap_or(0.0), values)
    } else {
        let values = integers.map(|list| list.iter().map(|&n| n as f32).collect());
        let missing = integer.unwrap_or(0) as f32;
        ("imputed_value_int64s", missing, values)
    };
    let x = writer.activation(node, 0)?;
    let nothing = |writer: &mut Writer| {
        writer.note(format!(
            "node `{}` does nothing: no number is NaN but in inputs and where a logarithm or a power \
             is not defined, and none is infinite",
            node.name()
        ));
        one(Value::Activation(x))
    };
    if missing.is_infinite() {
        return nothing(writer);
    }
    let features = writer.shape(x).last().copied().unwrap_or(1);
    let values = values.filter(|values| values.len() == 1 || values.len() == features);
    let Some(values) = values else {
        let reason = format!("must be one number, or one for each of {features} features");
        return Err(node.bad_attribute(name, reason));
    };
    let values = finite(node.name(), arr1(&values).into_dyn())?;
    if missing.is_nan() {
        let of_input = writer.may_be_missing(x);
        let mut f = Formula::new(node, writer);
        let y = if of_input {
            Some(f.replaced(x, values)?)
        } else {
            f.defined(x, values)?
        };
        return y.map_or_else(|| nothing(writer), |y| one(Value::Activation(y)));
    }
    let above = finite(node.name(), values - missing)?;
    let mut f = Formula::new(node, writer);
    let distance = f.affine(x, 1.0, -missing)?;
    let found = truth::is_zero(&mut f, distance)?;
    let shift = f.affine_by(found, above, ndarray::arr0(0.0).into_dyn())?;
    one(Value::Activation(f.add(x, shift)?))
}

/// `[x = k]` for each of the keys, as a last axis.
fn compared(f: &mut Formula, x: ValueId, keys: &[i64]) -> Result<ValueId, Error> {
    let mut shape = f.shape(x);
    shape.push(1);
    let x = f.reshape(x, shape)?;
    let keys: Vec<f32> = keys.iter().map(|&k| -(k as f32)).collect();
    let distance = f.affine_by(x, ndarray::arr0(1.0).into_dyn(), arr1(&keys).into_dyn())?;
    f.apply(Activation::IsZero, distance)
}

/// Checks that keys differ and are exact in single precision.
fn keys<'a>(node: &Node<'a>, name: &str) -> Result<&'a [i64], Error> {
    let keys = node.ints(name)?.unwrap_or(&[]);
    let distinct: std::collections::BTreeSet<i64> = keys.iter().copied().collect();
    let small = keys
        .iter()
        .all(|k| k.unsigned_abs() <= crate::scope::value::EXACT);
    if keys.is_empty() || distinct.len() != keys.len() || !small {
        return Err(node.unsupported(format!("it needs different integers as {name}")));
    }
    Ok(keys)
}

/// The value that belongs to each key.
pub(crate) fn label_encoder(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    if node.element(0) == Element::Float {
        return Err(node.unsupported("its keys are not integers: encode labels as integers"));
    }
    let x = writer.activation(node, 0)?;
    let keys = keys(node, "keys_int64s")?;
    let floats = node.floats("values_floats")?.map(<[f32]>::to_vec);
    let integers = node.ints("values_int64s")?;
    let integers = integers.map(|list| list.iter().map(|&v| v as f32).collect::<Vec<_>>());
    let float_default = node.float("default_float")?.unwrap_or(-0.0);
    let int_default = node.int("default_int64")?.unwrap_or(-1) as f32;
    let (values, default, element) = match (floats, integers) {
        (Some(values), None) => (values, float_default, Element::Float),
        (None, Some(values)) => (values, int_default, Element::Int),
        _ => return Err(node.unsupported("its values are not numbers: encode them as integers")),
    };
    if values.len() != keys.len() {
        return Err(node.bad_attribute("keys_int64s", "differs in length from the values"));
    }
    node.gives(0, element);
    let shape = writer.shape(x).to_vec();
    let mut f = Formula::new(node, writer);
    let equal = compared(&mut f, x, keys)?;
    let above: Vec<f32> = values.iter().map(|v| v - default).collect();
    let weight = Array2::from_shape_vec((keys.len(), 1), above).expect("a value for each key");
    let weight = finite(f.node.name(), weight.into_dyn())?;
    let bias = Some(arr1(&[default]).into_dyn());
    let y = f.writer.add(f.node, Op::Dense { weight, bias }, &[equal])?;
    one(Value::Activation(f.reshape(y, shape)?))
}

/// `[x = k]` for each category `k`, as a last axis.
pub(crate) fn one_hot_encoder(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(1)?;
    let x = writer.activation(node, 0)?;
    let cats = keys(node, "cats_int64s")?;
    // Whether unknown categories are errors or have no 1: here they have none.
    let _ = node.flag("zeros")?;
    let mut f = Formula::new(node, writer);
    let x = match f.node.element(0) {
        Element::Float => f.apply(Activation::Truncate, x)?,
        _ => x,
    };
    let y = compared(&mut f, x, cats)?;
    node.gives(0, Element::Float);
    one(Value::Activation(y))
}

/// The inputs side by side.
pub(crate) fn feature_vectorizer(
    node: &mut Node,
    writer: &mut Writer,
) -> Result<Vec<Value>, Error> {
    let widths = node.ints("inputdimensions")?.unwrap_or(&[]);
    let mut parts = Vec::with_capacity(node.input_count());
    for i in 0..node.input_count() {
        let x = writer.activation(node, i)?;
        let x = match *writer.shape(x) {
            [n] => writer.reshape(node, x, vec![1, n])?,
            _ => x,
        };
        let width = writer.shape(x).last().copied().unwrap_or(0);
        if widths.get(i).is_some_and(|&w| w != width as i64) {
            return Err(node.bad_attribute("inputdimensions", format!("input {i} has {width}")));
        }
        parts.push(x);
    }
    node.gives(0, Element::Float);
    let y = writer.add(node, Op::Concat { axis: 1 }, &parts)?;
    one(Value::Activation(y))
}
