//! The simple recurrent layer.

use super::{Kind, Layer, State};
use crate::Error;
use crate::import::Importer;
use crate::node::Node;
use crate::ops::formula::Formula;
use crate::value::Value;

/// `H_t = f(X_t W^T + H_{t-1} R^T + b)`
pub(crate) fn rnn(node: &mut Node, importer: &mut Importer) -> Result<Vec<Value>, Error> {
    let kind = Kind {
        gates: 1,
        functions: &["Tanh"],
        cell: false,
        separate: false,
        parts: 1,
    };
    let layer = Layer::read(node, importer, &kind)?;
    let mut f = Formula::new(node, importer);
    layer.unrolled(&mut f, |f, direction, x, before| {
        let x = direction.with_recurrence(f, x, before.hidden)?;
        let hidden = layer.apply(f, direction.functions[0], x)?;
        Ok(State {
            hidden: Some(hidden),
            cell: None,
        })
    })
}
