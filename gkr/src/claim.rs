//! Claims: what the parts of the protocol hand to each other, and what is left of a proof, as one
//! relation.

use zkstrata_mle::{E, Point, PrimeCharacteristicRing};
use zkstrata_model_ir::int::TensorId;
use zkstrata_pcs::Claim;
use zkstrata_pcs::joint::{Relation, Term};

/// "The multilinear extension of `tensor` is `value` at `point`."
#[must_use = "a claim that nobody proves is an assertion that nobody checks"]
#[derive(Clone, Debug)]
pub(crate) struct TensorClaim<V> {
    /// The tensor.
    pub(crate) tensor: TensorId,
    /// The point, batch coordinates first.
    pub(crate) point: Point,
    /// The claimed value.
    pub(crate) value: V,
}

/// Where the linear part ends.
#[must_use = "the linear part holds only if these claims do"]
#[derive(Debug)]
pub(crate) struct Ends<V> {
    /// Claims on committed activations.
    pub(crate) witness: Vec<Claim<V>>,
    /// Claims on committed weights and biases.
    pub(crate) weights: Vec<Claim<V>>,
    /// Claims on public inputs.
    pub(crate) inputs: Vec<TensorClaim<V>>,
}

/// The sum of all claims with powers of a challenge, `sum_k gamma^k (column_k(point_k) - value_k) =
/// 0`; the claims of each source are a list of their own.
///
/// # Soundness
/// If the challenge was drawn after all claims were fixed, and one of `C` claims is false, the
/// relation is true for at most `C - 1` challenges.
pub(crate) fn relation(claims: &[Vec<Claim<E>>], gamma: E) -> Relation {
    let (mut coef, mut target) = (E::ONE, E::ZERO);
    let mut term = |claim: &Claim<E>| {
        let term = Term::Column {
            column: claim.column,
            point: claim.point.clone(),
            coef,
        };
        target += coef * claim.value;
        coef *= gamma;
        term
    };
    let terms = claims.iter().map(|own| own.iter().map(&mut term).collect());
    let terms = terms.collect();
    Relation { target, terms }
}

#[cfg(all(test, feature = "prover"))]
mod tests {
    use super::*;
    use zkstrata_mle::F;
    use zkstrata_pcs::joint::{
        Column, Layout, Parameters, RelationProver, RelationScheme, SourceRef, Table, Word,
    };
    use zkstrata_pcs::{Clear, ColumnId, Error, VerifierTape};

    /// Two sources of three columns: each claim alone makes the relation false if it is, and two
    /// that are off by opposite amounts do not cancel.
    #[test]
    fn every_claim_is_part_of_the_relation() {
        let table = Table {
            num_vars: 3,
            live: 7,
            width: 3,
        };
        let words = [Word::Committed, Word::Codeword];
        let layouts = words.map(|word| Layout::new(word, Parameters::FAST, &[table]));
        let layouts = layouts.map(|layout| layout.expect("a layout"));
        let cell = |source: i64, column: i64, k: i64| 7 * source - 3 * column + k * k;
        let columns = |source: i64| -> Vec<Column> {
            let column = |c| Column::I64((0..7).map(|k| cell(source, c, k)).collect());
            (0..3).map(column).collect()
        };
        let commitments: Vec<_> = (0..2)
            .map(|source| {
                let committed = Clear::commit(&layouts[source], columns(source as i64));
                committed.expect("commits").0
            })
            .collect();
        let claim = |source: i64, column: i64| {
            let point = Point::new((0..3).map(|k| E::from_u64(11 + 5 * k)).collect());
            let eq = zkstrata_mle::eq_table(&point, 8, E::ONE);
            let cells = (0..7).map(|k| F::from_i64(cell(source, column, k)));
            Claim {
                column: ColumnId {
                    table: 0,
                    column: column as usize,
                },
                value: cells.zip(&eq).map(|(x, &e)| e * x).sum(),
                point,
            }
        };
        let honest: Vec<Vec<Claim<E>>> = (0..2)
            .map(|source| (0..3).map(|column| claim(source, column)).collect())
            .collect();
        let verdict = |claims: &[Vec<Claim<E>>]| -> Result<(), Error> {
            let relation = relation(claims, E::from_u64(1_000_003));
            let sources = layouts.iter().zip(&commitments);
            let source = |(layout, commitment)| SourceRef { layout, commitment };
            let sources: Vec<_> = sources.map(source).collect();
            let mut tape = VerifierTape::new(&[0; 32], &[]);
            <Clear as RelationScheme>::verify(&sources, &relation, &mut tape)
        };
        verdict(&honest).expect("true claims");
        for k in 0..6 {
            for other in 0..6 {
                let mut claims = honest.clone();
                claims[k / 3][k % 3].value += E::ONE;
                if other != k {
                    claims[other / 3][other % 3].value -= E::ONE;
                }
                assert!(verdict(&claims).is_err(), "{k} {other}");
            }
        }
    }
}
