//! One lookup argument for all tables of the model.
//!
//! A table node `l` with shift `S > 0` has two leaves per cell `i`, at `(i, 0)` and `(i, 1)`:
//!
//! ```text
//! slot 0:  mask_i / (alpha - id_range - beta * rem_i)
//! slot 1:  mask_i / (alpha - id_l - beta * hi_i - beta^2 * out_i)
//!          hi = (acc + 2^(S-1) * mask - rem) / 2^S
//! ```
//!
//! with `S = 0` only the second, with `hi = acc`. Blocks of leaves are stacked largest first; gaps
//! are the fraction 0/1. The tables contribute `sum_j m_j / (alpha - id_j - beta in_j - beta^2
//! val_j)` with committed multiplicities. Both sums are proven by the fraction tree
//! ([`fraction`]) and must be equal: `p_w q_t = p_t q_w`, `q_w, q_t != 0`.
//!
//! **Soundness** (Haböck 2022, Papini-Haböck 2023): the committed columns fix every leaf before
//! alpha and beta are drawn. If some live tuple is in no table, the difference of the two sums is a
//! nonzero rational function of degree at most `leaves + rows` in each challenge, so it vanishes
//! with probability at most `2 (leaves + rows) / |E|`. Multiplicities may be any field elements: the
//! number of live cells with one tuple is an integer below p. Masked leaves have numerator 0.
#![deny(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable
)]

#[allow(clippy::indexing_slicing, clippy::as_conversions, clippy::expect_used)] // has its own
pub(crate) mod fraction;
#[cfg(feature = "prover")]
mod leaves;
#[cfg(feature = "prover")]
mod prove;
pub(crate) mod table;

#[cfg(test)]
pub(crate) use prove::field_multiplicities;
#[cfg(feature = "prover")]
pub(crate) use prove::{multiplicities, prove};
pub(crate) use table::TableBlock;

use crate::error::VerifyError;
use crate::linear::TensorClaim;
use crate::plan::{Plan, mask};
use fraction::FractionClaim;
use table::{eval_all, identifier, selector};
use zkstrata_mle::{E, Field, Point, PrimeCharacteristicRing};
use zkstrata_model_ir::int::{TableId, TensorId};
use zkstrata_pcs::{Channel, Claim, ColumnId};

/// Bits of proof of work before alpha and beta are drawn.
pub(crate) const WORK_BITS: usize = 8;

/// Label of the message with every column's value at its block's point.
const VALUES: &str = "lookup values";
/// Label of the proof of work.
const WORK: &str = "lookup work";

/// The leaves of one table node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// The node.
    pub(crate) node: usize,
    /// Its argument.
    pub(crate) input: TensorId,
    /// Its table.
    pub(crate) table: TableId,
    /// `S`.
    pub(crate) shift: u32,
    /// The table of the remainders.
    pub(crate) range: Option<TableId>,
    /// Variables of the node's tensor.
    pub(crate) vars: usize,
    /// First leaf.
    pub(crate) offset: usize,
}

impl Block {
    /// Variables of the block of leaves.
    pub(crate) fn leaf_vars(&self) -> usize {
        self.vars + usize::from(self.shift > 0)
    }

    /// Number of values sent for the block: argument, output and, with a shift, remainder.
    fn values(&self) -> usize {
        2 + usize::from(self.shift > 0)
    }

    /// Cuts the leaf point into the block's selector, the cell's point and the slot's coordinate.
    fn split<'a>(&self, leaf: &'a [E]) -> Option<(E, &'a [E], Option<E>)> {
        let (prefix, low) = leaf.split_at_checked(leaf.len().checked_sub(self.leaf_vars())?)?;
        let sel = selector(prefix, self.offset >> self.leaf_vars());
        if self.shift > 0 {
            let (&slot, cell) = low.split_last()?;
            Some((sel, cell, Some(slot)))
        } else {
            Some((sel, low, None))
        }
    }
}

/// What the lookup argument leaves to be proven.
#[must_use = "the lookup argument holds only if these claims do"]
#[derive(Debug)]
pub(crate) struct LookupClaims<S> {
    /// Outputs, remainders and multiplicities: on committed columns.
    pub(crate) witness: Vec<Claim<S>>,
    /// Arguments of the table nodes: on tensors.
    pub(crate) arguments: Vec<TensorClaim<S>>,
}

/// A block's part of the leaf equation: it adds
/// `constant + argument * acc + output * out + remainder * rem` to `q(r)`. Where the mask is zero
/// an honest prover's columns are, too, and so padding leaves are 0/1.
struct LeafEquation {
    mask: E,
    constant: E,
    argument: E,
    output: E,
    remainder: E,
}

impl LeafEquation {
    /// The part of one block, selector included.
    fn of(block: &Block, axes: &[usize], leaf: &[E], alpha: E, beta: E) -> Option<Self> {
        let (sel, cell, slot) = block.split(leaf)?;
        let mask = mask(axes, cell);
        // Of denominators less 1.
        let function = alpha - identifier(block.table) - E::ONE;
        let Some(slot) = slot else {
            return Some(Self {
                mask: sel * mask,
                constant: sel * mask * function,
                argument: -sel * beta,
                output: -sel * beta * beta,
                remainder: E::ZERO,
            });
        };
        let range = alpha - identifier(block.range?) - E::ONE;
        let one = sel * slot;
        let zero = sel - one;
        // beta * hi = beta_hi * (acc + 2^(S-1) mask - rem)
        let beta_hi = beta * E::TWO.exp_u64(block.shift.into()).try_inverse()?;
        let half = E::TWO.exp_u64(u64::from(block.shift) - 1);
        Some(Self {
            mask: sel * mask,
            constant: mask * (zero * range + one * (function - beta_hi * half)),
            argument: -one * beta_hi,
            output: -one * beta * beta,
            remainder: one * beta_hi - zero * beta,
        })
    }
}

/// Distributes the values of one block over claims.
fn block_claims<S>(
    index: usize,
    block: &Block,
    cell: &Point,
    (acc, out, rem): (S, S, Option<S>),
    claims: &mut LookupClaims<S>,
) {
    let column = |column| ColumnId {
        table: index,
        column,
    };
    claims.witness.push(Claim {
        column: column(0),
        point: cell.clone(),
        value: out,
    });
    if let Some(rem) = rem {
        claims.witness.push(Claim {
            column: column(1),
            point: cell.clone(),
            value: rem,
        });
    }
    claims.arguments.push(TensorClaim {
        tensor: block.input,
        point: cell.clone(),
        value: acc,
    });
}

/// Verifies the lookup argument; the witness commitment must have been received.
///
/// # Soundness
/// Accepting establishes, up to the module's error, that every live cell of every table node
/// satisfies its lookups, provided the returned claims hold.
pub(crate) fn verify<C: Channel>(
    plan: &Plan<'_>,
    channel: &mut C,
) -> Result<LookupClaims<C::S>, VerifyError> {
    let malformed = || VerifyError::Key("lookup blocks do not fit".into());
    channel.check_work(WORK, WORK_BITS)?;
    let alpha = channel.sample();
    let beta = channel.sample();
    let leaves = fraction::verify(plan.leaf_vars, channel)?;
    let tables = fraction::verify(plan.table_vars, channel)?;
    check_roots(&leaves, &tables, channel)?;

    let count = plan.blocks.iter().map(Block::values).sum();
    let mut values = channel.recv(VALUES, count)?.into_iter();
    let mut claims = LookupClaims {
        witness: Vec::new(),
        arguments: Vec::new(),
    };
    let (mut p, mut constant) = (E::ZERO, E::ONE);
    let mut q = leaves.q;
    for (index, block) in plan.blocks.iter().enumerate() {
        let axes = plan.axes(TensorId(block.node));
        let equation =
            LeafEquation::of(block, &axes, &leaves.point, alpha, beta).ok_or_else(malformed)?;
        let (_, cell, _) = block.split(&leaves.point).ok_or_else(malformed)?;
        let acc = values.next().ok_or_else(malformed)?;
        let out = values.next().ok_or_else(malformed)?;
        p += equation.mask;
        constant += equation.constant;
        q = q - acc.clone() * equation.argument - out.clone() * equation.output;
        let rem = if block.shift > 0 {
            let rem = values.next().ok_or_else(malformed)?;
            q = q - rem.clone() * equation.remainder;
            Some(rem)
        } else {
            None
        };
        block_claims(
            index,
            block,
            &Point::from(cell),
            (acc, out, rem),
            &mut claims,
        );
    }
    let p = channel.constant(p);
    channel.assert_zero(leaves.p - p, "lookup leaf numerators")?;
    let constant = channel.constant(constant);
    channel.assert_zero(q - constant, "lookup leaf denominators")?;

    let row = eval_all(&plan.graph.tables, &plan.tables, &tables.point).ok_or_else(malformed)?;
    let denominator = channel.constant(row.denominator(alpha, beta));
    channel.assert_zero(tables.q - denominator, "table denominators")?;
    claims.witness.push(Claim {
        column: plan.multiplicity_column(),
        point: tables.point,
        value: tables.p,
    });
    Ok(claims)
}

/// `p_w q_t = p_t q_w` with both denominators nonzero.
fn check_roots<C: Channel>(
    leaves: &FractionClaim<C::S>,
    tables: &FractionClaim<C::S>,
    channel: &mut C,
) -> Result<(), VerifyError> {
    let left = channel.mul(&leaves.root_p, &tables.root_q);
    let right = channel.mul(&tables.root_p, &leaves.root_q);
    channel.assert_zero(left - right, "lookup sums")?;
    channel.assert_nonzero(leaves.root_q.clone(), "lookup denominator")?;
    channel.assert_nonzero(tables.root_q.clone(), "table denominator")?;
    Ok(())
}
