//! Rotary position embedding: pairs `(x, y)` of features become
//! `(cos x - sin y, sin x + cos y)`, by angles that depend on the position.
//!
//! With the partners exchanged, `x'`, it is `C x + S x'` for coefficients of each feature: the
//! cosine, or 1 for features that stay, and the sine with its sign, or 0.

use ndarray::{Axis, arr0};
use zkstrata_model_ir::float::{AxisMatrix, ValueId};

use crate::Error;
use crate::decode::tensor::{Cells, Tensor};
use crate::ops::math::extreme::{along, one_hot};
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Constant, Value};
use crate::write::Writer;
use crate::write::formula::Formula;

/// The pairs of features that are turned together.
struct Pairs {
    /// Features of a head.
    width: usize,
    /// Pairs that are turned.
    count: usize,
    /// Whether partners are neighbours, and not half of the turned features apart.
    interleaved: bool,
}

impl Pairs {
    /// The pair of a feature, and whether it is the second of it; `None` if it stays.
    fn of(&self, feature: usize) -> Option<(usize, bool)> {
        if feature >= 2 * self.count {
            return None;
        }
        Some(if self.interleaved {
            (feature / 2, feature % 2 == 1)
        } else {
            (feature % self.count, feature >= self.count)
        })
    }

    /// The feature with which a feature is turned, or itself.
    fn partner(&self, feature: usize) -> usize {
        match (self.of(feature), self.interleaved) {
            (None, _) => feature,
            (Some((_, second)), true) => {
                if second {
                    feature - 1
                } else {
                    feature + 1
                }
            }
            (Some((_, true)), false) => feature - self.count,
            (Some((_, false)), false) => feature + self.count,
        }
    }

    /// The matrix from the angles' cosines or sines to features.
    fn spread(&self, sign: impl Fn(bool) -> i64) -> AxisMatrix {
        let entry = |feature: usize| {
            let (pair, second) = self.of(feature)?;
            Some((feature as u32, pair as u32, sign(second)))
        };
        AxisMatrix {
            input: self.count,
            output: self.width,
            entries: (0..self.width).filter_map(entry).collect(),
            divisor: 1,
        }
    }
}

/// The rows of a cache at the positions, of shape `[batch or 1, positions, pairs]`.
fn rows(f: &mut Formula, cache: Value, positions: Option<&Value>) -> Result<Value, Error> {
    let shape = f.writer.shape_of(&cache).to_vec();
    let bad = || f.node.shape_error(format!("a cache of shape {shape:?}"));
    let Some(positions) = positions else {
        return if shape.len() == 3 {
            Ok(cache)
        } else {
            Err(bad())
        };
    };
    let [n, pairs] = shape[..] else {
        return Err(bad());
    };
    let at = f.writer.shape_of(positions).to_vec();
    let [batch, count] = at[..] else {
        return Err(f.node.shape_error(format!("positions of shape {at:?}")));
    };
    match (cache, positions) {
        (Value::Constant(cache), Value::Constant(positions)) => {
            let Cells::Int(list) = positions.tensor.cells() else {
                return Err(f.node.shape_error("positions must be integers"));
            };
            let list = list.iter().map(|&i| f.node.axis(i, n));
            let list = list.collect::<Result<Vec<_>, _>>()?;
            let result = vec![batch, count, pairs];
            f.writer
                .allow(f.node, crate::decode::tensor::count(&result))?;
            let picked = list.iter().flat_map(|&i| i * pairs..(i + 1) * pairs);
            let cells = cache.tensor.cells().pick(picked);
            Ok(Value::Constant(Constant::new(
                &cache.name,
                Tensor::new(result, cells),
            )))
        }
        (cache, positions) => {
            let cache = f.writer.lift(f.node, cache)?;
            let positions = f.writer.lift(f.node, positions.clone())?;
            let positions = f.reshape(positions, vec![batch, count, 1])?;
            let chosen = one_hot(f, positions, 2, n)?;
            let rows = f.contract((chosen, &[0, 1, 2]), (cache, &[2, 3]), &[0, 1, 3])?;
            Ok(Value::Activation(rows))
        }
    }
}

/// The coefficients of each feature, with the axis of heads at `heads`: constant, or not.
fn coefficients(
    f: &mut Formula,
    rows: Value,
    pairs: &Pairs,
    heads: usize,
    kept: f32,
    sign: impl Fn(bool) -> i64,
) -> Result<Value, Error> {
    match rows {
        Value::Constant(rows) => {
            let name = rows.name.clone();
            let rows = rows.into_weight()?;
            let (batch, n) = (rows.shape()[0], rows.shape()[1]);
            let cells = batch.saturating_mul(n).saturating_mul(pairs.width);
            f.writer.allow(f.node, Some(cells))?;
            let spread = ndarray::Array3::from_shape_fn((batch, n, pairs.width), |(b, i, d)| {
                let of = pairs.of(d);
                of.map_or(kept, |(pair, second)| {
                    rows[[b, i, pair]] * sign(second) as f32
                })
            });
            let spread = spread.insert_axis(Axis(heads)).into_dyn();
            let shape = spread.shape().to_vec();
            let cells = Cells::Float(spread.iter().copied().collect());
            Ok(Value::Constant(Constant::new(
                &name,
                Tensor::new(shape, cells),
            )))
        }
        Value::Activation(rows) => {
            let spread = f.map(rows, 2, pairs.spread(sign))?;
            let rest = along(3, 2, pairs.width, |d| {
                if pairs.of(d).is_none() { kept } else { 0.0 }
            });
            let spread = f.affine_by(spread, arr0(1.0).into_dyn(), rest)?;
            let mut shape = f.shape(spread);
            shape.insert(heads, 1);
            Ok(Value::Activation(f.reshape(spread, shape)?))
        }
    }
}

/// `RotaryEmbedding`
pub(crate) fn rotary(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(4)?;
    let x = writer.activation(node, 0)?;
    let (cosine, sine, positions) = (node.value(1)?, node.value(2)?, node.take(3));
    let interleaved = node.flag("interleaved")? == Some(true);
    let turned = node.int("rotary_embedding_dim")?.unwrap_or(0);
    let shape = writer.shape(x).to_vec();
    let given = node.int("num_heads")?.and_then(|n| usize::try_from(n).ok());
    // The axis of heads and the shape with it.
    let (heads, split) = match shape[..] {
        [_, _, _, _] => (1, shape.clone()),
        [batch, n, hidden] => {
            let count = given.filter(|&h| h > 0 && hidden.is_multiple_of(h));
            let count = count.ok_or_else(|| {
                node.bad_attribute("num_heads", format!("does not divide {hidden} features"))
            })?;
            (2, vec![batch, n, count, hidden / count])
        }
        _ => return Err(node.shape_error(format!("RotaryEmbedding of shape {shape:?}"))),
    };
    let width = split[3];
    let turned = usize::try_from(turned).map_or(width + 1, |n| if n == 0 { width } else { n });
    if turned > width || turned % 2 == 1 {
        return Err(node.bad_attribute(
            "rotary_embedding_dim",
            format!("{turned} of {width} features, an even number, are turned"),
        ));
    }
    let pairs = Pairs {
        width,
        count: turned / 2,
        interleaved,
    };
    let mut f = Formula::new(node, writer);
    let x = f.reshape(x, split.clone())?;
    let cosine = rows(&mut f, cosine, positions.as_ref())?;
    let sine = rows(&mut f, sine, positions.as_ref())?;
    for cache in [&cosine, &sine] {
        let cache = f.writer.shape_of(cache);
        if cache.last() != Some(&pairs.count) {
            return Err(node.shape_error(format!(
                "a cache of shape {cache:?} for {} pairs of features",
                pairs.count
            )));
        }
    }
    let cosine = coefficients(&mut f, cosine, &pairs, heads, 1.0, |_| 1)?;
    let sine = coefficients(&mut f, sine, &pairs, heads, 0.0, |second| {
        if second { 1 } else { -1 }
    })?;
    f.reserve(width)?;
    let partners: Vec<usize> = (0..width).map(|d| pairs.partner(d)).collect();
    let swapped = f.select(x, 3, &partners)?;
    let y = turn(&mut f, [x, swapped], [cosine, sine])?;
    if f.shape(y) != split {
        return Err(node.shape_error("its caches do not fit its input"));
    }
    one(Value::Activation(f.reshape(y, shape)?))
}

/// `C x + S x'`
fn turn(
    f: &mut Formula,
    [x, swapped]: [ValueId; 2],
    [cosine, sine]: [Value; 2],
) -> Result<ValueId, Error> {
    let kept = f.times(x, cosine)?;
    let turned = f.times(swapped, sine)?;
    f.add(kept, turned)
}
