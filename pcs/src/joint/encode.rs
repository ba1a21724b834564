//! Words of Reed-Solomon codes: the rows of a matrix are the coefficients of polynomials, one a column, and
//! the rows of the word their values at all points of a subgroup.
//!
//! With `s^2 = t`, `P mod (X^2m - t)` has the remainders `low + s high` and `low - s high` modulo `X^m - s` and
//! `X^m + s`, where `P mod (X^2m - t) = low + X^m high`. Block `b` of `2^l` blocks of a word is a remainder
//! modulo `X^m - t_b`; beginning with `X^n - 1`, and with the two remainders of a block beside each other,
//!
//! ```text
//! s_b = w_(l+1)^rev_l(b),     t_b = s_(b/2) if b is even, -s_(b/2) if it is odd
//! ```
//!
//! with `w_k` the generator of the subgroup of order `2^k` and `rev_l` the reversal of `l` bits. So `s_b` does not
//! depend on `l`, one table serves all layers, and the last row `j` is the value at `w_k^rev_k(j)`
//! ([`Code::exponent`]). Nothing is permuted.
//!
//! Three layers of a block are one pass. With `s` that of its first grandchild `4b`, the eighth `i` is multiplied
//! by `s^i`, and what remains is the block `b = 0`, whose roots are powers of 2: `w_2 = 2^48` and
//! `w_3 = 2^120`, of order 192.
//!
//! A message fills a part of a word only. The first layers, in which all `high` are zero, copy it: the first pass
//! makes all blocks that begin with it, and widens it on the way.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::parameters::Code;
use p3_field::TwoAdicField;
use p3_matrix::dense::RowMajorMatrix;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use zkstrata_mle::{Algebra, F, PackedF, PackedValue, PrimeCharacteristicRing};

/// Cells of each part of a block that are widened before the parts are combined: those of eight parts stay in
/// the first-level cache.
const WIDENED: usize = 1 << 8;

/// Cells of each part of a block that a task combines.
const TASK: usize = 1 << 12;

/// Cells of a block that one thread encodes: a part of the second-level cache.
const SERIAL: usize = 1 << 16;

/// `log2` of the largest number of parts that are combined at once.
const MOST: usize = 3;

/// How many of so many layers the next pass takes: three, but two first where that does not come out even.
fn layers(left: usize) -> usize {
    if left.is_multiple_of(MOST) {
        MOST.min(left)
    } else {
        2.min(left)
    }
}

/// The word of a message of rows of `width` cells, which `read` reads from a cell on: it overwrites all that it is
/// given.
pub(super) fn encode(
    code: Code,
    width: usize,
    read: impl Fn(usize, &mut [F]) + Sync,
) -> RowMajorMatrix<F> {
    let log_message = code.rows.next_power_of_two().ilog2() as usize;
    assert!(log_message <= code.log_points, "no more rows than points");
    let mut word = F::zero_vec(width << code.log_points);
    let roots = roots(code.log_points);
    let log_parts = layers(log_message);
    let message = Message {
        read,
        cells: code.rows * width,
        part: width << (log_message - log_parts),
    };
    match log_parts {
        0 => message.first::<1>(&mut word, &roots),
        1 => message.first::<2>(&mut word, &roots),
        2 => message.first::<4>(&mut word, &roots),
        _ => message.first::<8>(&mut word, &roots),
    }
    let blocks = word.par_chunks_mut(message.part).enumerate();
    blocks.for_each(|(b, block)| rest(block, width, b, &roots));
    RowMajorMatrix::new(word, width)
}

/// The roots of as many blocks as any word has had: those of a shorter word are the first ones.
static ROOTS: LazyLock<RwLock<Arc<Vec<F>>>> = LazyLock::new(|| RwLock::new(Arc::new(vec![F::ONE])));

/// The roots `s_b` of all blocks that a word on so many points has, and more.
fn roots(log_points: usize) -> Arc<Vec<F>> {
    let enough = 1 << log_points.saturating_sub(1);
    let known = Arc::clone(&ROOTS.read().unwrap_or_else(PoisonError::into_inner));
    if known.len() >= enough {
        return known;
    }
    let mut roots = Vec::with_capacity(enough);
    roots.extend_from_slice(&known);
    while roots.len() < enough {
        let half = roots.len();
        let generator = F::two_adic_generator(half.ilog2() as usize + 2);
        roots.extend_from_within(..);
        for root in &mut roots[half..] {
            *root *= generator;
        }
    }
    let roots = Arc::new(roots);
    let mut known = ROOTS.write().unwrap_or_else(PoisonError::into_inner);
    if known.len() < enough {
        *known = Arc::clone(&roots);
    }
    roots
}

/// The powers by which the parts of block `b` are multiplied, unless all are one.
fn powers<const N: usize>(b: usize, roots: &[F]) -> Option<[F; N]> {
    let mut powers = [F::ONE; N];
    for i in 1..N {
        // The root of the first of N / 2 descendants, its square, which is that of their parent, and so on.
        let bit = 1 << i.ilog2();
        powers[i] = if i == bit {
            roots[b * (N / 2 / bit)]
        } else {
            powers[bit] * powers[i - bit]
        };
    }
    (b > 0).then_some(powers)
}

/// `w_3 = 2^120`.
const EIGHTH: F = F::new(0xffff_fffe_ff00_0001);

/// `low + s high` and `low - s high`, with `s` that of one of the first four blocks.
#[inline(always)]
fn remainders<R: Algebra<F> + Copy>(low: R, high: R, block: usize) -> [R; 2] {
    match block {
        0 => [low + high, low - high],
        1 => {
            // 2^48 = -2^-48
            let high = high.div_2exp_u64(16).div_2exp_u64(32);
            [low - high, low + high]
        }
        2 => {
            let high = high * EIGHTH;
            [low + high, low - high]
        }
        _ => {
            // 2^(3 120) = 2^-24
            let high = high.div_2exp_u64(24);
            [low + high, low - high]
        }
    }
}

/// The remainders of the first block, whose parts these are.
#[inline(always)]
fn of_first<R: Algebra<F> + Copy, const N: usize>(mut parts: [R; N]) -> [R; N] {
    let mut half = N / 2;
    while half > 0 {
        for block in 0..N / (2 * half) {
            let begin = 2 * half * block;
            for low in begin..begin + half {
                let [a, b] = remainders(parts[low], parts[low + half], block);
                (parts[low], parts[low + half]) = (a, b);
            }
        }
        half /= 2;
    }
    parts
}

/// Those of a block whose parts are multiplied by these powers.
#[inline(always)]
fn of_any<R: Algebra<F> + Copy, const N: usize>(mut parts: [R; N], powers: &[R; N]) -> [R; N] {
    for i in 1..N {
        parts[i] *= powers[i];
    }
    of_first(parts)
}

/// Puts the remainders of a block in the place of its parts.
fn combine<const N: usize>(parts: [&mut [F]; N], powers: Option<&[F; N]>) {
    let mut parts = parts.map(PackedF::pack_slice_with_suffix_mut);
    let mut registers = parts.each_mut().map(|(registers, _)| &mut **registers);
    if let Some(powers) = powers {
        let packed = powers.map(PackedF::from);
        for_each(&mut registers, |parts| of_any(parts, &packed));
        let mut rest = parts.map(|(_, rest)| rest);
        for_each(&mut rest, |parts| of_any(parts, powers));
    } else {
        for_each(&mut registers, of_first);
        for_each(&mut parts.map(|(_, rest)| rest), of_first);
    }
}

/// Takes cells at one place of all parts to others. Arrays that are mapped would be handed about in memory.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn for_each<R: Copy, const N: usize>(parts: &mut [&mut [R]; N], f: impl Fn([R; N]) -> [R; N]) {
    for i in 0..parts[0].len() {
        let mut cells = [parts[0][i]; N];
        for k in 1..N {
            cells[k] = parts[k][i];
        }
        cells = f(cells);
        for k in 0..N {
            parts[k][i] = cells[k];
        }
    }
}

/// What is encoded.
struct Message<R> {
    read: R,
    /// Its length.
    cells: usize,
    /// Cells of each of the parts that the first pass combines.
    part: usize,
}

impl<R: Fn(usize, &mut [F]) + Sync> Message<R> {
    /// The first pass.
    fn first<const N: usize>(&self, word: &mut [F], roots: &[F]) {
        let tasks = tasks(word, self.part);
        tasks.into_par_iter().for_each(|(at, mut parts)| {
            let (blocks, _) = parts.as_chunks_mut::<N>();
            let len = blocks[0][0].len();
            for begin in (0..len).step_by(WIDENED) {
                let cells = begin..len.min(begin + WIDENED);
                self.first_cells(at + begin, cells, blocks, roots);
            }
        });
    }

    /// The first pass over some cells of every part, the first of which is cell `at` of its part.
    fn first_cells<const N: usize>(
        &self,
        at: usize,
        cells: Range<usize>,
        blocks: &mut [[&mut [F]; N]],
        roots: &[F],
    ) {
        let (first, others) = blocks.split_first_mut().expect("a word has a block");
        for (i, part) in first.iter_mut().enumerate() {
            let own = &mut part[cells.clone()];
            let from = i * self.part + at;
            let live = self.cells.saturating_sub(from).min(own.len());
            let (live, _) = own.split_at_mut(live);
            if !live.is_empty() {
                (self.read)(from, live);
            }
        }
        for (b, block) in (1..).zip(others) {
            for (part, first) in block.iter_mut().zip(&*first) {
                part[cells.clone()].copy_from_slice(&first[cells.clone()]);
            }
            let parts = block.each_mut().map(|part| &mut part[cells.clone()]);
            combine(parts, powers(b, roots).as_ref());
        }
        combine(first.each_mut().map(|part| &mut part[cells.clone()]), None);
    }
}

/// The cells of some tasks: the first one, and as many of every part from there on.
fn tasks(block: &mut [F], part: usize) -> Vec<(usize, Vec<&mut [F]>)> {
    let mut parts: Vec<_> = block
        .chunks_mut(part)
        .map(|part| part.chunks_mut(TASK))
        .collect();
    let starts = (0..part).step_by(TASK);
    starts
        .map(|at| (at, parts.iter_mut().filter_map(Iterator::next).collect()))
        .collect()
}

/// The passes that are left, over a block of rows.
fn rest(block: &mut [F], width: usize, b: usize, roots: &[F]) {
    match layers((block.len() / width).ilog2() as usize) {
        0 => {}
        1 => pass::<2>(block, width, b, roots),
        2 => pass::<4>(block, width, b, roots),
        _ => pass::<8>(block, width, b, roots),
    }
}

/// One of them, and those of the `N` blocks that it leaves.
fn pass<const N: usize>(block: &mut [F], width: usize, b: usize, roots: &[F]) {
    let powers = powers::<N>(b, roots);
    let part = block.len() / N;
    if block.len() > SERIAL {
        tasks(block, part).into_par_iter().for_each(|(_, parts)| {
            let parts: [&mut [F]; N] = parts.try_into().expect("as many parts");
            combine(parts, powers.as_ref());
        });
        let blocks = block.par_chunks_mut(part).enumerate();
        blocks.for_each(|(i, part)| rest(part, width, N * b + i, roots));
    } else {
        let mut parts = block.chunks_mut(part);
        let parts = std::array::from_fn(|_| parts.next().expect("as many parts"));
        combine(parts, powers.as_ref());
        if part > width {
            let blocks = block.chunks_mut(part).enumerate();
            blocks.for_each(|(i, part)| rest(part, width, N * b + i, roots));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::joint::dft::dft;
    use crate::joint::weights::points;
    use p3_dft::TwoAdicSubgroupDft;

    /// Cells that are as large as they come, and small ones.
    fn message(cells: usize) -> Vec<F> {
        let mut x = F::NEG_ONE;
        let next = |i| {
            x = x * x + F::from_usize(i);
            if i % 3 == 0 {
                F::from_i16(7 - (i % 1000) as i16)
            } else {
                x
            }
        };
        (0..cells).map(next).collect()
    }

    fn word(code: Code, width: usize, message: &[F]) -> RowMajorMatrix<F> {
        encode(code, width, |at, out| {
            out.copy_from_slice(&message[at..][..out.len()]);
        })
    }

    /// Every number of layers, of rows that fill a power of two or not, at every rate, of widths that do not
    /// fill registers; and one that several tasks and threads share.
    #[test]
    fn words_are_values_of_polynomials() {
        let mut cases = vec![(17, 300, 13), (48, 2000, 12), (1, 1 << 17, 17)];
        for log_points in 0..8 {
            for rows in [1, 2, 3, 5, 8, 13, 16, 33, 64, 65, 128] {
                if rows <= 1 << log_points {
                    cases.extend([1, 2, 8, 11].map(|width| (width, rows, log_points)));
                }
            }
        }
        for (width, rows, log_points) in cases {
            let code = Code {
                fold: 0,
                rows,
                log_points,
            };
            let message = message(rows * width);
            let word = word(code, width, &message);
            let mut padded = message;
            padded.resize(width << log_points, F::ZERO);
            let expected = dft().dft_batch(RowMajorMatrix::new(padded, width));
            assert_eq!(word.width, width);
            for (j, row) in word.values.chunks(width).enumerate() {
                let at = code.exponent(j) * width;
                assert_eq!(row, &expected.values[at..][..width], "{width} {rows} {j}");
            }
        }
    }

    #[test]
    fn rows_are_values_at_the_points() {
        let code = Code {
            fold: 0,
            rows: 11,
            log_points: 5,
        };
        let message = message(22);
        let word = word(code, 2, &message);
        let all: Vec<usize> = (0..32).collect();
        for (row, x) in word.values.chunks(2).zip(points(code, &all)) {
            for (column, &value) in row.iter().enumerate() {
                let cells = message.iter().skip(column).step_by(2);
                let expected: F = cells.zip(x.powers()).map(|(&c, x)| c * x).sum();
                assert_eq!(value, expected);
            }
        }
    }
}
