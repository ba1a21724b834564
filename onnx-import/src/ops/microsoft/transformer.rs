//! The parts of transformers as onnxruntime joins them: a residual sum and its normalisation,
//! embeddings, and attention with its projections.

use crate::Error;
use crate::decode::tensor::Tensor;
use crate::ops::array::slice;
use crate::ops::array::view::viewed;
use crate::ops::inner::{all, float, inner, integer, number};
use crate::ops::microsoft::fused::{epsilon, last_axis};
use crate::ops::one;
use crate::scope::names::Meaning;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Element, Value};
use crate::write::Writer;

/// The operator set whose forms these operators take.
const OPSET: i64 = 17;
/// That of Attention.
const ATTENTION: i64 = 23;

/// `a + b`
fn sum(node: &Node, writer: &mut Writer, a: Value, b: Value) -> Result<Value, Error> {
    let terms = vec![float(a), float(b)];
    Ok(inner(node, writer, ("Add", OPSET), vec![], terms)?.0)
}

/// Gives the results of a normalisation, and the sum that it normalised as result `index`.
fn normalised(
    node: &mut Node,
    results: Vec<Option<Meaning>>,
    index: usize,
    total: Value,
) -> Vec<Value> {
    for (i, meaning) in results.into_iter().enumerate() {
        if let Some(meaning) = meaning {
            node.means(i, meaning);
        }
    }
    node.means(index, Meaning::Tensor(total, Element::Float));
    vec![]
}

/// `LayerNormalization(x + skip + bias)`; the sum is the fourth result.
pub(crate) fn skip_layer(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(5)?;
    let (x, skip) = (node.value(0)?, node.value(1)?);
    let mut total = sum(node, writer, x, skip)?;
    if let Some(bias) = node.take(4) {
        total = sum(node, writer, total, bias)?;
    }
    let attributes = vec![epsilon(node, 1e-12)?, last_axis()];
    let operands = vec![
        float(total.clone()),
        float(node.value(2)?),
        node.take(3).and_then(float),
    ];
    let form = ("LayerNormalization", OPSET);
    let results = all(node, writer, form, attributes, operands, 3)?;
    Ok(normalised(node, results, 3, total))
}

/// `x + skip + bias`, divided by its root mean square; the sum is the fourth result.
pub(crate) fn skip_simplified_layer(
    node: &mut Node,
    writer: &mut Writer,
) -> Result<Vec<Value>, Error> {
    node.at_most(4)?;
    let (x, skip) = (node.value(0)?, node.value(1)?);
    let mut total = sum(node, writer, x, skip)?;
    if let Some(bias) = node.take(3) {
        total = sum(node, writer, total, bias)?;
    }
    let attributes = vec![epsilon(node, 1e-6)?, last_axis()];
    let operands = vec![float(total.clone()), float(node.value(2)?)];
    let form = ("RMSNormalization", ATTENTION);
    let results = all(node, writer, form, attributes, operands, 1)?;
    Ok(normalised(node, results, 3, total))
}

/// `LayerNormalization` of the sum of the embeddings of words, positions and segments; the sum is
/// the third result.
pub(crate) fn embed(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(9)?;
    // Which form the second result has, which is not computed.
    let _ = node.int("mask_index_type")?;
    drop(node.take(7));
    let words = node.meaning(0)?;
    let tokens = match &words {
        Meaning::Tensor(value, _) => writer.shape_of(value).to_vec(),
        Meaning::Sequence(_) => vec![],
    };
    let [_, length] = tokens[..] else {
        return Err(node.shape_error(format!("ids of shape {tokens:?}")));
    };
    let mut looked_up = |node: &mut Node, table: usize, ids: Meaning| {
        let operands = vec![float(node.value(table)?), Some(ids)];
        let axis = vec![integer("axis", 0)];
        Ok::<_, Error>(inner(node, writer, ("Gather", OPSET), axis, operands)?.0)
    };
    let word = looked_up(node, 2, words)?;
    let positions = if let Some(positions) = node.take(8) {
        Meaning::Tensor(positions, Element::Int)
    } else {
        let list = Tensor::list((0..length as i64).collect());
        Meaning::Tensor(Value::Constant(Constant::new("", list)), Element::Int)
    };
    let position = looked_up(node, 3, positions)?;
    let segment = match node.take(1) {
        None => None,
        Some(ids) => Some(looked_up(node, 4, Meaning::Tensor(ids, Element::Int))?),
    };
    let mut total = sum(node, writer, word, position)?;
    if let Some(segment) = segment {
        total = sum(node, writer, total, segment)?;
    }
    let attributes = vec![epsilon(node, 1e-12)?, last_axis()];
    let operands = vec![
        float(total.clone()),
        float(node.value(5)?),
        float(node.value(6)?),
    ];
    let form = ("LayerNormalization", OPSET);
    let results = all(node, writer, form, attributes, operands, 1)?;
    Ok(normalised(node, results, 2, total))
}

/// A positive attribute.
fn count(node: &Node, name: &str) -> Result<i64, Error> {
    let n = node.int(name)?.filter(|&n| n > 0);
    n.ok_or_else(|| node.bad_attribute(name, "must be positive"))
}

/// Which keys count, `[batch, keys]` of 1 and 0, as a mask of `[batch, 1, 1, keys]` truth values.
fn padding(
    node: &Node,
    writer: &mut Writer,
    mask: Value,
    element: Element,
) -> Result<Meaning, Error> {
    let shape = writer.shape_of(&mask).to_vec();
    let [batch, keys] = shape[..] else {
        return Err(node.unsupported(format!(
            "its mask of shape {shape:?} is not one of a batch and its keys: save the model with \
             ORT_ENABLE_BASIC"
        )));
    };
    let mask = viewed(node, writer, mask, vec![batch, 1, 1, keys])?;
    let to = vec![integer("to", 9)];
    let operands = vec![Some(Meaning::Tensor(mask, element))];
    let (mask, element) = inner(node, writer, ("Cast", OPSET), to, operands)?;
    Ok(Meaning::Tensor(mask, element))
}

/// Attention of queries, keys and values `[batch, length, heads * features]`, with at most one mask.
struct Parts {
    qkv: [Value; 3],
    heads: i64,
    mask: Option<Meaning>,
    causal: bool,
}

impl Parts {
    fn write(self, node: &Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
        let mut attributes = vec![
            integer("q_num_heads", self.heads),
            integer("kv_num_heads", self.heads),
            integer("is_causal", i64::from(self.causal)),
        ];
        if let Some(scale) = node.float("scale")?.filter(|&scale| scale != 0.0) {
            attributes.push(number("scale", scale));
        }
        // What a masked score is replaced by: its exponential is 0.
        let _ = node.float("mask_filter_value")?;
        let mut operands: Vec<Option<Meaning>> = self.qkv.into_iter().map(float).collect();
        operands.push(self.mask);
        let form = ("Attention", ATTENTION);
        one(inner(node, writer, form, attributes, operands)?.0)
    }
}

/// The one mask of a padding and a bias of the scores.
fn one_mask(
    node: &mut Node,
    writer: &mut Writer,
    padding_at: usize,
    bias_at: usize,
) -> Result<Option<Meaning>, Error> {
    let (of_padding, of_bias) = (node.element(padding_at), node.element(bias_at));
    match (node.take(padding_at), node.take(bias_at)) {
        (None, None) => Ok(None),
        (None, Some(bias)) => Ok(Some(Meaning::Tensor(bias, of_bias))),
        (Some(mask), None) => padding(node, writer, mask, of_padding).map(Some),
        (Some(_), Some(_)) => Err(node.unsupported(
            "it has both a mask of keys and a bias: save the model with ORT_ENABLE_BASIC",
        )),
    }
}

/// Refuses operands from `first` on.
fn no_past(node: &Node, first: usize) -> Result<(), Error> {
    if (first..node.input_count()).any(|i| node.has(i)) {
        return Err(node
            .unsupported("it has keys and values of the past: export the model without a cache"));
    }
    Ok(())
}

/// Attention whose queries, keys and values are `x W + b` side by side.
pub(crate) fn packed_attention(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let (heads, causal) = (count(node, "num_heads")?, node.flag("unidirectional")?);
    let sizes = node.ints("qkv_hidden_sizes")?.map(<[i64]>::to_vec);
    let mask = one_mask(node, writer, 3, 5)?;
    no_past(node, 3)?;
    let product = vec![float(node.value(0)?), float(node.value(1)?)];
    let (mut all, _) = inner(node, writer, ("MatMul", OPSET), vec![], product)?;
    if let Some(bias) = node.take(2) {
        all = sum(node, writer, all, bias)?;
    }
    let width = writer.shape_of(&all).last().copied().unwrap_or(0);
    let sizes = sizes.unwrap_or_else(|| vec![width as i64 / 3; 3]);
    let qkv = slice::parts(node, writer, &all, -1, &sizes)?;
    let Ok(qkv) = <[Value; 3]>::try_from(qkv) else {
        return Err(node.bad_attribute("qkv_hidden_sizes", "must have three lengths"));
    };
    let causal = causal == Some(true);
    Parts {
        qkv,
        heads,
        mask,
        causal,
    }
    .write(node, writer)
}

/// Attention of separate queries, keys and values, to each of which a part of a bias is added.
pub(crate) fn multi_head_attention(
    node: &mut Node,
    writer: &mut Writer,
) -> Result<Vec<Value>, Error> {
    let (heads, causal) = (count(node, "num_heads")?, node.flag("unidirectional")?);
    let mask = one_mask(node, writer, 4, 5)?;
    no_past(node, 6)?;
    let mut qkv = Vec::with_capacity(3);
    for i in 0..3 {
        let x = node.take(i).filter(|x| writer.shape_of(x).len() == 3);
        qkv.push(x.ok_or_else(|| {
            node.unsupported(
                "its queries, keys and values are packed: save the model with ORT_ENABLE_BASIC",
            )
        })?);
    }
    if let Some(bias) = node.take(3) {
        let width = |x: &Value| writer.shape_of(x).last().map_or(0, |&n| n as i64);
        let sizes: Vec<i64> = qkv.iter().map(width).collect();
        let biases = slice::parts(node, writer, &bias, 0, &sizes)?;
        let pairs = qkv.into_iter().zip(biases);
        qkv = pairs
            .map(|(x, bias)| sum(node, writer, x, bias))
            .collect::<Result<_, _>>()?;
    }
    let Ok(qkv) = <[Value; 3]>::try_from(qkv) else {
        return Err(node.shape_error("it needs queries, keys and values"));
    };
    let causal = causal == Some(true);
    Parts {
        qkv,
        heads,
        mask,
        causal,
    }
    .write(node, writer)
}
