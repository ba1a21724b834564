//! JSON inputs: EZKL's lists and named nested lists.

use super::{Layout, Port, Side, Stack, Wanted};
use serde_json::{Map, Value};
use zkstrata_conformance::npy::Kind;

/// The arrays of a JSON file.
#[derive(Debug)]
pub(super) enum Lists {
    /// By name.
    Named(Vec<(String, Value)>),
    /// One per port, or per sample.
    Listed(Vec<Value>),
}

impl Lists {
    /// Reads a JSON file, with or without a byte-order mark.
    pub(super) fn parse(bytes: &[u8], side: Side) -> Result<Self, String> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err("the text is UTF-16; save it as UTF-8".into());
        }
        if bytes.trim_ascii().is_empty() {
            return Err("the file is empty".into());
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|e| fault(bytes, &e))?;
        match value {
            Value::Object(object) => from_object(object, side),
            list @ Value::Array(_) => Ok(Self::Listed(vec![list])),
            _ => Err("expected an object of arrays or a nested list".into()),
        }
    }

    fn value(&self, array: usize) -> &Value {
        match self {
            Self::Named(named) => &named[array].1,
            Self::Listed(listed) => &listed[array],
        }
    }

    /// The shape of one array.
    pub(super) fn shape(&self, array: usize) -> Vec<usize> {
        shape(self.value(array))
    }

    /// The samples of one array.
    pub(super) fn stack(&self, array: usize, port: &Port, wanted: Wanted) -> Result<Stack, String> {
        let value = self.value(array);
        let shape = shape(value);
        let Layout { samples, cells } = Layout::new(&shape, port)?;
        let count = wanted.of(samples)?;
        let mut flat = Vec::new();
        flatten(value, &shape, &mut flat)?;
        let rows = flat.chunks_exact(cells).take(count).enumerate();
        let rows = rows.map(|(i, row)| port.sample(Kind::Float, i, row));
        Ok(Stack {
            found: samples,
            samples: rows.collect::<Result<_, _>>()?,
        })
    }
}

fn from_object(mut object: Map<String, Value>, side: Side) -> Result<Lists, String> {
    let key = match side {
        Side::Input => "input_data",
        Side::Output => "output_data",
    };
    match object.remove(key) {
        Some(Value::Array(lists)) => Ok(Lists::Listed(lists)),
        Some(_) => Err(format!("`{key}` is not a list")),
        None => {
            let lists = object.into_iter().filter(|(_, value)| value.is_array());
            Ok(Lists::Named(lists.collect()))
        }
    }
}

/// What a parser's error means to somebody who wrote numbers with Python.
fn fault(bytes: &[u8], error: &serde_json::Error) -> String {
    let lines = bytes.split_inclusive(|&c| c == b'\n');
    let before: usize = lines
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    let at = (before + error.column().saturating_sub(1)).min(bytes.len());
    let in_word = |c: &u8| c.is_ascii_alphabetic();
    let start = bytes[..at].iter().rev().take_while(|c| in_word(c)).count();
    let word = &bytes[at - start..];
    let length = word.iter().take_while(|c| in_word(c)).count();
    match word[..length].to_ascii_lowercase().as_slice() {
        b"nan" | b"inf" | b"infinity" => {
            let word = String::from_utf8_lossy(&word[..length]);
            let (line, column) = (error.line(), error.column());
            format!(
                "{word} at line {line} column {column}: JSON has no such number; write null for a \
                 missing value"
            )
        }
        _ => format!("not .npz, .npy or JSON: {error}"),
    }
}

/// The shape that a nested list of numbers has if its lists are of one length.
fn shape(mut value: &Value) -> Vec<usize> {
    let mut shape = Vec::new();
    while let Value::Array(list) = value {
        shape.push(list.len());
        let Some(first) = list.first() else { break };
        value = first;
    }
    shape
}

fn flatten(value: &Value, shape: &[usize], cells: &mut Vec<f64>) -> Result<(), String> {
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
            cells.push(x.as_f64().unwrap_or(f64::NAN));
            return Ok(());
        }
        // A missing value, which some models take.
        (Value::Null, []) => {
            cells.push(f64::NAN);
            return Ok(());
        }
        (Value::Bool(x), []) => {
            cells.push(u8::from(*x).into());
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
    use super::super::port::tests::port;
    use super::*;

    /// Names of the arrays, and how many samples of this shape the first one has.
    fn read(text: &str, cells: &[usize]) -> Result<(Vec<String>, usize), String> {
        let lists = Lists::parse(text.as_bytes(), Side::Input)?;
        let stack = lists.stack(0, &port(cells), Wanted::All)?;
        assert!(stack.samples.iter().all(|x| x.shape() == cells));
        let names = match lists {
            Lists::Named(named) => named.into_iter().map(|(name, _)| name).collect(),
            Lists::Listed(listed) => listed.iter().map(|_| String::new()).collect(),
        };
        Ok((names, stack.found))
    }

    #[test]
    fn lists_of_all_sorts() {
        let named = |names: &[&str], n: usize| {
            let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
            Ok((names, n))
        };
        let two = r#"{"input_data": [[1, 2.5, -3e2], [[true], [false]]], "input_shapes": [[3]]}"#;
        assert_eq!(read(two, &[3]), named(&["", ""], 1));
        let other = r#"{"in_x": [[1, 2], [3, 4]], "version": 3, "labels": ["a", null]}"#;
        assert_eq!(read(other, &[2]), named(&["in_x", "labels"], 2));
        assert_eq!(read("[[[1]]]", &[1]), named(&[""], 1));
        assert_eq!(read("\u{feff}[1, 2]", &[2]), named(&[""], 1));
        let missing = Lists::parse(b"[1, null]", Side::Input).expect("a list");
        let missing = missing.stack(0, &port(&[2]), Wanted::All).expect("cells");
        assert_eq!(missing.samples[0][[0]].to_bits(), 1.0_f32.to_bits());
        assert!(missing.samples[0][[1]].is_nan());
        let bad = [
            r#"{"input_data": [[1, "2"]]}"#,
            r#"{"input_data": [[1, "NaN"]]}"#,
            r#"{"input_data": [[[1], [2, 3]]]}"#,
            r#"{"input_data": [[1, [2]]]}"#,
            r#"{"input_data": [[[1], 2]]}"#,
            r#"{"input_data": 1}"#,
            r#"{"input_data": [[1e999, 1]]}"#,
            r#"{"input_data": [[]]}"#,
            "7",
        ];
        for text in bad {
            assert!(read(text, &[2]).is_err(), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_json_say_why() {
        for (text, why) in [
            ("[[1, NaN]]", "NaN at line 1"),
            ("[[1,\n  -Infinity]]", "Infinity at line 2"),
            ("[Infinity]", "Infinity at line 1"),
            ("{\"input_data\": [[inf]]}", "inf at line 1"),
            ("NaN", "NaN at line 1"),
            ("[1, nul]", "not .npz, .npy or JSON"),
            ("[1, 2", "not .npz, .npy or JSON"),
            ("", "the file is empty"),
            ("\u{feff} \n", "the file is empty"),
        ] {
            let error = read(text, &[2]).expect_err(why);
            assert!(error.contains(why), "{text}: {error}");
        }
        let error = Lists::parse(b"\xff\xfe[\x001\x00]\x00", Side::Input).expect_err("UTF-16");
        assert!(error.contains("UTF-16"), "{error}");
    }
}
