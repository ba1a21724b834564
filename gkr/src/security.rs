//! The union bound on a forger's chance per hash that it computes, term by term.
//!
//! Each term is the probability of one attempt divided by its proof of work: 8 bits of work
//! precede the lookup challenges and up to 16 each challenge of an opening, and an attempt costs
//! as many hashes. Fiat-Shamir allows as many attempts as a forger can pay for. Collisions of
//! the trees' digests (2^100 hashes) are not a term.

use crate::constants::Weights;
use crate::error::VerifyError;
use crate::form::Form;
use crate::linear::Stage;
use crate::lookup::WORK_BITS;
use crate::plan::{Block, Plan};
use zkstrata_pcs::SoundnessTerm;
use zkstrata_pcs::joint::{Layout, RelationScheme};

/// Bits of security that every key must have at its largest batch.
pub const REQUIRED_BITS: f64 = 100.0;

/// Most public weights that a verification may visit: it takes a second or two, and a hostile key
/// cannot make it take hours.
const MAX_PUBLIC_WORK: usize = 1 << 30;

/// `log2 |E|` for the quadratic extension of Goldilocks.
pub(crate) const FIELD_BITS: f64 = 127.999_999_999;

/// Bits of a uniform element of the base field, rounded down far below any number's last digit.
const CELL_BITS: f64 = 63.999_999_999;

/// What a forger can hope for, term by term.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Security {
    /// Number of inferences in the batch; none in the certificate of a key.
    pub batch: usize,
    /// Every term of the union bound.
    pub terms: Vec<SoundnessTerm>,
    /// Minus the base-2 logarithm of the sum of all terms.
    pub total_bits: f64,
    /// How well proofs hide what they hide, if they hide something.
    pub zero_knowledge: Option<ZeroKnowledge>,
}

/// How well proofs hide what they hide: whoever sees `q` of them and computes `Q` hashes tells them from
/// proofs that were made without it with an advantage of at most `q 2^-proof_bits + Q q 2^-hash_bits`, in
/// the random oracle model, and besides the advantage against the generator of randomness
/// (`docs/zero-knowledge.md`, "Proofs").
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct ZeroKnowledge {
    /// For a proof: a denominator of the lookup argument may be zero.
    pub proof_bits: f64,
    /// For a hash and a proof: somebody may guess a row that was not opened.
    pub hash_bits: f64,
}

impl ZeroKnowledge {
    /// That of an opening of such sources, behind so many lookups; nothing if none hides anything.
    pub(crate) fn of<C: RelationScheme>(
        sources: &[&Layout],
        lookups: f64,
    ) -> Result<Option<Self>, VerifyError> {
        let leaves = C::hidden_leaves(sources)?;
        Ok(leaves.map(|leaves| Self {
            proof_bits: FIELD_BITS - lookups.log2(),
            hash_bits: CELL_BITS * float(leaves.cells) - leaves.count.log2(),
        }))
    }
}

impl Security {
    /// Whether the bound reaches [`REQUIRED_BITS`]; not a number does not.
    pub fn is_enough(&self) -> bool {
        self.total_bits >= REQUIRED_BITS
    }

    /// The bound for proofs of a form. Public weights are not opened.
    pub(crate) fn new<C: RelationScheme>(
        form: &Form,
        constants: Weights,
    ) -> Result<Self, VerifyError> {
        let plan = &form.plan;
        let analysis = &form.analysis;
        if constants == Weights::Public && analysis.weight_cells > MAX_PUBLIC_WORK {
            return Err(VerifyError::Key(format!(
                "a verification visits {} public weights, more than {MAX_PUBLIC_WORK}",
                analysis.weight_cells
            )));
        }
        let (mut terms, lookups) = of_lookups(plan);
        let outputs = plan.graph.outputs.iter().map(|o| plan.num_vars(o.tensor));
        let outputs: usize = outputs.sum();
        terms.push(SoundnessTerm {
            name: "outputs: random point".into(),
            bits: FIELD_BITS - float(outputs.max(1)).log2(),
        });
        for (index, stage) in analysis.stages.iter().enumerate() {
            terms.push(stage_term(index, stage));
        }
        let of_witness = form.witness.as_ref().map(|_| analysis.witness_claims);
        let of_key = form.key.as_ref().map(|_| analysis.weight_claims);
        let claims = of_witness.unwrap_or(0).saturating_add(of_key.unwrap_or(0));
        if let Some(seal) = &form.seal {
            let [witness, key, ports] = seal.claims;
            let witness = witness.saturating_add(ports);
            let public = constants == Weights::Public;
            let (claims, checks) = if public {
                (witness, key)
            } else {
                (witness.saturating_add(key), 0)
            };
            terms.extend(
                seal.plan
                    .soundness(claims, seal.assertions.saturating_add(checks)),
            );
        } else if claims > 1 {
            terms.push(SoundnessTerm {
                name: format!("opening: one relation of {claims} claims"),
                bits: FIELD_BITS - float(claims - 1).log2(),
            });
        }
        terms.extend(C::soundness(&form.sources())?);
        Ok(Self {
            zero_knowledge: ZeroKnowledge::of::<C>(&form.sources(), lookups)?,
            ..Self::sum(plan.batch, terms)
        })
    }

    /// The bound of these terms.
    pub(crate) fn sum(batch: usize, terms: Vec<SoundnessTerm>) -> Self {
        let sum: f64 = terms.iter().map(|t| 2f64.powf(-t.bits)).sum();
        Self {
            batch,
            terms,
            total_bits: -sum.log2(),
            zero_knowledge: None,
        }
    }
}

/// The terms of the lookup argument, and its leaves and rows.
pub(crate) fn of_lookups(plan: &Plan) -> (Vec<SoundnessTerm>, f64) {
    if plan.blocks.is_empty() {
        return (vec![], 1.0);
    }
    let leaves: f64 = plan
        .blocks
        .iter()
        .flat_map(Block::leaf_blocks)
        .map(|(vars, _)| 2f64.powi(exponent(vars)))
        .sum();
    let rows = 2f64.powi(exponent(plan.table_vars));
    let mut terms = vec![SoundnessTerm {
        name: "lookup: random linear combination".into(),
        bits: FIELD_BITS - (2.0 * (leaves + rows)).log2() + float(WORK_BITS),
    }];
    for (name, n) in [("leaf", plan.leaf_vars), ("table", plan.table_vars)] {
        let n = float(n.max(1));
        terms.push(SoundnessTerm {
            name: format!("GKR of the {name} tree"),
            bits: FIELD_BITS - (n * n + n).log2(),
        });
    }
    (terms, leaves + rows)
}

fn stage_term(index: usize, stage: &Stage) -> SoundnessTerm {
    let degree = float(stage.instances + stage.merged + stage.rounds * stage.degree);
    SoundnessTerm {
        name: format!(
            "linear stage {}: {} operators, {} merged claims, {} rounds of degree {}",
            index + 1,
            stage.instances,
            stage.merged,
            stage.rounds,
            stage.degree
        ),
        bits: FIELD_BITS - degree.log2(),
    }
}

pub(crate) fn float(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}

fn exponent(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
