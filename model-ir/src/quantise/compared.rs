//! Comparisons: inputs and constants that are compared, and that nothing makes small on the way.
//!
//! They have nearly the bits of single precision, so that what lies between a threshold and a cell
//! beside it is decided as the model does.

use super::facts::Facts;
use super::forms::{Form, Forms};
use super::ties::Ties;
use crate::float::{Activation, Op};

/// How a consumer reads a value.
#[derive(Clone, Copy)]
enum Reading {
    /// It takes a function of the cells, as fine as they are: nothing follows from their integers.
    Ends,
    /// Its own integers are as fine.
    Follows,
    /// It makes them small.
    Rounds,
}

/// By root: classes of inputs and constants that are compared.
pub(super) fn classes(facts: &Facts, forms: &Forms, ties: &Ties) -> Vec<bool> {
    let n = facts.len();
    let (mut wide, mut compared) = (vec![true; n], vec![false; n]);
    for v in (0..n).rev() {
        for &c in &facts.consumers[v] {
            let (ends, follows) = match reading(facts, forms, c) {
                Reading::Ends => (true, false),
                Reading::Follows => (false, true),
                Reading::Rounds => (false, false),
            };
            wide[v] &= ends || follows && wide[c];
            compared[v] |= compares(facts.op(c)) || follows && compared[c];
        }
    }
    let mut classes = vec![true; n];
    let mut wanted = vec![false; n];
    for v in 0..n {
        let root = ties.root(v).0;
        let given = facts.op(v).is_given();
        let wide = wide[v] && (given || is_made(facts, forms, v) || forms.of(v) != Form::Small);
        classes[root] &= wide;
        wanted[root] |= given && compared[v];
    }
    classes.iter().zip(wanted).map(|(&c, w)| c && w).collect()
}

fn reading(facts: &Facts, forms: &Forms, c: usize) -> Reading {
    let follows = |so| {
        if so {
            Reading::Follows
        } else {
            Reading::Rounds
        }
    };
    match facts.op(c) {
        Op::Sub
        | Op::Add
        | Op::Max
        | Op::Maximum { .. }
        | Op::Map(_)
        | Op::Take { .. }
        | Op::Reshape { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Transpose { .. } => follows(forms.of(c) != Form::Linear),
        Op::Affine { .. } => {
            let quantised = !facts.is_read_by(c, |op| !op.quantises());
            follows(forms.of(c) != Form::Linear || quantised)
        }
        Op::Activation(f) if !f.keeps_scale() || facts.op(c).quantises() => Reading::Ends,
        Op::Contract(_) => Reading::Ends,
        Op::Activation(_)
        | Op::Input { .. }
        | Op::Constant { .. }
        | Op::Dense { .. }
        | Op::Conv { .. }
        | Op::Pool { .. }
        | Op::Missing(_) => Reading::Rounds,
    }
}

/// Whether it decides between cells, or between a cell and a threshold.
fn compares(op: &Op) -> bool {
    op.takes_larger() || op.activation().is_some_and(Activation::is_integral) || op.quantises()
}

/// Whether the small cells of `v` are integers of its operands.
fn is_made(facts: &Facts, forms: &Forms, v: usize) -> bool {
    match facts.op(v) {
        Op::Affine { .. } => forms.pure_scale(v).is_some(),
        Op::Max
        | Op::Maximum { .. }
        | Op::Reshape { .. }
        | Op::Concat { .. }
        | Op::Pad { .. }
        | Op::Transpose { .. }
        | Op::Map(_)
        | Op::Take { .. } => true,
        Op::Input { .. }
        | Op::Constant { .. }
        | Op::Dense { .. }
        | Op::Conv { .. }
        | Op::Activation(_)
        | Op::Pool { .. }
        | Op::Add
        | Op::Sub
        | Op::Contract(_)
        | Op::Missing(_) => false,
    }
}
