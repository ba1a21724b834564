//! A bound on what decoding may allocate, computed from the bytes without allocating.
//!
//! An empty protobuf message takes two bytes on the wire and up to a kilobyte in memory. [`check`]
//! walks the wire format of a model, adds up the memory of the messages that decoding will
//! create, and refuses a file that asks for more than [`LIMIT`] bytes of them. Numbers and bytes
//! take no more memory than a small multiple of their length in the file and are not counted.

use crate::Error;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};

/// Most bytes of message structures that a model may decode to.
const LIMIT: usize = 1 << 28;

/// Deeper messages than this are left to the decoder, which refuses them.
const DEPTH: usize = 110;

/// The message types of `onnx.proto3` that contain messages; `Leaf` stands for all others.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Training,
    Function,
    Graph,
    Annotation,
    Node,
    Device,
    Sharding,
    ShardedDim,
    Attribute,
    Tensor,
    SparseTensor,
    ValueInfo,
    Type,
    TensorType,
    Element,
    Shape,
    Leaf,
}

impl Message {
    /// Memory of one such message, without the messages it contains.
    fn size(self) -> usize {
        match self {
            Self::Model => 0,
            Self::Graph => size_of::<GraphProto>(),
            Self::Node => size_of::<NodeProto>(),
            Self::Attribute => size_of::<AttributeProto>(),
            Self::Tensor => size_of::<TensorProto>(),
            Self::SparseTensor => 2 * size_of::<TensorProto>(),
            Self::Training => 2 * size_of::<GraphProto>(),
            Self::Function => 512,
            Self::ValueInfo | Self::Type => size_of::<ValueInfoProto>(),
            _ => 128,
        }
    }

    /// The message type of field `number`; `None` for strings, bytes and numbers.
    #[allow(clippy::unnested_or_patterns, reason = "one line per message type")]
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 14) => Self::Annotation,
            (Self::Graph, 11..=13) | (Self::Function, 12) => Self::ValueInfo,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => {
                Self::Tensor
            }
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Node, 10) => Self::Device,
            (Self::Device, 2) => Self::Sharding,
            (Self::Sharding, 4) => Self::ShardedDim,
            (Self::ValueInfo, 2) | (Self::Attribute, 14 | 15) | (Self::Element, 1 | 2) => {
                Self::Type
            }
            (Self::Type, 1 | 8) => Self::TensorType,
            (Self::Type, 4 | 5 | 9) => Self::Element,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Model, 8 | 14 | 26)
            | (Self::Training, 3 | 4)
            | (Self::Function, 9 | 14)
            | (Self::Graph, 16)
            | (Self::Annotation, 2)
            | (Self::Node, 9)
            | (Self::Sharding, 3)
            | (Self::ShardedDim, 2)
            | (Self::Tensor, 3 | 13 | 16)
            | (Self::ValueInfo, 4)
            | (Self::Type, 7)
            | (Self::Shape, 1) => Self::Leaf,
            _ => return None,
        })
    }
}

/// Refuses a model whose messages would take more than [`LIMIT`] bytes.
///
/// Malformed bytes end the walk without an error: the decoder reads in the same order and
/// refuses them at the same place.
pub(crate) fn check(model: &[u8]) -> Result<(), Error> {
    let mut size = 0;
    walk(model, Message::Model, 0, &mut size);
    if size > LIMIT {
        return Err(Error::TooLarge {
            what: "memory of the model's nodes, attributes and tensor headers in bytes".into(),
            size,
            limit: LIMIT,
        });
    }
    Ok(())
}

/// Adds the memory of the messages inside `bytes`; `None` where the bytes are malformed.
fn walk(mut bytes: &[u8], message: Message, depth: usize, size: &mut usize) -> Option<()> {
    while !bytes.is_empty() && *size <= LIMIT && depth < DEPTH {
        let key = varint(&mut bytes)?;
        match key & 7 {
            0 => {
                varint(&mut bytes)?;
            }
            1 => {
                split(&mut bytes, 8)?;
            }
            2 => {
                let length = varint(&mut bytes)?;
                let inner = split(&mut bytes, length)?;
                if let Some(child) = message.field(key >> 3) {
                    *size += child.size();
                    walk(inner, child, depth + 1, size)?;
                }
            }
            // Groups have no length: their fields follow, up to an end mark.
            3 | 4 => {}
            5 => {
                split(&mut bytes, 4)?;
            }
            _ => return None,
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let byte = split(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn split<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::encoding::encode_varint;

    /// Field `number` holding the message `inner`, `count` times.
    fn repeated(number: u64, inner: &[u8], count: usize) -> Vec<u8> {
        let mut one = Vec::new();
        encode_varint(number << 3 | 2, &mut one);
        encode_varint(inner.len() as u64, &mut one);
        one.extend_from_slice(inner);
        one.repeat(count)
    }

    #[test]
    fn empty_messages_are_counted() {
        let nodes = |count| repeated(7, &repeated(1, &[], count), 1);
        let attributes = |count| repeated(7, &repeated(1, &repeated(5, &[], count), 1), 1);
        assert!(check(&nodes(1000)).is_ok());
        assert!(check(&attributes(1000)).is_ok());
        for bytes in [nodes(1 << 21), attributes(1 << 19)] {
            assert!(bytes.len() < 1 << 23);
            let error = check(&bytes).expect_err("more than the limit");
            assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        }
    }

    #[test]
    fn malformed_bytes_are_left_to_the_decoder() {
        for bytes in [&[0xff; 20][..], &[0x3a, 0x7f], &[0x07], &[0x3b, 0x3c]] {
            assert!(check(bytes).is_ok(), "{bytes:?}");
        }
    }
}
