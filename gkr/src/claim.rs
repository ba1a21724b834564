//! Claims: what the parts of the protocol hand to each other, and what is left of a proof, as one
//! relation.
//!
//! A claim on committed columns is made of many columns at one point: of all that a lookup block
//! has, of all taps of a layer's weights. Their order is that of the relation's powers.

use crate::port::PortId;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};
use zkstrata_model_ir::int::TensorId;
use zkstrata_pcs::ColumnId;
use zkstrata_pcs::joint::{Relation, Term};

/// "The multilinear extensions of these columns take these values at one point."
#[must_use = "a claim that nobody proves is an assertion that nobody checks"]
#[derive(Clone, Debug)]
pub(crate) struct Claim<V> {
    /// The point, as many coordinates as each column has variables.
    pub(crate) at: Point,
    /// The columns and the claimed values.
    pub(crate) columns: Vec<(ColumnId, V)>,
}

impl<V> Claim<V> {
    /// The claim on one column.
    pub(crate) fn of(column: ColumnId, at: Point, value: V) -> Self {
        Self {
            at,
            columns: vec![(column, value)],
        }
    }
}

/// How many values some claims are about.
pub(crate) fn count<V>(claims: &[Claim<V>]) -> usize {
    claims.iter().map(|claim| claim.columns.len()).sum()
}

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
    /// Claims on committed inputs and outputs.
    pub(crate) ports: BTreeMap<PortId, Vec<Claim<V>>>,
}

/// Claims of which no two are about one column at one point.
#[must_use = "the claims that were left out hold only if the pairs are equal"]
#[derive(Debug)]
pub(crate) struct Merged<V> {
    /// The claims that were the first of their column and point, in their order.
    pub(crate) claims: Vec<Claim<V>>,
    /// The first value with each later one of the same column and point: they must be equal.
    pub(crate) equal: Vec<(V, V)>,
}

/// The values of claims, in their order.
pub(crate) fn values<V: Clone>(claims: &[Claim<V>]) -> impl Iterator<Item = V> {
    let columns = claims.iter().flat_map(|claim| &claim.columns);
    columns.map(|(_, value)| value.clone())
}

/// The claims without their values.
#[cfg(feature = "prover")]
pub(crate) fn bare<V>(claims: &[Claim<V>]) -> Vec<Claim<()>> {
    let columns = |claim: &Claim<V>| claim.columns.iter().map(|&(id, _)| (id, ())).collect();
    let bare = |claim: &Claim<V>| Claim {
        at: claim.at.clone(),
        columns: columns(claim),
    };
    claims.iter().map(bare).collect()
}

/// Leaves out what was claimed before.
pub(crate) fn merge<V: Clone>(claims: Vec<Claim<V>>) -> Merged<V> {
    let mut seen: BTreeMap<Point, BTreeMap<ColumnId, V>> = BTreeMap::new();
    let mut equal = Vec::new();
    let mut merged = Vec::with_capacity(claims.len());
    for claim in claims {
        let seen = seen.entry(claim.at.clone()).or_default();
        let mut columns = Vec::with_capacity(claim.columns.len());
        for (column, value) in claim.columns {
            match seen.entry(column) {
                Entry::Occupied(first) => equal.push((first.get().clone(), value)),
                Entry::Vacant(slot) => {
                    slot.insert(value.clone());
                    columns.push((column, value));
                }
            }
        }
        if !columns.is_empty() {
            merged.push(Claim {
                at: claim.at,
                columns,
            });
        }
    }
    Merged {
        claims: merged,
        equal,
    }
}

/// The sum of all claims with powers of a challenge, `sum_k gamma^k (column_k(point_k) - value_k) =
/// 0`; the claims of each source are a list of their own.
///
/// # Soundness
/// If the challenge was drawn after all claims were fixed, and one of `C` values is false, the
/// relation is true for at most `C - 1` challenges.
pub(crate) fn relation(claims: &[Vec<Claim<E>>], gamma: E) -> Relation {
    let values = claims.iter().flat_map(|claims| values(claims));
    let target = values.zip(gamma.powers()).map(|(v, power)| v * power).sum();
    let terms = terms(claims, gamma.powers());
    Relation { target, terms }
}

/// The terms of a relation that says that claims of each source hold, with these factors.
pub(crate) fn terms<V>(
    claims: &[Vec<Claim<V>>],
    coefs: impl IntoIterator<Item = E>,
) -> Vec<Vec<Term>> {
    let mut coefs = coefs.into_iter();
    let mut of_source = |claims: &Vec<Claim<V>>| {
        let columns = |claim: &Claim<V>| -> Vec<(ColumnId, Point)> {
            let columns = claim.columns.iter();
            columns.map(|&(id, _)| (id, claim.at.clone())).collect()
        };
        let columns = claims.iter().flat_map(columns).zip(coefs.by_ref());
        let term = |((column, point), coef)| Term::Column {
            column,
            point,
            coef,
        };
        columns.map(term).collect()
    };
    claims.iter().map(&mut of_source).collect()
}

#[cfg(all(test, feature = "prover"))]
mod tests {
    use super::*;
    use zkstrata_mle::F;
    use zkstrata_pcs::joint::{
        Column, Layout, Parameters, RelationProver, RelationScheme, SourceRef, Table, Word,
    };
    use zkstrata_pcs::{Clear, Error, VerifierTape};

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
        let at = Point::new((0..3).map(|k| E::from_u64(11 + 5 * k)).collect());
        let eq = zkstrata_mle::eq_table(&at, 8, E::ONE);
        let value = |source: i64, column: i64| {
            let cells = (0..7).map(|k| F::from_i64(cell(source, column, k)));
            let id = ColumnId {
                table: 0,
                column: column as usize,
            };
            (id, cells.zip(&eq).map(|(x, &e)| e * x).sum::<E>())
        };
        let claim = |source: i64| Claim {
            at: at.clone(),
            columns: (0..3).map(|column| value(source, column)).collect(),
        };
        let honest: Vec<Vec<Claim<E>>> = (0..2).map(|source| vec![claim(source)]).collect();
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
                claims[k / 3][0].columns[k % 3].1 += E::ONE;
                if other != k {
                    claims[other / 3][0].columns[other % 3].1 -= E::ONE;
                }
                assert!(verdict(&claims).is_err(), "{k} {other}");
            }
        }
    }

    /// What was claimed before is left out, and nothing else; the order stays.
    #[test]
    fn merging_keeps_what_is_claimed_first() {
        let at = |x: u64| Point::new(vec![E::from_u64(x)]);
        let claim = |x: u64, columns: &[(usize, u64)]| Claim {
            at: at(x),
            columns: columns
                .iter()
                .map(|&(column, value)| (ColumnId { table: 0, column }, E::from_u64(value)))
                .collect(),
        };
        let merged = merge(vec![
            claim(5, &[(2, 20), (1, 10)]),
            claim(5, &[(1, 11)]),
            claim(3, &[(1, 12)]),
            claim(5, &[(0, 1), (2, 21), (3, 30)]),
        ]);
        let kept = merged.claims.iter().map(|claim| {
            let columns = claim.columns.iter();
            let columns = columns.map(|&(id, value)| (id.column, value));
            (claim.at.clone(), columns.collect::<Vec<_>>())
        });
        let value = E::from_u64;
        assert_eq!(
            kept.collect::<Vec<_>>(),
            [
                (at(5), vec![(2, value(20)), (1, value(10))]),
                (at(3), vec![(1, value(12))]),
                (at(5), vec![(0, value(1)), (3, value(30))]),
            ]
        );
        let equal = [(value(10), value(11)), (value(20), value(21))];
        assert_eq!(merged.equal, equal);
    }
}
