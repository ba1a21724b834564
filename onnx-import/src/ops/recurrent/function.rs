//! The activation functions that recurrent layers name.

use zkstrata_model_ir::float::{Activation, ValueId};

use crate::Error;
use crate::scope::node::Node;
use crate::write::formula::Formula;

/// `after f(before x)`, with a constant factor before, and a factor and a term behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Function {
    before: f32,
    activation: Option<Activation>,
    scale: f32,
    shift: f32,
}

impl Function {
    fn plain(activation: Activation) -> Self {
        Self {
            before: 1.0,
            activation: Some(activation),
            scale: 1.0,
            shift: 0.0,
        }
    }

    /// The function's value.
    pub(super) fn apply(self, f: &mut Formula, x: ValueId) -> Result<ValueId, Error> {
        let mut y = x;
        if (self.before - 1.0).abs() > 0.0 {
            y = f.affine(y, self.before, 0.0)?;
        }
        if let Some(activation) = self.activation {
            y = f.apply(activation, y)?;
        }
        if (self.scale, self.shift) != (1.0, 0.0) {
            y = f.affine(y, self.scale, self.shift)?;
        }
        Ok(y)
    }
}

/// `x` cut to `-clip..clip`.
pub(super) fn clipped(f: &mut Formula, x: ValueId, clip: f32) -> Result<ValueId, Error> {
    let (lo, hi) = (-clip, clip);
    f.apply(Activation::Clip { lo, hi }, x)
}

/// The functions of each direction. Those that have parameters consume the lists of parameters
/// in order.
pub(super) fn read(
    node: &Node,
    sides: usize,
    default: &[&str],
) -> Result<Vec<Vec<Function>>, Error> {
    let named = node.names("activations")?;
    let names = match named {
        None => default.repeat(sides),
        Some(names) if names.len() == default.len() * sides => names,
        Some(names) => {
            let expected = default.len() * sides;
            let reason = format!("are {}, expected {expected}", names.len());
            return Err(node.bad_attribute("activations", reason));
        }
    };
    let mut alphas = node.floats("activation_alpha")?.unwrap_or(&[]).iter();
    let mut betas = node.floats("activation_beta")?.unwrap_or(&[]).iter();
    let mut functions = Vec::with_capacity(names.len());
    for name in names {
        let mut alpha = |default| alphas.next().copied().unwrap_or(default);
        let mut beta = |default| betas.next().copied().unwrap_or(default);
        let function = match name.to_lowercase().as_str() {
            "relu" => Function::plain(Activation::Relu),
            "tanh" => Function::plain(Activation::Tanh),
            "sigmoid" => Function::plain(Activation::Sigmoid),
            "softsign" => Function::plain(Activation::Softsign),
            "softplus" => Function::plain(Activation::Softplus),
            "affine" => Function {
                before: 1.0,
                activation: None,
                scale: alpha(1.0),
                shift: beta(0.0),
            },
            "leakyrelu" => Function::plain(Activation::LeakyRelu { alpha: alpha(0.01) }),
            "thresholdedrelu" => Function::plain(Activation::ThresholdedRelu { alpha: alpha(1.0) }),
            "scaledtanh" => Function {
                scale: alpha(1.0),
                before: beta(1.0),
                ..Function::plain(Activation::Tanh)
            },
            "hardsigmoid" => Function::plain(Activation::HardSigmoid {
                alpha: alpha(0.2),
                beta: beta(0.5),
            }),
            "elu" => Function::plain(Activation::Elu {
                alpha: alpha(1.0),
                beta: 1.0,
                gamma: 1.0,
            }),
            other => return Err(node.bad_attribute("activations", format!("has `{other}`"))),
        };
        functions.push(function);
    }
    Ok(functions.chunks(default.len()).map(<[_]>::to_vec).collect())
}
