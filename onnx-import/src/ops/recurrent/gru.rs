//! The gated recurrent unit.

use super::{Kind, Layer, State};
use crate::Error;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::formula::Formula;

/// With `z, r = f(X W^T + H R^T + b)` and `c = g(X W^T + (r H) R^T + b)`, or, with
/// `linear_before_reset`, `c = g(X W^T + b + r (H R^T + b'))`:
/// `H_t = (1 - z) c + z H_{t-1} = c + z (H_{t-1} - c)`.
pub(crate) fn gru(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let linear = node.flag("linear_before_reset")? == Some(true);
    let kind = Kind {
        gates: 3,
        functions: &["Sigmoid", "Tanh"],
        cell: false,
        separate: linear,
        parts: if linear { 1 } else { 2 },
    };
    let layer = Layer::read(node, writer, &kind)?;
    let mut f = Formula::new(node, writer);
    layer.unrolled(&mut f, |f, direction, x, before| {
        let (gate, candidate) = (direction.functions[0], direction.functions[1]);
        let mut gates = layer.blocks(f, x, 0..2)?;
        let mut c = layer.blocks(f, x, 2..3)?;
        let Some(h) = before.hidden else {
            // Without a state before, the reset gate acts on a bias at most.
            let z = if let Some(bias) = &direction.bias {
                let gates = layer.apply(f, gate, gates)?;
                let r = layer.blocks(f, gates, 1..2)?;
                let reset = f.affine_by(r, bias.clone(), ndarray::arr0(0.0).into_dyn())?;
                c = f.add(c, reset)?;
                layer.blocks(f, gates, 0..1)?
            } else {
                let z = layer.blocks(f, gates, 0..1)?;
                layer.apply(f, gate, z)?
            };
            let c = layer.apply(f, candidate, c)?;
            let kept = f.product(z, c)?;
            let hidden = f.sub(c, kept)?;
            return Ok(State {
                hidden: Some(hidden),
                cell: None,
            });
        };
        let last = if linear {
            let all = direction.recurrence(f, 0, h)?;
            let added = layer.blocks(f, all, 0..2)?;
            gates = f.add(gates, added)?;
            Some(layer.blocks(f, all, 2..3)?)
        } else {
            let added = direction.recurrence(f, 0, h)?;
            gates = f.add(gates, added)?;
            None
        };
        let gates = layer.apply(f, gate, gates)?;
        let (z, r) = (layer.blocks(f, gates, 0..1)?, layer.blocks(f, gates, 1..2)?);
        let reset = if let Some(mut last) = last {
            if let Some(bias) = &direction.bias {
                last = f.affine_by(last, ndarray::arr0(1.0).into_dyn(), bias.clone())?;
            }
            f.product(r, last)?
        } else {
            let reset = f.product(r, h)?;
            direction.recurrence(f, 1, reset)?
        };
        c = f.add(c, reset)?;
        let c = layer.apply(f, candidate, c)?;
        let difference = f.sub(h, c)?;
        let moved = f.product(z, difference)?;
        let hidden = f.add(c, moved)?;
        Ok(State {
            hidden: Some(hidden),
            cell: None,
        })
    })
}
