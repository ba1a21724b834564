//! One lookup argument for all tables of the model.
//!
//! A table node `l` with shift `S > 0` and one range table has two leaves per cell `i`, at `(i, 0)`
//! and `(i, 1)`:
//!
//! ```text
//! slot 0:  1 / (alpha - id_range - beta * rem_i)
//! slot 1:  1 / (alpha - id_l - beta * hi_i - beta^2 * out_i)
//!          hi = (acc + offset * mask - rem) / 2^S
//! ```
//!
//! with `S = 0` only the second, with `hi = acc + offset * mask`. A remainder of several limbs is
//! `rem = sum_j 2^(k_0 + .. + k_(j-1)) limb_j`: slot 0 looks up the last limb, the most significant
//! one, and every other limb has a block of one-slot leaves, with the variables of the same cells:
//!
//! ```text
//!          1 / (alpha - id_range_j - beta * limb_j,i)
//! ```
//!
//! Slot and cell stand at the end of the leaf's index, so the cell's point is another one in a block
//! of one slot than in one of two: those limbs are claimed at both.
//!
//! Blocks of leaves are stacked largest first. In the gaps leaves are 1/1, and where a cell is padding
//! they are, too: there the denominators are those above with `mask_i (alpha - id - 1) + 1` in the place
//! of `alpha - id`. So no numerator has to be proven, and the verifier knows what such leaves add to the
//! sum: 1 each. The tables contribute `sum_j m_j / (alpha - id_j - beta in_j - beta^2 val_j)` with
//! committed multiplicities. Both sums are proven by the fraction tree ([`fraction`]), and without those
//! `d` leaves they must be equal: `(p_w - d q_w) q_t = p_t q_w`, `q_w, q_t != 0`.
//!
//! **Soundness** (Haböck 2022, Papini-Haböck 2023): the committed columns fix every leaf before
//! alpha and beta are drawn. If some live tuple is in no table, the difference of the two sums is a
//! nonzero rational function of degree at most `leaves + rows` in each challenge, so it vanishes
//! with probability at most `2 (leaves + rows) / |E|`. Multiplicities may be any field elements: the
//! number of live cells with one tuple is an integer below p. What a prover commits to in padding does not
//! matter: there the denominators are without alpha, and so are the poles that they make. (Nor does it
//! pass, if it is not zero: the sum of those leaves has to be their number, whatever beta is.)
//!
//! **Uniqueness.** On live cells every limb is then in `0 .. 2^k_j`, hence the integer `rem` in
//! `0 .. 2^S`, and `hi` is an integer of the domain with `2^S hi = acc + offset - rem` in the field.
//! Both sides are integers whose difference is in magnitude at most
//! `|acc| + |offset| + 2^S (max|domain| + 1) < 2^63`, as validation checks of every argument in its
//! interval, and p is larger: they are equal as integers. So `hi = floor((acc + offset) / 2^S)`, and
//! the limbs are the digits of the remainder. All limbs are columns that are fixed before alpha and
//! beta, and both claims on a limb are openings of one column: the limb that its own block finds in
//! range is the one that `hi` is made of.

#[cfg(feature = "prover")]
mod denominators;
pub(crate) mod fraction;
#[cfg(feature = "prover")]
mod leaves;
#[cfg(feature = "prover")]
mod prove;
pub(crate) mod table;

#[cfg(feature = "prover")]
pub(crate) use prove::{multiplicities, prove, trees, values};

use crate::claim::{Claim, TensorClaim};
use crate::error::VerifyError;
use crate::plan::{Block, Limb, Plan};
use crate::publics::Publics;
use fraction::FractionClaim;
use std::ops::Range;
use table::identifier;
use zkstrata_mle::{E, Field, Point, PrimeCharacteristicRing, mask, selector, signed};
use zkstrata_model_ir::int::TensorId;
use zkstrata_pcs::{Channel, ColumnId};

/// Bits of proof of work before alpha and beta are drawn.
pub(crate) const WORK_BITS: usize = 8;

/// Label of the message with every column's value at its blocks' points.
const VALUES: &str = "lookup values";
/// Label of the proof of work.
const WORK: &str = "lookup work";

impl Block {
    /// Number of values sent for the block: the argument, the output and the limbs in the order of
    /// their columns at [`Block::cell`], then the limbs with blocks of their own at
    /// [`Block::own_cell`].
    fn values(&self) -> usize {
        2 + self.limbs.len() + self.own_limbs().len()
    }

    /// The cell's point at the end of a leaf point in the main block, and the slot's coordinate.
    fn cell<'a>(&self, leaf: &'a [E]) -> Option<(&'a [E], Option<E>)> {
        let (_, low) = leaf.split_at_checked(leaf.len().checked_sub(self.leaf_vars())?)?;
        if self.shift > 0 {
            let (&slot, cell) = low.split_last()?;
            Some((cell, Some(slot)))
        } else {
            Some((low, None))
        }
    }

    /// The cell's point at the end of a leaf point in the block of a limb.
    fn own_cell<'a>(&self, leaf: &'a [E]) -> Option<&'a [E]> {
        let (_, cell) = leaf.split_at_checked(leaf.len().checked_sub(self.vars)?)?;
        Some(cell)
    }
}

/// The selector at a leaf point of the block of `2^vars` leaves from `first` on.
fn select(leaf: &[E], vars: usize, first: usize) -> Option<E> {
    let (prefix, _) = leaf.split_at_checked(leaf.len().checked_sub(vars)?)?;
    Some(selector(prefix, first >> vars))
}

/// What the lookup argument leaves to be proven.
#[must_use = "the lookup argument holds only if these claims do"]
#[derive(Debug)]
pub(crate) struct LookupClaims<S> {
    /// Outputs, remainders and multiplicities: on committed columns.
    pub(crate) witness: Vec<Claim<S>>,
    /// Arguments of the table nodes: on tensors.
    pub(crate) arguments: Vec<TensorClaim<S>>,
    /// The denominators of the tables' rows at the end of their tree, which the verifier evaluates.
    #[cfg_attr(not(feature = "prover"), allow(dead_code))]
    pub(crate) denominator: S,
}

/// A block's part of the leaf equation: it adds `constant + sum_v coefs_v * value_v` to `q(r)`, over the
/// values that are sent for the block. Where the mask is zero an honest prover's columns are, too, and so
/// padding leaves are 1/1.
pub(crate) struct LeafEquation {
    pub(crate) constant: E,
    pub(crate) coefs: Vec<E>,
}

impl LeafEquation {
    /// The part of one block with those of its limbs, selectors included.
    pub(crate) fn of(block: &Block, axes: &[usize], leaf: &[E], alpha: E, beta: E) -> Option<Self> {
        let sel = select(leaf, block.leaf_vars(), block.first)?;
        let (cell, slot) = block.cell(leaf)?;
        let mask = mask(axes, cell);
        // Of denominators less 1.
        let function = alpha - identifier(block.table) - E::ONE;
        let range = |limb: &Limb| alpha - identifier(limb.range) - E::ONE;
        let power = |bits: u32| E::TWO.exp_u64(bits.into());
        // With the selector: the leaves at slot 1, or all if there is one slot.
        let one = slot.map_or(sel, |slot| sel * slot);
        let zero = sel - one;
        // beta * hi = beta_hi * (acc + offset * mask - rem)
        let beta_hi = beta * power(block.shift).try_inverse()?;
        let mut equation = Self {
            constant: mask * one * (function - beta_hi * signed(block.offset)),
            coefs: Vec::with_capacity(block.values()),
        };
        equation.coefs.push(-one * beta_hi);
        equation.coefs.push(-one * beta * beta);
        for index in block.limb_columns() {
            let limb = block.limbs.get(index)?;
            equation.coefs.push(one * beta_hi * power(limb.low));
        }
        if let Some(last) = block.limbs.last() {
            equation.constant += mask * zero * range(last);
            *equation.coefs.get_mut(2)? -= zero * beta;
        }
        for limb in block.own_limbs() {
            equation.add_own(block, limb, axes, leaf, (range(limb), beta))?;
        }
        Some(equation)
    }

    /// Adds the block of one slot that a limb has.
    fn add_own(
        &mut self,
        block: &Block,
        limb: &Limb,
        axes: &[usize],
        leaf: &[E],
        (range, beta): (E, E),
    ) -> Option<()> {
        let sel = select(leaf, block.vars, limb.first)?;
        let mask = mask(axes, block.own_cell(leaf)?);
        self.constant += sel * mask * range;
        self.coefs.push(-sel * beta);
        Some(())
    }
}

/// Distributes the values of one block over claims.
fn block_claims<S>(
    index: usize,
    block: &Block,
    leaf: &Point,
    values: Vec<S>,
    claims: &mut LookupClaims<S>,
) -> Option<()> {
    let (cell, _) = block.cell(leaf)?;
    let own_cell = block.own_cell(leaf)?;
    let mut values = values.into_iter();
    claims.arguments.push(TensorClaim {
        tensor: block.input,
        point: Point::from(cell),
        value: values.next()?,
    });
    let mut claim = |columns: Range<usize>, at: &[E]| {
        let column = |column| {
            let id = ColumnId {
                table: index,
                column,
            };
            Some((id, values.next()?))
        };
        claims.witness.push(Claim {
            at: Point::from(at),
            columns: columns.map(column).collect::<Option<_>>()?,
        });
        Some(())
    };
    // The output and all limbs, then the limbs with blocks of their own.
    claim(0..1 + block.limbs.len(), cell)?;
    let own = block.own_limbs().len();
    if own > 0 {
        claim(2..2 + own, own_cell)?;
    }
    Some(())
}

/// Verifies the lookup argument; the witness commitment must have been received.
///
/// # Soundness
/// Accepting establishes, up to the module's error, that every live cell of every table node
/// satisfies its lookups, provided the returned claims hold.
pub(crate) fn verify<C: Channel>(
    plan: &Plan,
    publics: &mut impl Publics,
    channel: &mut C,
) -> Result<LookupClaims<C::S>, VerifyError> {
    let malformed = || VerifyError::Key("lookup blocks do not fit".into());
    channel.check_work(WORK, WORK_BITS)?;
    let alpha = channel.sample();
    let beta = channel.sample();
    let leaves = fraction::verify(plan.leaf_vars, channel)?;
    let tables = fraction::verify(plan.table_vars, channel)?;
    check_roots(&leaves, &tables, plan.dead_leaves(), channel)?;

    let count = plan.blocks.iter().map(Block::values).sum();
    let mut values = channel.recv(VALUES, count)?.into_iter();
    let mut claims = LookupClaims {
        witness: Vec::new(),
        arguments: Vec::new(),
        denominator: tables.q.clone(),
    };
    let mut constant = E::ONE;
    let mut q = leaves.q;
    for (index, block) in plan.blocks.iter().enumerate() {
        let axes = plan.axes(TensorId(block.node));
        let equation =
            LeafEquation::of(block, &axes, &leaves.point, alpha, beta).ok_or_else(malformed)?;
        let own: Vec<C::S> = values.by_ref().take(block.values()).collect();
        constant += equation.constant;
        for (value, &coef) in own.iter().zip(&equation.coefs) {
            q = q - value.clone() * coef;
        }
        block_claims(index, block, &leaves.point, own, &mut claims).ok_or_else(malformed)?;
    }
    let one = channel.constant(E::ONE);
    channel.assert_zero(leaves.p - one, "lookup leaf numerators")?;
    let constant = channel.constant(constant);
    channel.assert_zero(q - constant, "lookup leaf denominators")?;

    let denominator = publics.denominator(plan, &tables.point, [alpha, beta]);
    let denominator = channel.constant(denominator.ok_or_else(malformed)?);
    channel.assert_zero(tables.q - denominator, "table denominators")?;
    let multiplicities = plan.multiplicity_column();
    let claim = Claim::of(multiplicities, tables.point, tables.p);
    claims.witness.push(claim);
    Ok(claims)
}

/// `(p_w - d q_w) q_t = p_t q_w` with both denominators nonzero.
pub(crate) fn check_roots<C: Channel>(
    leaves: &FractionClaim<C::S>,
    tables: &FractionClaim<C::S>,
    dead: usize,
    channel: &mut C,
) -> Result<(), VerifyError> {
    let live = leaves.root_p.clone() - leaves.root_q.clone() * E::from_usize(dead);
    let left = channel.mul(&live, &tables.root_q);
    let right = channel.mul(&tables.root_p, &leaves.root_q);
    channel.assert_zero(left - right, "lookup sums")?;
    channel.assert_nonzero(leaves.root_q.clone(), "lookup denominator")?;
    channel.assert_nonzero(tables.root_q.clone(), "table denominator")?;
    Ok(())
}
