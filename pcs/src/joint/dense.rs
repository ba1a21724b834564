//! The prover's weights, written out.

use super::layout::Part;
use super::parameters::Code;
use super::weights::{Queried, row_sum, split};
use super::{Layout, Term};
use p3_dft::TwoAdicSubgroupDft;
use p3_matrix::dense::RowMajorMatrix;
use rayon::prelude::*;
use zkstrata_mle::{
    BasedVectorSpace, E, F, PackedF, PackedValue, PrimeCharacteristicRing, eq_eval, eq_table,
};

/// Rows of a task.
const BLOCK: usize = 256;

/// Registers of a task.
const REGISTERS: usize = BLOCK / PackedF::WIDTH;

/// Queries whose products are reduced together: the most that a register's dot product takes at
/// once.
const GROUP: usize = 6;

/// Adds a source's terms of the relation to the weights of its folded rows, where `rho` are the
/// challenges of its own column variables.
pub(super) fn add_claims(
    part: &Part,
    layout: &Layout,
    terms: &[Term],
    rho: &[E],
    weights: &mut [E],
) {
    let mut of_slot: Vec<(usize, usize, Vec<&Term>)> = vec![];
    let mut sorted: Vec<&Term> = terms.iter().collect();
    sorted.sort_by_key(|term| term.column());
    for terms in sorted.chunk_by(|a, b| a.column() == b.column()) {
        let slot = layout.slot(terms[0].column());
        let slot = slot.expect("terms have been checked");
        of_slot.push((slot.first, slot.rows, terms.to_vec()));
    }
    let mut rest = weights;
    let mut at = 0;
    let tasks: Vec<(&mut [E], Vec<&Term>)> = of_slot
        .into_iter()
        .map(|(first, rows, terms)| {
            let all = std::mem::take(&mut rest);
            let (_, all) = all.split_at_mut(first - at);
            let (own, after) = all.split_at_mut(rows);
            rest = after;
            at = first + rows;
            (own, terms)
        })
        .collect();
    tasks.into_par_iter().for_each(|(own, terms)| {
        for term in terms {
            let weights = match term {
                Term::Column { point, coef, .. } => {
                    let (high, low) = split(point, part.code.fold);
                    eq_table(high, own.len(), *coef * eq_eval(&low, rho))
                }
                Term::Cells { coefs, .. } => {
                    let eq = eq_table(rho, part.code.width(), E::ONE);
                    let rows = coefs.chunks(eq.len());
                    rows.map(|row| row_sum(row, &eq)).collect()
                }
            };
            own.iter_mut().zip(weights).for_each(|(own, w)| *own += w);
        }
    });
}

/// Adds `sum_k coefs_k points_k^R` to the weight of every row `R` of a word.
pub(super) fn add_powers(code: Code, positions: &[usize], queried: &Queried, weights: &mut [E]) {
    let rows = weights.len();
    let products = 2 * queried.points.len() * rows;
    let butterflies = log_transform(code, positions.len()) << code.log_points;
    // Measured: a butterfly takes as long as two products that are reduced with others.
    if products < 2 * butterflies {
        add_products(queried, weights);
    } else {
        add_transform(code, positions, queried, weights);
    }
}

/// The sums themselves, block by block: `x^(R_0 + i) = x^R_0 x^i`.
fn add_products(queried: &Queried, weights: &mut [E]) {
    let groups = queried.points.len().div_ceil(GROUP);
    let mut tables = vec![[[PackedF::ZERO; GROUP]; REGISTERS]; groups];
    tables.par_iter_mut().enumerate().for_each(|(g, table)| {
        for (k, &x) in queried.points[g * GROUP..].iter().take(GROUP).enumerate() {
            let mut powers = x.powers();
            for register in table.iter_mut() {
                register[k] = PackedF::from_fn(|_| powers.next().expect("powers never end"));
            }
        }
    });
    weights
        .par_chunks_mut(BLOCK)
        .enumerate()
        .for_each(|(b, weights)| {
            let mut sums = [[PackedF::ZERO; 2]; REGISTERS];
            let first = (b * BLOCK) as u64;
            for (g, table) in tables.iter().enumerate() {
                let mut factors = [[PackedF::ZERO; GROUP]; 2];
                let points = queried.points[g * GROUP..].iter();
                let coefs = &queried.coefs[g * GROUP..];
                for (k, (&x, &coef)) in points.zip(coefs).take(GROUP).enumerate() {
                    let coef = coef * x.exp_u64(first);
                    let c: &[F] = coef.as_basis_coefficients_slice();
                    factors[0][k] = PackedF::from(c[0]);
                    factors[1][k] = PackedF::from(c[1]);
                }
                for (sums, powers) in sums.iter_mut().zip(table) {
                    for (sum, factors) in sums.iter_mut().zip(&factors) {
                        *sum += PackedF::dot_product(powers, factors);
                    }
                }
            }
            for (weights, [c0, c1]) in weights.chunks_mut(PackedF::WIDTH).zip(&sums) {
                let sums = c0.as_slice().iter().zip(c1.as_slice());
                for (weight, (&c0, &c1)) in weights.iter_mut().zip(sums) {
                    *weight += super::element(c0, c1);
                }
            }
        });
}

/// `log2` of the length of the transforms for so many queries: some times as many.
fn log_transform(code: Code, queries: usize) -> usize {
    let log_queries = (usize::BITS - queries.leading_zeros()) as usize;
    code.log_points.min(log_queries + 1)
}

/// The points are powers `g^i` of the domain's generator. With `R = R_0 m + R_1`, `R_1 < m`,
///
/// ```text
/// sum_k c_k g^(i_k R) = sum_k (c_k g^(i_k R_1)) (g^m)^(i_k R_0)
/// ```
///
/// and `g^m` has the order `n / m`: for each `R_1` a transform of that length, whose coefficient
/// `j` is the sum of `c_k g^(i_k R_1)` over the `i_k = j` modulo `n / m`. They are the columns of
/// one matrix.
fn add_transform(code: Code, positions: &[usize], queried: &Queried, weights: &mut [E]) {
    let log_length = log_transform(code, positions.len());
    let columns = 1 << (code.log_points - log_length);
    let mut sparse = F::zero_vec(2 << code.log_points);
    let queries = queried.points.iter().zip(&queried.coefs);
    for (&position, (x, coef)) in positions.iter().zip(queries) {
        let j = code.exponent(position) & ((1 << log_length) - 1);
        let c: &[F] = coef.as_basis_coefficients_slice();
        let (row0, row1) = sparse[2 * j * columns..][..2 * columns].split_at_mut(columns);
        for ((row0, row1), power) in row0.iter_mut().zip(row1).zip(x.powers()) {
            *row0 += c[0] * power;
            *row1 += c[1] * power;
        }
    }
    let sums = super::dft::dft().dft_batch(RowMajorMatrix::new(sparse, 2 * columns));
    weights
        .par_chunks_mut(columns)
        .zip(sums.values.par_chunks(2 * columns))
        .with_min_len(BLOCK.div_ceil(columns))
        .for_each(|(weights, sums)| {
            let (c0, c1) = sums.split_at(columns);
            for (weight, (&c0, &c1)) in weights.iter_mut().zip(c0.iter().zip(c1)) {
                *weight += super::element(c0, c1);
            }
        });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::joint::weights::points;

    #[test]
    fn both_ways_to_sum_powers_match_a_loop() {
        for (rows, log_points, positions) in [
            (1, 0, vec![0]),
            (5, 3, vec![0, 3, 4, 6, 7]),
            (300, 9, vec![1, 2, 77, 511]),
            (1025, 11, (0..90).map(|k| k * k % 2048).collect()),
        ] {
            let code = Code {
                fold: 0,
                rows,
                log_points,
            };
            let queried = Queried {
                points: points(code, &positions),
                coefs: E::from_u64(1 << 40)
                    .powers()
                    .skip(1)
                    .take(positions.len())
                    .map(|x| x * x + E::ONE)
                    .collect(),
            };
            let expected: Vec<E> = (0..rows)
                .map(|row| {
                    let terms = queried.points.iter().zip(&queried.coefs);
                    terms.map(|(x, &coef)| coef * x.exp_u64(row as u64)).sum()
                })
                .collect();
            let (mut a, mut b) = (vec![E::ZERO; rows], vec![E::ZERO; rows]);
            add_products(&queried, &mut a);
            assert_eq!(a, expected);
            // Equal positions would fall together.
            let mut distinct = positions.clone();
            distinct.sort_unstable();
            distinct.dedup();
            if distinct.len() == positions.len() {
                add_transform(code, &positions, &queried, &mut b);
                assert_eq!(b, expected);
            }
        }
    }
}
