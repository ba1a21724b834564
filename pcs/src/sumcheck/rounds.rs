//! The prover's arithmetic: round polynomials of a product and the binding of a variable.
//!
//! For factors `f_k` with halves `l_k = f_k(0, .)`, `h_k = f_k(1, .)` and `d_k = h_k - l_k`,
//!
//! ```text
//! s(X) = sum_i prod_k (l_k + X d_k)[i],   s_0 = sum prod l_k,   s_top = sum prod d_k,
//! ```
//!
//! and a cubic needs `s(-1) = sum prod (l_k - d_k)` as well; the rest follows from
//! `s(0) + s(1) = claim`. Binding replaces `f_k` by `l_k + r d_k`. Tables are packed, one lane for
//! each of consecutive indices, until they are short. After the first round a variable is bound
//! and the next polynomial summed in one pass, block by block, so that a table is read once a
//! round; tables shrink in place.
#![cfg(feature = "prover")]

use super::{Factor, Instance};
use p3_field::{Algebra, ExtensionField, PackedFieldExtension, PackedValue};
use rayon::prelude::*;
use zkstrata_mle::{E, F, Field, PrimeCharacteristicRing};

type PackedF = <F as Field>::Packing;
type PackedE = <E as ExtensionField<F>>::ExtensionPacking;

/// Packed elements in a block: one task, and small enough for the second-level cache.
const BLOCK: usize = 256;

/// Packed elements below which a table is unpacked.
const SHORT: usize = 8;

/// `(s_0, s_top, s(-1))`, as far as the degree needs them.
type Sums<X> = [X; 3];

/// An instance on its way through the rounds.
pub(super) struct Rounds<'a> {
    degree: usize,
    tables: Tables<'a>,
    /// Which factor is the last table; the others keep their order.
    last: usize,
    /// The sums of the next round, if binding has computed them already.
    sums: Option<Sums<E>>,
}

enum Tables<'a> {
    /// The first round: the last factor may be in `F` still.
    First(Vec<Vec<PackedE>>, &'a [PackedF]),
    Packed(Vec<Vec<PackedE>>),
    Scalar(Vec<Vec<E>>),
}

impl<'a> Rounds<'a> {
    pub(super) fn new(instance: Instance<'a>) -> Self {
        let degree = instance.factors.len();
        assert!((1..=3).contains(&degree), "an instance has 1 to 3 factors");
        let len = instance.factors[0].len();
        assert!(
            instance.factors.iter().all(|factor| factor.len() == len),
            "the factors of an instance have one length"
        );
        let mut last = degree - 1;
        let tables = if len < SHORT * PackedF::WIDTH {
            Tables::Scalar(instance.factors.into_iter().map(lift).collect())
        } else {
            let mut base = None;
            let mut ext = Vec::with_capacity(degree);
            for (k, factor) in instance.factors.into_iter().enumerate() {
                match factor {
                    Factor::Base(values) if base.is_none() => {
                        base = Some(PackedF::pack_slice(values));
                        last = k;
                    }
                    factor => ext.push(pack(&lift(factor))),
                }
            }
            match base {
                Some(base) => Tables::First(ext, base),
                None => Tables::Packed(ext),
            }
        };
        Self {
            degree,
            tables,
            last,
            sums: None,
        }
    }

    /// The coefficients of the round polynomial, given what it sums to.
    pub(super) fn polynomial(&mut self, claim: E) -> [E; 4] {
        let sums = self.sums.take().unwrap_or_else(|| match &self.tables {
            Tables::First(ext, base) => lanes(&sum_halves(ext, base)),
            Tables::Packed(tables) => {
                let (last, rest) = tables.split_last().expect("1 to 3 factors");
                lanes(&sum_halves(rest, last))
            }
            Tables::Scalar(tables) => {
                let (last, rest) = tables.split_last().expect("1 to 3 factors");
                sum_halves(rest, last)
            }
        });
        let [s0, top, minus] = sums;
        match self.degree {
            1 => [s0, claim - s0.double(), E::ZERO, E::ZERO],
            2 => [s0, claim - s0.double() - top, top, E::ZERO],
            _ => {
                let s2 = (claim - s0 + minus).halve() - s0;
                [s0, claim - s0.double() - s2 - top, s2, top]
            }
        }
    }

    /// Binds the first variable to `r`.
    pub(super) fn bind(&mut self, r: E) {
        let tables = std::mem::replace(&mut self.tables, Tables::Scalar(vec![]));
        let tables = match tables {
            Tables::First(mut ext, base) => {
                let packed = PackedE::from(r);
                ext.par_iter_mut()
                    .for_each(|table| bind_alone(table, packed));
                ext.push(bind_base(base, packed));
                Tables::Packed(ext)
            }
            Tables::Packed(mut tables) => {
                self.sums = Some(lanes(&bind_and_sum(&mut tables, PackedE::from(r))));
                Tables::Packed(tables)
            }
            Tables::Scalar(mut tables) => {
                if tables[0].len() >= 4 {
                    self.sums = Some(bind_and_sum(&mut tables, r));
                } else {
                    for table in &mut tables {
                        bind_alone(table, r);
                    }
                }
                Tables::Scalar(tables)
            }
        };
        self.tables = match tables {
            Tables::Packed(tables) if tables[0].len() < SHORT => {
                Tables::Scalar(tables.iter().map(|table| unpack(table)).collect())
            }
            tables => tables,
        };
    }

    /// The values of the factors when every variable is bound.
    pub(super) fn ends(self) -> Vec<E> {
        let Tables::Scalar(mut tables) = self.tables else {
            unreachable!("short tables are scalar")
        };
        let last = tables.pop().expect("1 to 3 factors");
        tables.insert(self.last, last);
        tables.iter().map(|table| table[0]).collect()
    }
}

/// The halves of one factor, or blocks of them.
type Halves<'t, X> = (&'t [X], &'t [X]);

fn lift(factor: Factor<'_>) -> Vec<E> {
    match factor {
        Factor::Base(values) => values.iter().map(|&value| E::from(value)).collect(),
        Factor::Ext(values) => values,
    }
}

fn pack(values: &[E]) -> Vec<PackedE> {
    values
        .par_chunks_exact(PackedF::WIDTH)
        .with_min_len(BLOCK)
        .map(PackedE::from_ext_slice)
        .collect()
}

fn unpack(packed: &[PackedE]) -> Vec<E> {
    let mut values = vec![E::ZERO; packed.len() * PackedF::WIDTH];
    for (lanes, value) in values.chunks_exact_mut(PackedF::WIDTH).zip(packed) {
        value.to_ext_slice(lanes);
    }
    values
}

fn lanes(sums: &Sums<PackedE>) -> Sums<E> {
    sums.each_ref()
        .map(|sum| (0..PackedF::WIDTH).map(|lane| sum.extract(lane)).sum())
}

fn add<X: PrimeCharacteristicRing>(a: Sums<X>, b: Sums<X>) -> Sums<X> {
    let ([a0, a1, a2], [b0, b1, b2]) = (a, b);
    [a0 + b0, a1 + b1, a2 + b2]
}

fn zero<X: PrimeCharacteristicRing>() -> Sums<X> {
    [X::ZERO, X::ZERO, X::ZERO]
}

/// The sums over a block. Products of all factors but the last are in `X`, the last in `B`.
fn sum_block<X, B>(rest: &[Halves<'_, X>], last: Halves<'_, B>) -> Sums<X>
where
    X: Algebra<B> + Copy,
    B: PrimeCharacteristicRing + Copy,
{
    let [mut s0, mut top, mut minus] = zero();
    let pairs = last.0.iter().zip(last.1);
    match rest {
        [] => {
            for &low in last.0 {
                s0 += low;
            }
        }
        [a] => {
            for ((&b0, &b1), (&a0, &a1)) in pairs.zip(a.0.iter().zip(a.1)) {
                s0 += a0 * b0;
                top += (a1 - a0) * (b1 - b0);
            }
        }
        [a, b] => {
            let rest = a.0.iter().zip(a.1).zip(b.0.iter().zip(b.1));
            for ((&c0, &c1), ((&a0, &a1), (&b0, &b1))) in pairs.zip(rest) {
                let (da, db, dc) = (a1 - a0, b1 - b0, c1 - c0);
                s0 += a0 * b0 * c0;
                top += da * db * dc;
                minus += (a0 - da) * (b0 - db) * (c0 - dc);
            }
        }
        _ => unreachable!("1 to 3 factors"),
    }
    [s0, top, minus]
}

/// The sums over whole tables.
fn sum_halves<X, B>(rest: &[Vec<X>], last: &[B]) -> Sums<X>
where
    X: Algebra<B> + Copy + Send + Sync,
    B: PrimeCharacteristicRing + Copy + Send + Sync,
{
    let half = last.len() / 2;
    let rest: Vec<Halves<'_, X>> = rest.iter().map(|table| table.split_at(half)).collect();
    let (low, high) = last.split_at(half);
    let block = |k: usize| {
        let range = k * BLOCK..half.min((k + 1) * BLOCK);
        let mut blocks = [(&[][..], &[][..]); 2];
        for (block, &(low, high)) in blocks.iter_mut().zip(&rest) {
            *block = (&low[range.clone()], &high[range.clone()]);
        }
        sum_block(&blocks[..rest.len()], (&low[range.clone()], &high[range]))
    };
    match half.div_ceil(BLOCK) {
        1 => block(0),
        blocks => (0..blocks).into_par_iter().map(block).reduce(zero, add),
    }
}

/// Binds the first variable of tables of 4 elements at least and sums what is left.
///
/// With quarters `q_0 .. q_3` of a table, its halves afterwards are `q_0 + r (q_2 - q_0)` and
/// `q_1 + r (q_3 - q_1)`.
fn bind_and_sum<X>(tables: &mut [Vec<X>], r: X) -> Sums<X>
where
    X: Algebra<X> + Copy + Send + Sync,
{
    let quarter = tables[0].len() / 4;
    let count = quarter.div_ceil(BLOCK);
    let mut tasks: Vec<Vec<[Bindable<'_, X>; 2]>> = (0..count)
        .map(|_| Vec::with_capacity(tables.len()))
        .collect();
    for table in tables.iter_mut() {
        let (low, high) = table.split_at_mut(2 * quarter);
        let (q0, q1) = low.split_at_mut(quarter);
        let (q2, q3) = high.split_at(quarter);
        let pairs = [(q0, q2), (q1, q3)].map(|(a, b)| a.chunks_mut(BLOCK).zip(b.chunks(BLOCK)));
        let [even, odd] = pairs;
        for (task, (even, odd)) in tasks.iter_mut().zip(even.zip(odd)) {
            task.push([even, odd]);
        }
    }
    let run = |task: &mut Vec<[Bindable<'_, X>; 2]>| {
        for (low, high) in task.iter_mut().flatten() {
            bind_block(low, high, r);
        }
        let mut blocks = [(&[][..], &[][..]); 3];
        for (block, [even, odd]) in blocks.iter_mut().zip(task.iter()) {
            *block = (&*even.0, &*odd.0);
        }
        let last = task.len() - 1;
        sum_block(&blocks[..last], blocks[last])
    };
    let sums = match &mut tasks[..] {
        [task] => run(task),
        tasks => tasks.par_iter_mut().map(run).reduce(zero, add),
    };
    drop(tasks);
    for table in tables {
        table.truncate(2 * quarter);
    }
    sums
}

/// A block of a table that binding overwrites, and the block it is bound with.
type Bindable<'t, X> = (&'t mut [X], &'t [X]);

fn bind_block<X: PrimeCharacteristicRing + Copy>(low: &mut [X], high: &[X], r: X) {
    for (low, &high) in low.iter_mut().zip(high) {
        *low += r * (high - *low);
    }
}

fn bind_alone<X: PrimeCharacteristicRing + Copy + Send + Sync>(table: &mut Vec<X>, r: X) {
    let half = table.len() / 2;
    let (low, high) = table.split_at_mut(half);
    low.par_chunks_mut(BLOCK)
        .zip(high.par_chunks(BLOCK))
        .for_each(|(low, high)| bind_block(low, high, r));
    table.truncate(half);
}

fn bind_base(table: &[PackedF], r: PackedE) -> Vec<PackedE> {
    let (low, high) = table.split_at(table.len() / 2);
    low.par_iter()
        .zip(high)
        .with_min_len(BLOCK)
        .map(|(&low, &high)| r * (high - low) + low)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Factor, Instance, InstanceShape, prove, verify};
    use crate::{ProverTape, VerifierTape};
    use zkstrata_mle::{E, F, PrimeCharacteristicRing};

    fn values(seed: u64, n: usize) -> Vec<E> {
        let mut x = E::from_u64(seed + 0x9e37_79b9_7f4a_7c15);
        (0..n)
            .map(|_| {
                x = x * x + E::from_u64(seed);
                x
            })
            .collect()
    }

    fn evaluate(values: &[E], point: &[E]) -> E {
        zkstrata_mle::eq_table(point, values.len(), E::ONE)
            .into_iter()
            .zip(values)
            .map(|(eq, &v)| eq * v)
            .sum()
    }

    /// Tables of the given sizes; every third one is in the base field.
    fn check(shapes: &[(usize, usize)], false_by: E) -> bool {
        let bases: Vec<Vec<F>> = (0..20)
            .map(|k| {
                let n = shapes.iter().map(|s| s.0).max().unwrap_or(0);
                (0..1u64 << n).map(|i| F::from_u64(i * i + 7 * k)).collect()
            })
            .collect();
        let mut seed = 0;
        let instances: Vec<Instance<'_>> = shapes
            .iter()
            .map(|&(n, d)| Instance {
                factors: (0..d)
                    .map(|_| {
                        seed += 1;
                        if seed % 3 == 0 {
                            Factor::Base(&bases[seed][..1 << n])
                        } else {
                            Factor::Ext(values(seed as u64, 1 << n))
                        }
                    })
                    .collect(),
            })
            .collect();
        let tables: Vec<Vec<Vec<E>>> = instances
            .iter()
            .map(|i| i.factors.iter().cloned().map(super::lift).collect())
            .collect();
        let mut claims: Vec<E> = tables
            .iter()
            .map(|factors| {
                (0..factors[0].len())
                    .map(|i| factors.iter().map(|f| f[i]).product::<E>())
                    .sum()
            })
            .collect();
        if let Some(claim) = claims.last_mut() {
            *claim += false_by;
        }
        let shapes: Vec<InstanceShape> = instances.iter().map(Instance::shape).collect();
        let mut tape = ProverTape::new(&[0; 32]);
        let bound = prove(instances, &claims, &mut tape);
        let bytes = tape.finish();
        for (l, factors) in tables.iter().enumerate() {
            let point = bound.tail(shapes[l].num_vars);
            for (k, factor) in factors.iter().enumerate() {
                assert_eq!(bound.ends[l][k], evaluate(factor, &point));
            }
        }
        let mut tape = VerifierTape::new(&[0; 32], &bytes);
        let reduced = verify(&shapes, &claims, &mut tape).expect("the tape has the shape");
        tape.finish().expect("the tape is read");
        assert_eq!(reduced.point, bound.point);
        let end: E = bound
            .ends
            .iter()
            .zip(&reduced.gammas)
            .map(|(ends, &gamma)| gamma * ends.iter().copied().product::<E>())
            .sum();
        end == reduced.value
    }

    #[test]
    fn every_degree_and_size() {
        for degree in 1..=3 {
            for n in 0..=9 {
                assert!(check(&[(n, degree)], E::ZERO), "n {n} degree {degree}");
                assert!(!check(&[(n, degree)], E::ONE), "n {n} degree {degree}");
            }
        }
    }

    #[test]
    fn instances_of_different_sizes() {
        let shapes = [(3, 1), (12, 2), (0, 3), (12, 3), (7, 2), (0, 1)];
        assert!(check(&shapes, E::ZERO));
        assert!(!check(&shapes, E::ONE));
        assert!(check(&[], E::ZERO));
    }

    #[test]
    fn many_blocks() {
        assert!(check(&[(15, 3), (14, 2)], E::ZERO));
    }

    #[test]
    fn the_number_of_claims_is_checked() {
        let shape = InstanceShape {
            num_vars: 0,
            degree: 1,
        };
        let mut tape = VerifierTape::new(&[0; 32], &[]);
        assert!(verify(&[shape], &[], &mut tape).is_err());
    }
}
