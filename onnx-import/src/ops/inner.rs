//! Operators that stand for others: one node is imported as another operator on operands of its
//! own.

use crate::Error;
use crate::ops;
use crate::proto::{AttributeProto, AttributeType, NodeProto};
use crate::scope::names::Meaning;
use crate::scope::node::Node;
use crate::scope::value::{Element, Value};
use crate::write::Writer;

/// The first result of operator `op` of the default domain, at `opset`, in place of `node`.
pub(crate) fn inner(
    node: &Node,
    writer: &mut Writer,
    (op, opset): (&str, i64),
    attribute: Vec<AttributeProto>,
    operands: Vec<Option<Meaning>>,
) -> Result<(Value, Element), Error> {
    let results = all(node, writer, (op, opset), attribute, operands, 1)?;
    match results.into_iter().next().flatten() {
        Some(Meaning::Tensor(value, element)) => Ok((value, element)),
        _ => Err(node.unsupported("it has no result")),
    }
}

/// The first `count` results of an operator in place of `node`; `None` where there is none.
pub(crate) fn all(
    node: &Node,
    writer: &mut Writer,
    (op, opset): (&str, i64),
    attribute: Vec<AttributeProto>,
    operands: Vec<Option<Meaning>>,
    count: usize,
) -> Result<Vec<Option<Meaning>>, Error> {
    let proto = NodeProto {
        name: node.name().into(),
        op_type: op.into(),
        output: (0..count).map(|i| i.to_string()).collect(),
        attribute,
        ..NodeProto::default()
    };
    let operator = ops::find(&proto).ok_or_else(|| node.unsupported(ops::remedy(&proto)))?;
    let mut other = Node::new(&proto, opset, operands)?;
    let produced = if other.is_constant() {
        writer.folded(&mut other, operator.import)?
    } else {
        (operator.import)(&mut other, writer)?
    };
    other.finish()?;
    Ok(other.meanings(produced))
}

/// A float operand.
#[allow(clippy::unnecessary_wraps, reason = "operands may be left out")]
pub(crate) fn float(value: Value) -> Option<Meaning> {
    Some(Meaning::Tensor(value, Element::Float))
}

fn attribute(name: &str, of: AttributeType) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: of as i32,
        ..AttributeProto::default()
    }
}

/// An attribute that is a number.
pub(crate) fn number(name: &str, f: f32) -> AttributeProto {
    AttributeProto {
        f,
        ..attribute(name, AttributeType::Float)
    }
}

/// An attribute that is an integer.
pub(crate) fn integer(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        i,
        ..attribute(name, AttributeType::Int)
    }
}

/// An attribute that is a text.
pub(crate) fn text(name: &str, s: &str) -> AttributeProto {
    AttributeProto {
        s: s.into(),
        ..attribute(name, AttributeType::String)
    }
}
