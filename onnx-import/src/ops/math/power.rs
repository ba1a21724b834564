//! Powers: a constant exponent or a constant base makes a function of one argument, and of two
//! activations `x^y = exp(y log x)`.

use std::collections::BTreeMap;

use ndarray::{ArrayD, arr0};
use zkstrata_model_ir::float::{Activation, Op, ValueId};

use crate::Error;
use crate::ops::one;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value, finite};
use crate::write::Writer;
use crate::write::formula::Formula;

/// Most different exponents in one constant.
const EXPONENTS: usize = 64;

/// `x^y`
pub(crate) fn pow(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    node.at_most(2)?;
    let (x, y) = (node.value(0)?, node.value(1)?);
    let whole = node.element(0) != Element::Float;
    let z = match (x, y) {
        (x, Value::Constant(y)) => {
            let x = writer.lift(node, x)?;
            let exponent = y.into_weight()?;
            let natural = exponent.iter().all(|&e| e >= 0.0 && e.fract() == 0.0);
            if whole && !natural {
                return Err(node.unsupported(
                    "it rounds a root or a quotient of integers: cast them to float before",
                ));
            }
            powers(&mut Formula::new(node, writer), x, &exponent)?
        }
        (Value::Constant(x), Value::Activation(y)) => {
            if whole {
                return Err(node.unsupported("its base is an integer: cast it to float before"));
            }
            let base = x.into_weight()?;
            if base.iter().any(|&b| b <= 0.0) {
                return Err(node.unsupported(
                    "its base is not positive and its exponent depends on the model's inputs",
                ));
            }
            let mut f = Formula::new(node, writer);
            let y = f.affine_by(
                y,
                base.mapv(|b| Activation::Log.apply(b)),
                arr0(0.0).into_dyn(),
            )?;
            f.apply(Activation::Exp, y)?
        }
        (Value::Activation(x), Value::Activation(y)) => {
            if whole {
                return Err(
                    node.unsupported("it is a power of integers: cast them to float before")
                );
            }
            writer.note(format!(
                "node `{}`: a power is computed by a logarithm, so that its base must be positive",
                node.name()
            ));
            let mut f = Formula::new(node, writer);
            let log = f.apply(Activation::Log, x)?;
            let y = f.product(log, y)?;
            f.apply(Activation::Exp, y)?
        }
    };
    one(Value::Activation(z))
}

/// `x^exponent` for one exponent.
fn power(f: &mut Formula, x: ValueId, exponent: f32) -> Result<ValueId, Error> {
    match exponent {
        0.0 => f.affine(x, 0.0, 1.0),
        1.0 => Ok(x),
        2.0 => f.square(x),
        0.5 => f.apply(Activation::Sqrt, x),
        -1.0 => f.apply(Activation::Reciprocal, x),
        _ => f.apply(Activation::Power { exponent }, x),
    }
}

/// `x^exponent` with an exponent per cell: the cells of each exponent are taken together.
fn powers(f: &mut Formula, x: ValueId, exponent: &ArrayD<f32>) -> Result<ValueId, Error> {
    let exponent = finite(f.node.name(), exponent.clone())?;
    let shape = crate::write::broadcast::broadcast(f.node, &f.shape(x), exponent.shape())?;
    let x = f.broadcast_to(x, &shape)?;
    let first = exponent.first().copied().unwrap_or(1.0);
    if exponent.iter().all(|e| e.to_bits() == first.to_bits()) {
        return power(f, x, first);
    }
    f.writer
        .allow(f.node, crate::decode::tensor::count(&shape))?;
    let every = exponent
        .broadcast(shape.clone())
        .expect("broadcasts to the common shape");
    let mut positions: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (i, e) in every.iter().enumerate() {
        positions.entry(e.to_bits()).or_default().push(i as u32);
    }
    if positions.len() > EXPONENTS {
        return Err(f.node.unsupported(format!(
            "it has {} different exponents, at most {EXPONENTS} are supported",
            positions.len()
        )));
    }
    let mut parts = Vec::new();
    let mut back = vec![0; every.len()];
    let mut next = 0;
    for (bits, indices) in positions {
        for &i in &indices {
            back[i as usize] = next;
            next += 1;
        }
        let shape = vec![indices.len()];
        let part = f.put(Op::Take { indices, shape }, &[x])?;
        parts.push(power(f, part, f32::from_bits(bits))?);
    }
    let all = f.put(Op::Concat { axis: 0 }, &parts)?;
    f.put(
        Op::Take {
            indices: back,
            shape,
        },
        &[all],
    )
}
