//! What a name of the ONNX graph stands for while it is imported.

use std::rc::Rc;

use ndarray::ArrayD;
use zkstrata_model_ir::float::ValueId;

use crate::Error;
use crate::node::Node;
use crate::tensor::Tensor;

/// The value of an ONNX name.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Known at import time.
    Constant(Constant),
    /// Depends on the model's inputs.
    Activation(ValueId),
    /// What a final Softmax, `ArgMax` or the like makes of the logits; see [`Readout`].
    Readout(Readout),
}

/// A constant tensor and the name by which messages call it.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    /// The initializer, or the value that folding produced.
    pub(crate) name: Rc<str>,
    /// The tensor; shared by all its readers.
    pub(crate) tensor: Rc<Tensor>,
}

/// A function of `logits` that preserves their order or selects from it, and that nothing but a
/// model output may read: the output becomes the logits themselves.
#[derive(Clone, Debug)]
pub(crate) struct Readout {
    /// The value read.
    pub(crate) logits: ValueId,
    /// Scores of the classes, or the class selected.
    pub(crate) kind: ReadoutKind,
    /// The dropped node.
    pub(crate) node: Rc<str>,
    /// Its operator.
    pub(crate) op: Rc<str>,
    /// The domain of the operator.
    pub(crate) domain: Rc<str>,
    /// The version of the domain's operator set.
    pub(crate) opset: i64,
}

/// What a readout gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadoutKind {
    /// One number per class, in the order of the logits.
    Scores,
    /// The selected class.
    Label,
}

impl Readout {
    /// What `node` reads off `logits`.
    pub(crate) fn new(node: &Node, logits: ValueId, kind: ReadoutKind) -> Self {
        Self {
            logits,
            kind,
            node: node.name().into(),
            op: node.op().into(),
            domain: node.domain().into(),
            opset: node.opset(),
        }
    }
}

impl Constant {
    /// Names a tensor.
    pub(crate) fn new(name: &str, tensor: Tensor) -> Self {
        Self {
            name: name.into(),
            tensor: Rc::new(tensor),
        }
    }

    /// The tensor, copied only if it has other readers.
    pub(crate) fn into_tensor(self) -> Tensor {
        Rc::unwrap_or_clone(self.tensor)
    }

    /// The tensor as a weight: floats, all finite.
    pub(crate) fn into_weight(self) -> Result<ArrayD<f32>, Error> {
        let name = self.name.clone();
        match self.into_tensor().into_floats() {
            Ok(weight) => finite(&name, weight),
            Err(other) => Err(Error::BadTensor {
                tensor: name.to_string(),
                reason: format!(
                    "is used as a weight but has {} elements",
                    other.cells().kind()
                ),
            }),
        }
    }
}

/// Checks that derived or stored weights are finite.
pub(crate) fn finite(name: &str, weight: ArrayD<f32>) -> Result<ArrayD<f32>, Error> {
    match weight.iter().enumerate().find(|(_, x)| !x.is_finite()) {
        None => Ok(weight),
        Some((index, &x)) => Err(Error::NonFinite {
            name: name.into(),
            index,
            value: x.into(),
        }),
    }
}
