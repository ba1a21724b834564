//! Functions of cells.

use super::{Call, Results, one, wrapped};
use crate::random::graph::Node;
use crate::random::tensor::{Tensor, Type, broadcast};

pub(super) fn run(call: &Call<'_>) -> Results {
    if let Some(f) = unary(call.node) {
        return one(call.x(0)?.map(f));
    }
    if let Some((f, truth)) = binary(call) {
        let operands = call.all();
        let first = operands.first().ok_or("no operands")?;
        let kind = if truth { Type::Bool } else { first.kind };
        let mut y = (*first).clone();
        for operand in &operands[1..] {
            if operand.kind != first.kind && call.node.op != "Pow" {
                return Err("operands of two types".into());
            }
            y = joined(kind, &y, operand, f.as_ref())?;
        }
        if call.node.op == "Mean" {
            y = y.map(|x| x / operands.len() as f64);
        }
        return within(y);
    }
    match &*call.node.op {
        "Clip" if call.all().iter().any(|t| t.kind != call.all()[0].kind) => Err("types".into()),
        "Clip" => {
            let bound = |k, other: f64| call.maybe(k).map_or(other, |t| t.cells[0]);
            let (lo, hi) = (bound(1, f64::NEG_INFINITY), bound(2, f64::INFINITY));
            one(call.x(0)?.map(|x| x.max(lo).min(hi)))
        }
        "PRelu" => {
            let f = |x: f64, slope: f64| if x < 0.0 { slope * x } else { x };
            one(joined(Type::Float, call.x(0)?, call.x(1)?, f)?)
        }
        "Where" => {
            let (c, x, y) = (call.x(0)?, call.x(1)?, call.x(2)?);
            let shape = broadcast(&[&c.shape, &x.shape, &y.shape]).ok_or("shapes")?;
            let cell = |i: &[usize]| {
                if c.spread(i) == 0.0 {
                    y.spread(i)
                } else {
                    x.spread(i)
                }
            };
            if c.kind != Type::Bool || x.kind != y.kind {
                return Err("types".into());
            }
            one(Tensor::build(x.kind, &shape, cell))
        }
        "Cast" => one(cast(call.x(0)?, call.node.int("to", 1))?),
        "CastLike" => one(cast(call.x(0)?, call.x(1)?.kind.code().into())?),
        "IsNaN" | "IsInf" => {
            let x = call.x(0)?;
            let nan = call.node.op == "IsNaN";
            let f = |x: f64| f64::from(u8::from(if nan { x.is_nan() } else { x.is_infinite() }));
            let mut y = x.map(f);
            y.kind = Type::Bool;
            one(y)
        }
        _ => Ok(None),
    }
}

/// A result, if its integers are those of its type and exact in single precision: the importer has
/// no others.
pub(super) fn within(x: Tensor) -> Results {
    let fits = |&c: &f64| c.abs() < f64::from(1 << 24) && wrapped(x.kind, c).total_cmp(&c).is_eq();
    if x.kind.is_integer() && !x.cells.iter().all(|c| fits(&(c + 0.0))) {
        return Err("an integer overflows".into());
    }
    one(x)
}

fn cast(x: &Tensor, to: i64) -> Result<Tensor, String> {
    let kind = Type::of(to).ok_or("an unknown type")?;
    let cell = |x: f64| match kind {
        Type::Float | Type::Bool => wrapped(kind, x),
        _ => wrapped(kind, x.trunc()),
    };
    let mut y = x.map(cell);
    y.kind = kind;
    Ok(y)
}

/// `f` of the cells of two tensors that are broadcast.
pub(super) fn joined(
    kind: Type,
    x: &Tensor,
    y: &Tensor,
    f: impl Fn(f64, f64) -> f64,
) -> Result<Tensor, String> {
    let shape = broadcast(&[&x.shape, &y.shape]).ok_or("shapes")?;
    let cell = |i: &[usize]| f(x.spread(i), y.spread(i));
    Ok(Tensor::build(kind, &shape, cell))
}

pub(super) fn gelu(x: f64) -> f64 {
    0.5 * x * libm::erfc(-x / 2.0_f64.sqrt())
}

pub(super) fn gelu_by_tanh(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
    0.5 * x * (1.0 + inner.tanh())
}

pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn truth(x: bool) -> f64 {
    f64::from(u8::from(x))
}

type Unary = Box<dyn Fn(f64) -> f64>;

fn unary(node: &Node) -> Option<Unary> {
    let plain: fn(f64) -> f64 = match &*node.op {
        "Abs" => f64::abs,
        "Acos" => f64::acos,
        "Acosh" => f64::acosh,
        "Asin" => f64::asin,
        "Asinh" => f64::asinh,
        "Atan" => f64::atan,
        "Atanh" => f64::atanh,
        "Ceil" => f64::ceil,
        "Cos" => f64::cos,
        "Cosh" => f64::cosh,
        "Erf" => libm::erf,
        "Exp" => f64::exp,
        "Floor" => f64::floor,
        "HardSwish" => |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        "Identity" | "Dropout" => |x| x,
        "Log" => f64::ln,
        "Mish" => |x| x * softplus(x).tanh(),
        "Neg" => |x| -x,
        "Not" => |x| 1.0 - x,
        "Reciprocal" => |x| 1.0 / x,
        "Relu" => |x| x.max(0.0),
        "Round" => f64::round_ties_even,
        "Sigmoid" => sigmoid,
        "Sign" => |x| if x == 0.0 { 0.0 } else { x.signum() },
        "Sin" => f64::sin,
        "Sinh" => f64::sinh,
        "Softplus" => softplus,
        "Softsign" => |x| x / (1.0 + x.abs()),
        "Sqrt" => f64::sqrt,
        "Tan" => f64::tan,
        "Tanh" => f64::tanh,
        _ => return parametrised(node),
    };
    Some(Box::new(plain))
}

fn parametrised(node: &Node) -> Option<Unary> {
    let number = |name: &str, default: f64| node.float(name, default);
    Some(match &*node.op {
        "Celu" => {
            let a = number("alpha", 1.0);
            Box::new(move |x| x.max(0.0) + (a * (x / a).exp_m1()).min(0.0))
        }
        "Elu" => {
            let a = number("alpha", 1.0);
            Box::new(move |x| if x < 0.0 { a * x.exp_m1() } else { x })
        }
        "Gelu" if node.text("approximate") == Some("tanh") => Box::new(gelu_by_tanh),
        "Gelu" => Box::new(gelu),
        "HardSigmoid" => {
            let (a, b) = (number("alpha", 0.2), number("beta", 0.5));
            Box::new(move |x| (a * x + b).clamp(0.0, 1.0))
        }
        "LeakyRelu" => {
            let a = number("alpha", 0.01);
            Box::new(move |x| if x < 0.0 { a * x } else { x })
        }
        "Selu" => {
            let a = number("alpha", 1.673_263_192_176_818_8);
            let g = number("gamma", 1.050_701_022_148_132_3);
            Box::new(move |x| g * if x > 0.0 { x } else { a * x.exp_m1() })
        }
        "Shrink" => {
            let (l, b) = (number("lambd", 0.5), number("bias", 0.0));
            Box::new(move |x| {
                if x < -l {
                    x + b
                } else if x > l {
                    x - b
                } else {
                    0.0
                }
            })
        }
        "Swish" => {
            let a = number("alpha", 1.0);
            Box::new(move |x| x * sigmoid(a * x))
        }
        "ThresholdedRelu" => {
            let a = number("alpha", 1.0);
            Box::new(move |x| if x > a { x } else { 0.0 })
        }
        _ => return None,
    })
}

type Binary = Box<dyn Fn(f64, f64) -> f64>;

/// A function of two cells, and whether it gives truth values.
fn binary(call: &Call<'_>) -> Option<(Binary, bool)> {
    let whole = call.maybe(0).is_some_and(|x| !x.kind.is_float());
    let plain: fn(f64, f64) -> f64 = match &*call.node.op {
        "Add" | "Sum" | "Mean" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" if whole => |a, b| (a / b).trunc(),
        "Div" => |a, b| a / b,
        "Pow" => f64::powf,
        "Max" => f64::max,
        "Min" => f64::min,
        "Mod" if call.node.int("fmod", 0) == 1 => |a, b| a % b,
        "Mod" => |a, b| a - b * (a / b).floor(),
        "BitwiseAnd" => |a, b| (a as i64 & b as i64) as f64,
        "BitwiseOr" => |a, b| (a as i64 | b as i64) as f64,
        "BitwiseXor" => |a, b| (a as i64 ^ b as i64) as f64,
        "BitShift" if call.node.text("direction") == Some("LEFT") => |a, b| a * b.exp2(),
        "BitShift" => |a, b| (a / b.exp2()).floor(),
        _ => {
            let truths: fn(f64, f64) -> f64 = match &*call.node.op {
                "And" => |a, b| truth(a != 0.0 && b != 0.0),
                "Or" => |a, b| truth(a != 0.0 || b != 0.0),
                "Xor" => |a, b| truth(a != b),
                "Equal" => |a, b| truth(a == b),
                "Greater" => |a, b| truth(a > b),
                "GreaterOrEqual" => |a, b| truth(a >= b),
                "Less" => |a, b| truth(a < b),
                "LessOrEqual" => |a, b| truth(a <= b),
                _ => return None,
            };
            return Some((Box::new(truths), true));
        }
    };
    Some((Box::new(plain), false))
}
