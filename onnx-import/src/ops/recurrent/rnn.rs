//! The simple recurrent layer.

use super::{Kind, Layer, State};
use crate::Error;
use crate::scope::node::Node;
use crate::scope::value::Value;
use crate::write::Writer;
use crate::write::formula::Formula;

/// `H_t = f(X_t W^T + H_{t-1} R^T + b)`
pub(crate) fn rnn(node: &mut Node, writer: &mut Writer) -> Result<Vec<Value>, Error> {
    let kind = Kind {
        gates: 1,
        functions: &["Tanh"],
        cell: false,
        separate: false,
        parts: 1,
    };
    let layer = Layer::read(node, writer, &kind)?;
    let mut f = Formula::new(node, writer);
    layer.unrolled(&mut f, |f, direction, x, before| {
        let x = direction.with_recurrence(f, x, before.hidden)?;
        let hidden = layer.apply(f, direction.functions[0], x)?;
        Ok(State {
            hidden: Some(hidden),
            cell: None,
        })
    })
}
