//! Operators on quantised numbers.

use super::{Call, Results, network, one};
use crate::random::tensor::{Tensor, Type};

pub(super) fn run(call: &Call<'_>) -> Results {
    match &*call.node.op {
        "QuantizeLinear" => {
            let (x, s) = (call.x(0)?, call.x(1)?);
            let zero = call.maybe(2);
            let kind = zero.map_or(Type::Uint8, |z| z.kind);
            let (lo, hi) = if kind == Type::Int8 {
                (-128.0, 127.0)
            } else {
                (0.0, 255.0)
            };
            let axis = call.axis(1, x.rank().max(2))?;
            let mut y = Tensor::build(kind, &x.shape, |i| {
                let k = if s.len() == 1 { 0 } else { i[axis] };
                // In single precision: it decides which of two integers a half goes to.
                let ratio = f64::from(x.at(i) as f32 / s.cells[k] as f32);
                (ratio.round_ties_even() + zero.map_or(0.0, |z| z.cells[k])).clamp(lo, hi)
            });
            y.kind = kind;
            one(y)
        }
        "DequantizeLinear" => {
            let (x, s) = (call.x(0)?, call.x(1)?);
            let axis = call.axis(1, x.rank().max(2))?;
            one(Tensor::build(Type::Float, &x.shape, |i| {
                let k = if s.len() == 1 { 0 } else { i[axis] };
                (x.at(i) - call.maybe(2).map_or(0.0, |z| z.cells[k])) * s.cells[k]
            }))
        }
        "MatMulInteger" => one(network::matmul(&shifted(call, 0)?, &shifted(call, 1)?)?),
        "ConvInteger" => {
            let (x, w) = (shifted(call, 0)?, shifted(call, 1)?);
            one(network::conv(&call.of(vec![&x, &w]))?)
        }
        _ => Ok(None),
    }
}

/// Operand `k` without its zero point.
fn shifted(call: &Call<'_>, k: usize) -> Result<Tensor, String> {
    let zero = call.maybe(k + 2).map_or(0.0, |z| z.cells[0]);
    let mut y = call.x(k)?.map(|x| x - zero);
    y.kind = Type::Int32;
    Ok(y)
}
