//! Operators as formulas: a table from names to import functions, one file per family.

mod array;
mod inner;
mod learn;
mod logic;
mod math;
mod microsoft;
mod nn;
pub(crate) mod quantised;
mod recurrent;
mod table;

pub(crate) use self::array::view;
pub(crate) use self::logic::truth;
use self::table::{LEARN, MICROSOFT, OPERATORS};
use crate::decode::model::domain;
use crate::proto::NodeProto;
use crate::write::Import;
pub(crate) use crate::write::one;

/// A row of the tables.
pub(crate) struct Operator {
    /// The operator's name.
    pub(crate) name: &'static str,
    /// Its import function.
    pub(crate) import: Import,
    /// What of it is refused, in a few words; empty if it is complete.
    pub(crate) limits: &'static str,
    /// How it reads operands that are more than numbers.
    pub(crate) reads: Reads,
    /// Whether its result is a product of its operands, so that their units multiply.
    pub(crate) multiplies: bool,
}

/// How an operator reads operands that are quantised or masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// As numbers: integers are restored, and masked cells must hold what ONNX has.
    Numbers,
    /// It moves or selects cells of its first operand, or compares them.
    Moves,
    /// It is an elementwise function of an operand if all others are constant.
    Each,
    /// It asks for the scales of quantised operands.
    Quantised,
    /// It asks for masks.
    Masks,
    /// It compares the cells of its first operand, and asks for its mask.
    Largest,
    /// Both, the scales if all operands have the same.
    Alike,
}

const fn row(name: &'static str, import: Import, limits: &'static str) -> Operator {
    Operator {
        name,
        import,
        limits,
        reads: Reads::Numbers,
        multiplies: false,
    }
}

impl Operator {
    /// The row with another way of reading.
    const fn reading(mut self, reads: Reads) -> Self {
        self.reads = reads;
        self
    }

    /// The row of an operator that multiplies its operands.
    const fn multiplying(mut self) -> Self {
        self.multiplies = true;
        self
    }
}

/// The row of a node's operator.
pub(crate) fn find(proto: &NodeProto) -> Option<&'static Operator> {
    let table = match domain(proto) {
        "ai.onnx" => OPERATORS,
        "ai.onnx.ml" => LEARN,
        "com.microsoft" => MICROSOFT,
        _ => return None,
    };
    table.iter().find(|row| row.name == proto.op_type)
}

/// The operators of the tables: domain, name, and what of it is refused (empty if nothing is).
pub(crate) fn operators() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let rows = |domain, table: &'static [Operator]| {
        table.iter().map(move |row| (domain, row.name, row.limits))
    };
    rows("ai.onnx", OPERATORS)
        .chain(rows("ai.onnx.ml", LEARN))
        .chain(rows("com.microsoft", MICROSOFT))
}

/// What to do about an operator that is not in the tables.
pub(crate) fn remedy(proto: &NodeProto) -> String {
    let listed = "`zkstrata operators` lists what is imported";
    match (domain(proto), proto.op_type.as_str()) {
        ("ai.onnx", "RoiAlign" | "NonMaxSuppression" | "Unique" | "StringNormalizer") => {
            "what it gives has no fixed place or size: do it outside of the model".into()
        }
        ("ai.onnx", op)
            if op.starts_with("Random") || matches!(op, "Bernoulli" | "Multinomial") =>
        {
            "it is random, which a proof cannot repeat: give its result as an input".into()
        }
        ("ai.onnx" | "ai.onnx.ml", _) => {
            format!("replace it by other operators; {listed}")
        }
        (domain, op) if domain.starts_with("com.microsoft") || domain == "com.ms.internal.nhwc" => {
            format!(
                "{op} is onnxruntime's own; take the model as it was before onnxruntime optimised \
                 it, or save it with ORT_ENABLE_BASIC; {listed}"
            )
        }
        _ => format!(
            "its domain is not known: inline the model's functions (onnx.inliner), or export with \
             standard operators; {listed}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        for table in [OPERATORS, LEARN, MICROSOFT] {
            assert!(table.windows(2).all(|pair| pair[0].name < pair[1].name));
        }
    }
}
