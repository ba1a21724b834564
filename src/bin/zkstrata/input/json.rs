//! JSON inputs: EZKL's lists and named nested lists.

use super::{Arrays, Side};
use ndarray::{ArrayD, IxDyn};
use serde_json::{Map, Value};
use zkstrata::ndarray;

/// The arrays of a JSON file.
pub(super) fn arrays(bytes: &[u8], side: Side) -> Result<Arrays, String> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| format!("not .npz, .npy or JSON: {error}"))?;
    match value {
        Value::Object(object) => from_object(object, side),
        list @ Value::Array(_) => Ok(Arrays::Listed(vec![array(&list)?])),
        _ => Err("expected an object of arrays or a nested list".into()),
    }
}

fn from_object(mut object: Map<String, Value>, side: Side) -> Result<Arrays, String> {
    let key = match side {
        Side::Input => "input_data",
        Side::Output => "output_data",
    };
    match object.remove(key) {
        Some(Value::Array(lists)) => {
            let arrays = lists.iter().map(array);
            let arrays = arrays.collect::<Result<_, _>>();
            Ok(Arrays::Listed(arrays.map_err(|e| format!("{key}: {e}"))?))
        }
        Some(_) => Err(format!("`{key}` is not a list")),
        None => {
            let lists = object.iter().filter(|(_, value)| value.is_array());
            let named = lists.map(|(name, value)| {
                let array = array(value).map_err(|error| format!("`{name}`: {error}"))?;
                Ok((name.clone(), array))
            });
            Ok(Arrays::Named(named.collect::<Result<_, String>>()?))
        }
    }
}

/// A nested list of numbers.
fn array(value: &Value) -> Result<ArrayD<f32>, String> {
    let mut shape = Vec::new();
    let mut inner = value;
    while let Value::Array(list) = inner {
        shape.push(list.len());
        let Some(first) = list.first() else { break };
        inner = first;
    }
    let mut cells = Vec::new();
    flatten(value, &shape, &mut cells)?;
    ArrayD::from_shape_vec(IxDyn(&shape), cells).map_err(|e| e.to_string())
}

fn flatten(value: &Value, shape: &[usize], cells: &mut Vec<f32>) -> Result<(), String> {
    let found = match (value, shape) {
        (Value::Array(list), [n, rest @ ..]) if list.len() == *n => {
            return list.iter().try_for_each(|x| flatten(x, rest, cells));
        }
        (Value::Array(list), [n, ..]) => {
            let found = list.len();
            return Err(format!("lists of {n} and of {found} elements in one place"));
        }
        (Value::Number(x), []) => {
            // Numbers too large for f64 were refused by the parser; for f32 they are infinite,
            // which the quantisation of the input refuses.
            cells.push(x.as_f64().unwrap_or(f64::NAN) as f32);
            return Ok(());
        }
        (Value::Bool(x), []) => {
            cells.push(f32::from(*x));
            return Ok(());
        }
        (Value::Array(_), []) => "a list".to_owned(),
        (other, _) => other.to_string().chars().take(32).collect(),
    };
    let expected = if shape.is_empty() { "number" } else { "list" };
    Err(format!("{found} where a {expected} should be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(text: &str) -> Result<Vec<Vec<usize>>, String> {
        let shape = |x: &ArrayD<f32>| x.shape().to_vec();
        Ok(match arrays(text.as_bytes(), Side::Input)? {
            Arrays::Listed(arrays) => arrays.iter().map(shape).collect(),
            Arrays::Named(arrays) => arrays.iter().map(|(_, x)| shape(x)).collect(),
        })
    }

    #[test]
    fn lists_of_all_sorts() {
        let two = r#"{"input_data": [[1, 2.5, -3e2], [[true], [false]]], "input_shapes": [[3]]}"#;
        assert_eq!(shapes(two), Ok(vec![vec![3], vec![2, 1]]));
        let named = r#"{"in_x": [[1, 2], [3, 4]], "version": 3}"#;
        assert_eq!(shapes(named), Ok(vec![vec![2, 2]]));
        assert_eq!(shapes("[[[1]]]"), Ok(vec![vec![1, 1, 1]]));
        assert_eq!(shapes(r#"{"input_data": [[]]}"#), Ok(vec![vec![0]]));
        let bad = [
            r#"{"input_data": [[1, "2"]]}"#,
            r#"{"input_data": [[1, null]]}"#,
            r#"{"input_data": [[[1], [2, 3]]]}"#,
            r#"{"input_data": [[1, [2]]]}"#,
            r#"{"input_data": [[[1], 2]]}"#,
            r#"{"input_data": 1}"#,
            r#"{"input_data": [[1e999]]}"#,
            "7",
            "NaN",
            "",
        ];
        for text in bad {
            assert!(shapes(text).is_err(), "{text}");
        }
    }
}
