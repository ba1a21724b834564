//! The reference: every operator straight from the text of the ONNX standard, by loops over
//! indices in double precision. It shares no code with the importer or the float executor.

mod array;
mod elementwise;
mod fused;
mod network;
mod norm;
mod quantised;
mod recurrent;
mod reduce;

use super::graph::{Node, Values};
use super::tensor::{Tensor, Type};

/// A node and its operands.
pub(super) struct Call<'a> {
    pub(super) node: &'a Node,
    operands: Vec<Option<&'a Tensor>>,
}

impl<'a> Call<'a> {
    /// Operand `k`.
    pub(super) fn x(&self, k: usize) -> Result<&'a Tensor, String> {
        let missing = || format!("{} has no operand {k}", self.node.op);
        self.maybe(k).ok_or_else(missing)
    }

    /// Operand `k`, if it is there.
    pub(super) fn maybe(&self, k: usize) -> Option<&'a Tensor> {
        self.operands.get(k).copied().flatten()
    }

    pub(super) fn all(&self) -> Vec<&'a Tensor> {
        self.operands.iter().copied().flatten().collect()
    }

    /// The same node on other operands.
    pub(super) fn of<'b>(&self, operands: Vec<&'b Tensor>) -> Call<'b>
    where
        'a: 'b,
    {
        Call {
            node: self.node,
            operands: operands.into_iter().map(Some).collect(),
        }
    }

    /// The attribute `name`, an axis of a tensor of this rank.
    pub(super) fn axis(&self, default: i64, rank: usize) -> Result<usize, String> {
        axis(self.node.int("axis", default), rank)
    }
}

/// An axis that may count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    match usize::try_from(counted) {
        Ok(i) if i < rank => Ok(i),
        _ => Err(format!("axis {axis} of rank {rank}")),
    }
}

/// The results of a node.
pub(super) fn run(node: &Node, values: &Values) -> Result<Vec<Tensor>, String> {
    let operand = |name: &String| match &**name {
        "" => Ok(None),
        name => values
            .get(name)
            .map(Some)
            .ok_or_else(|| format!("no value {name}")),
    };
    let operands = node.inputs.iter().map(operand).collect::<Result<_, _>>()?;
    let call = Call { node, operands };
    if let Some(first) = call.maybe(0) {
        let fits = match types(&node.op) {
            Types::Floats => first.kind.is_float(),
            Types::Numbers => first.kind != Type::Bool,
            Types::Truths => first.kind == Type::Bool,
            Types::All => true,
        };
        if !fits {
            return Err(format!("{} of {:?}", node.op, first.kind));
        }
    }
    let families = [
        elementwise::run,
        fused::run,
        reduce::run,
        array::run,
        network::run,
        norm::run,
        quantised::run,
        recurrent::run,
    ];
    for family in families {
        if let Some(mut results) = family(&call)? {
            // Every result has numbers of single precision, which has 0 for smaller ones.
            for tensor in results.iter_mut().filter(|t| t.kind.is_float()) {
                tensor.cells.iter_mut().for_each(|x| *x = single(*x));
            }
            return Ok(results);
        }
    }
    Err(format!("the reference has no {}", node.op))
}

fn single(x: f64) -> f64 {
    if x.abs() < f64::from(f32::MIN_POSITIVE) {
        return 0.0;
    }
    f64::from(x as f32)
}

/// What a family of operators says of a node: its results if it is one of them.
pub(super) type Results = Result<Option<Vec<Tensor>>, String>;

pub(super) fn one(tensor: Tensor) -> Results {
    Ok(Some(vec![tensor]))
}

/// An integer in the range of its type, modulo its width; a float rounded to single precision.
pub(super) fn wrapped(kind: Type, x: f64) -> f64 {
    let whole = x as i64;
    match kind {
        Type::Float => f64::from(x as f32),
        Type::Bool => f64::from(u8::from(x != 0.0)),
        Type::Int64 => x,
        Type::Int32 => f64::from(whole as i32),
        Type::Int8 => f64::from(whole as i8),
        Type::Uint8 => f64::from(whole as u8),
    }
}

/// What the first operand of an operator may be.
enum Types {
    Floats,
    Numbers,
    Truths,
    All,
}

fn types(op: &str) -> Types {
    match op {
        "And" | "Or" | "Xor" | "Not" => Types::Truths,
        "Abs" | "Add" | "Binarizer" | "ConvInteger" | "ArgMax" | "ArgMin" | "BitShift"
        | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" | "Clip" | "CumSum" | "DequantizeLinear"
        | "Div" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "MatMulInteger"
        | "Max" | "Min" | "Mod" | "Mul" | "Neg" | "OneHot" | "Pow" | "ReduceL1" | "ReduceMax"
        | "ReduceMin" | "ReduceProd" | "ReduceSum" | "ReduceSumSquare" | "Sign" | "Sub"
        | "TopK" => Types::Numbers,
        "Cast" | "CastLike" | "Compress" | "Concat" | "ConstantOfShape" | "DepthToSpace"
        | "Dropout" | "Equal" | "Expand" | "EyeLike" | "Flatten" | "Gather" | "GatherElements"
        | "GatherND" | "Identity" | "Pad" | "Range" | "Reshape" | "ReverseSequence"
        | "ScatterElements" | "ScatterND" | "Shape" | "Size" | "Slice" | "SpaceToDepth"
        | "Split" | "Squeeze" | "Tile" | "Transpose" | "Trilu" | "Unsqueeze" | "Where" => {
            Types::All
        }
        _ => Types::Floats,
    }
}
