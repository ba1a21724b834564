//! The linear part: claims on tensors become claims on committed columns and public inputs.
//!
//! A claim "the multilinear extension of tensor `t` is `v` at `r`" is reduced through the operator
//! that produces `t`:
//!
//! * sums and permutations move it to the operands, with one value sent per further operand;
//! * affine layers, index maps, gathers and contractions need a sumcheck;
//! * table nodes, constants and inputs end it: a committed column, a public tensor;
//! * many claims on one tensor are first merged into one.
//!
//! Each operator is a file of [`op`], with its relation, what the verifier does at the end of its
//! sumcheck, the prover's factors and its cost.
//!
//! The reduction runs in *stages*: all sumchecks whose claims are there run as one batched
//! sumcheck, whose end values are the claims of the next stage. The walk is the same for the
//! prover and the verifier and depends on public data only ([`walk`]); they differ in where values
//! come from ([`party`]) and in their ends of the batched sumcheck ([`stage`]).
//!
//! **The padding rule.** Padding cells of a column may hold anything, as far as this reduction knows.
//! (The lookup argument refuses those of its columns that are not zero; nothing here rests on that.)
//! Axes that an operator keeps may carry garbage through; axes that it sums over are cut to their real length by
//! factors the verifier knows (index maps, contractions) or by weights that are zero at padding;
//! constants (bias, fill) are multiplied by the mask of the kept axes, a constant tensor by that
//! of the batch.

mod analysis;
pub(crate) mod op;
mod party;
mod stage;
mod walk;

pub(crate) use analysis::{Analysis, Stage, analyse};
pub(crate) use stage::LinearVerifier;
pub(crate) use walk::reduce;

#[cfg(feature = "prover")]
pub(crate) use {
    op::{Instance, affine::Contracted},
    party::{InstanceEnd, Party, Wanted},
    stage::LinearProver,
};
