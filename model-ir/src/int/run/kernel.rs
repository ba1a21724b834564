//! The inner kernel: `T[m, n] = sum_d A[m, d] B[d, n]` on a tile of [`ROWS`] by `COLS`.
//!
//! The depth is cut into *pairs* of `PAIR` neighbours. `A` is a panel `[d][ROWS][PAIR]`; `B` is
//! found through an offset per pair, `[COLS][PAIR]` consecutive cells each, so that the same
//! kernel reads a packed matrix and, in a convolution, the shifted planes of the input.
//!
//! | lane | sum | exact when | one 512-bit instruction |
//! |---|---|---|---|
//! | `i16` | `i32` | modulo `2^32` | `vpmaddwd`: 32 products, added in pairs |
//! | `i32` | `i64` | modulo `2^64` | `vpmuldq`: 8 products |
//! | `i64` | `i64` | modulo `2^64` | none |

#![expect(
    clippy::inline_always,
    reason = "the instruction set is that of the caller into which everything is inlined"
)]

use super::cell::Cell;
use pulp::Arch;

/// Rows of a tile.
pub(super) const ROWS: usize = 8;
/// Cells of the largest tile.
const TILE: usize = ROWS * 32;

/// Sums of a tile, `[ROWS][COLS]`.
pub(super) type Tile<L> = [<L as Lane>::Sum; TILE];

/// The type of both factors of a product.
pub(super) trait Lane: Cell {
    type Sum: Cell;
    /// Columns of a tile.
    const COLS: usize;
    /// Neighbours in depth that lie side by side.
    const PAIR: usize;

    /// Overwrites the first `rows` rows of `tile`.
    fn product(arch: Arch, rows: usize, operands: Operands<'_, Self>, tile: &mut Tile<Self>);

    /// A zero tile.
    fn tile() -> Tile<Self> {
        [Self::Sum::default(); TILE]
    }
}

/// `a` is one panel; pair `d` of column block 0 is at `b[offsets[d] ..]`.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a, L> {
    pub(super) a: &'a [L],
    pub(super) b: &'a [L],
    pub(super) offsets: &'a [usize],
}

/// One instruction set's vectors for a lane.
trait Vectors<L: Lane>: Copy {
    type Vector: Copy;
    /// Sums in a vector.
    const WIDTH: usize;
    /// Rows of a block whose sums stay in registers, two vectors a row.
    const BLOCK: usize;

    fn zero(self) -> Self::Vector;
    /// The pair `a` for every sum.
    fn splat(self, a: &[L]) -> Self::Vector;
    /// The pairs of the next `WIDTH` columns.
    fn load(self, b: &[L]) -> Self::Vector;
    fn multiply_add(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn store(self, sum: Self::Vector, to: &mut [L::Sum]);
}

impl Lane for i16 {
    type Sum = i32;
    const COLS: usize = 32;
    const PAIR: usize = 2;

    fn product(arch: Arch, rows: usize, operands: Operands<'_, Self>, tile: &mut Tile<Self>) {
        match arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(simd) => simd.vectorize(Product {
                simd,
                rows,
                operands,
                tile,
            }),
            #[cfg(target_arch = "x86_64")]
            Arch::V3(simd) => simd.vectorize(Product {
                simd,
                rows,
                operands,
                tile,
            }),
            _ => product(Portable, rows, operands, tile),
        }
    }
}

impl Lane for i32 {
    type Sum = i64;
    const COLS: usize = 16;
    const PAIR: usize = 1;

    fn product(arch: Arch, rows: usize, operands: Operands<'_, Self>, tile: &mut Tile<Self>) {
        match arch {
            #[cfg(target_arch = "x86_64")]
            Arch::V4(simd) => simd.vectorize(Product {
                simd,
                rows,
                operands,
                tile,
            }),
            #[cfg(target_arch = "x86_64")]
            Arch::V3(simd) => simd.vectorize(Product {
                simd,
                rows,
                operands,
                tile,
            }),
            _ => product(Portable, rows, operands, tile),
        }
    }
}

impl Lane for i64 {
    type Sum = i64;
    const COLS: usize = 16;
    const PAIR: usize = 1;

    fn product(_: Arch, rows: usize, operands: Operands<'_, Self>, tile: &mut Tile<Self>) {
        product(Portable, rows, operands, tile);
    }
}

/// [`product`] as a value, to be inlined into a function compiled for an instruction set.
#[cfg(target_arch = "x86_64")]
struct Product<'a, L: Lane, S> {
    simd: S,
    rows: usize,
    operands: Operands<'a, L>,
    tile: &'a mut Tile<L>,
}

#[cfg(target_arch = "x86_64")]
impl<L: Lane, S: Vectors<L>> pulp::NullaryFnOnce for Product<'_, L, S> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        product(self.simd, self.rows, self.operands, self.tile);
    }
}

#[inline(always)]
fn product<L: Lane, S: Vectors<L>>(
    simd: S,
    rows: usize,
    operands: Operands<'_, L>,
    tile: &mut Tile<L>,
) {
    let mut row = 0;
    while row < rows {
        let block = (rows - row).min(S::BLOCK);
        let mut col = 0;
        while col < L::COLS {
            match block {
                1 => sums::<L, S, 1>(simd, operands, row, col, tile),
                2 => sums::<L, S, 2>(simd, operands, row, col, tile),
                3 => sums::<L, S, 3>(simd, operands, row, col, tile),
                4 => sums::<L, S, 4>(simd, operands, row, col, tile),
                5 => sums::<L, S, 5>(simd, operands, row, col, tile),
                6 => sums::<L, S, 6>(simd, operands, row, col, tile),
                7 => sums::<L, S, 7>(simd, operands, row, col, tile),
                _ => sums::<L, S, 8>(simd, operands, row, col, tile),
            }
            col += 2 * S::WIDTH;
        }
        row += block;
    }
}

/// `R` rows from `row` on and two vectors of columns from `col` on.
#[inline(always)]
fn sums<L: Lane, S: Vectors<L>, const R: usize>(
    simd: S,
    operands: Operands<'_, L>,
    row: usize,
    col: usize,
    tile: &mut Tile<L>,
) {
    let Operands { a, b, offsets } = operands;
    let vector = S::WIDTH * L::PAIR;
    let mut acc = [[simd.zero(); 2]; R];
    for (a, &offset) in a.chunks_exact(ROWS * L::PAIR).zip(offsets) {
        let a = &a[row * L::PAIR..(row + R) * L::PAIR];
        let b = &b[offset + col * L::PAIR..][..2 * vector];
        let b = [simd.load(&b[..vector]), simd.load(&b[vector..])];
        for (m, acc) in acc.iter_mut().enumerate() {
            let a = simd.splat(&a[m * L::PAIR..(m + 1) * L::PAIR]);
            acc[0] = simd.multiply_add(acc[0], a, b[0]);
            acc[1] = simd.multiply_add(acc[1], a, b[1]);
        }
    }
    for (m, acc) in acc.into_iter().enumerate() {
        let to = &mut tile[(row + m) * L::COLS + col..][..2 * S::WIDTH];
        simd.store(acc[0], &mut to[..S::WIDTH]);
        simd.store(acc[1], &mut to[S::WIDTH..]);
    }
}

/// Any machine: arrays that the compiler vectorises as it can.
#[derive(Clone, Copy)]
struct Portable;

/// Columns of a portable vector.
const ARRAY: usize = 8;

impl<L: Lane> Vectors<L> for Portable {
    type Vector = [[L::Sum; ARRAY]; 2];
    const WIDTH: usize = ARRAY;
    const BLOCK: usize = 2;

    #[inline(always)]
    fn zero(self) -> Self::Vector {
        [[L::Sum::default(); ARRAY]; 2]
    }

    #[inline(always)]
    fn splat(self, a: &[L]) -> Self::Vector {
        [a[0], a[L::PAIR - 1]].map(|a| [a.cast(); ARRAY])
    }

    #[inline(always)]
    fn load(self, b: &[L]) -> Self::Vector {
        let member = |p: usize| std::array::from_fn(|n| b[n * L::PAIR + p].cast());
        [member(0), member(L::PAIR - 1)]
    }

    #[inline(always)]
    fn multiply_add(self, sum: Self::Vector, a: Self::Vector, b: Self::Vector) -> Self::Vector {
        let mut to = sum;
        for p in 0..L::PAIR {
            for n in 0..ARRAY {
                to[0][n] = to[0][n].plus(a[p][n].times(b[p][n]));
            }
        }
        to
    }

    #[inline(always)]
    fn store(self, sum: Self::Vector, to: &mut [L::Sum]) {
        to.copy_from_slice(&sum[0]);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vectors;
    use core::arch::x86_64::{__m128i, __m256i, __m512i};
    use pulp::cast;
    use pulp::x86::{V3, V4};

    const SIZE: &str = "the slice has the length of a vector";

    impl Vectors<i16> for V4 {
        type Vector = __m512i;
        const WIDTH: usize = 16;
        const BLOCK: usize = 8;

        #[inline(always)]
        fn zero(self) -> __m512i {
            self.avx512f._mm512_setzero_si512()
        }

        #[inline(always)]
        fn splat(self, a: &[i16]) -> __m512i {
            let pair: [i16; 2] = *a.first_chunk().expect(SIZE);
            self.avx512f._mm512_set1_epi32(cast(pair))
        }

        #[inline(always)]
        fn load(self, b: &[i16]) -> __m512i {
            cast::<[i16; 32], _>(*b.first_chunk().expect(SIZE))
        }

        #[inline(always)]
        fn multiply_add(self, sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
            let products = self.avx512bw._mm512_madd_epi16(a, b);
            self.avx512f._mm512_add_epi32(sum, products)
        }

        #[inline(always)]
        fn store(self, sum: __m512i, to: &mut [i32]) {
            to.copy_from_slice(&cast::<_, [i32; 16]>(sum));
        }
    }

    impl Vectors<i16> for V3 {
        type Vector = __m256i;
        const WIDTH: usize = 8;
        const BLOCK: usize = 4;

        #[inline(always)]
        fn zero(self) -> __m256i {
            self.avx._mm256_setzero_si256()
        }

        #[inline(always)]
        fn splat(self, a: &[i16]) -> __m256i {
            let pair: [i16; 2] = *a.first_chunk().expect(SIZE);
            self.avx._mm256_set1_epi32(cast(pair))
        }

        #[inline(always)]
        fn load(self, b: &[i16]) -> __m256i {
            cast::<[i16; 16], _>(*b.first_chunk().expect(SIZE))
        }

        #[inline(always)]
        fn multiply_add(self, sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
            let products = self.avx2._mm256_madd_epi16(a, b);
            self.avx2._mm256_add_epi32(sum, products)
        }

        #[inline(always)]
        fn store(self, sum: __m256i, to: &mut [i32]) {
            to.copy_from_slice(&cast::<_, [i32; 8]>(sum));
        }
    }

    impl Vectors<i32> for V4 {
        type Vector = __m512i;
        const WIDTH: usize = 8;
        const BLOCK: usize = 8;

        #[inline(always)]
        fn zero(self) -> __m512i {
            self.avx512f._mm512_setzero_si512()
        }

        #[inline(always)]
        fn splat(self, a: &[i32]) -> __m512i {
            self.avx512f._mm512_set1_epi64(a[0].into())
        }

        #[inline(always)]
        fn load(self, b: &[i32]) -> __m512i {
            let b: __m256i = cast::<[i32; 8], _>(*b.first_chunk().expect(SIZE));
            self.avx512f._mm512_cvtepi32_epi64(b)
        }

        #[inline(always)]
        fn multiply_add(self, sum: __m512i, a: __m512i, b: __m512i) -> __m512i {
            let products = self.avx512f._mm512_mul_epi32(a, b);
            self.avx512f._mm512_add_epi64(sum, products)
        }

        #[inline(always)]
        fn store(self, sum: __m512i, to: &mut [i64]) {
            to.copy_from_slice(&cast::<_, [i64; 8]>(sum));
        }
    }

    impl Vectors<i32> for V3 {
        type Vector = __m256i;
        const WIDTH: usize = 4;
        const BLOCK: usize = 4;

        #[inline(always)]
        fn zero(self) -> __m256i {
            self.avx._mm256_setzero_si256()
        }

        #[inline(always)]
        fn splat(self, a: &[i32]) -> __m256i {
            self.avx._mm256_set1_epi64x(a[0].into())
        }

        #[inline(always)]
        fn load(self, b: &[i32]) -> __m256i {
            let b: __m128i = cast::<[i32; 4], _>(*b.first_chunk().expect(SIZE));
            self.avx2._mm256_cvtepi32_epi64(b)
        }

        #[inline(always)]
        fn multiply_add(self, sum: __m256i, a: __m256i, b: __m256i) -> __m256i {
            let products = self.avx2._mm256_mul_epi32(a, b);
            self.avx2._mm256_add_epi64(sum, products)
        }

        #[inline(always)]
        fn store(self, sum: __m256i, to: &mut [i64]) {
            to.copy_from_slice(&cast::<_, [i64; 4]>(sum));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<L: Lane>(cell: impl Fn(usize) -> i64) {
        let depth = 7;
        let a: Vec<L> = (0..depth * ROWS * L::PAIR)
            .map(|i| L::wrap(cell(i)))
            .collect();
        let b: Vec<L> = (0..depth * L::COLS * L::PAIR + 5)
            .map(|i| L::wrap(cell(i + 1000)))
            .collect();
        let offsets: Vec<usize> = (0..depth).map(|d| d * L::COLS * L::PAIR + d % 5).collect();
        let operands = Operands {
            a: &a,
            b: &b,
            offsets: &offsets,
        };
        for rows in 1..=ROWS {
            let (mut fast, mut slow) = (L::tile(), L::tile());
            L::product(Arch::new(), rows, operands, &mut fast);
            product(Portable, rows, operands, &mut slow);
            assert!(fast == slow);
            #[cfg(target_arch = "x86_64")]
            if let Some(simd) = pulp::x86::V3::try_new() {
                L::product(Arch::V3(simd), rows, operands, &mut fast);
                assert!(fast == slow);
            }
            for m in 0..rows {
                for n in 0..L::COLS {
                    let mut sum = L::Sum::default();
                    for d in 0..depth {
                        for p in 0..L::PAIR {
                            let a: L::Sum = a[(d * ROWS + m) * L::PAIR + p].cast();
                            sum = sum.plus(a.times(b[offsets[d] + n * L::PAIR + p].cast()));
                        }
                    }
                    assert!(fast[m * L::COLS + n] == sum);
                }
            }
        }
    }

    #[test]
    fn every_instruction_set_computes_the_product() {
        let noise = |i: usize| (i as i64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64) >> 7;
        check::<i16>(noise);
        check::<i32>(noise);
        check::<i64>(noise);
        check::<i16>(|_| i16::MIN.into());
        check::<i32>(|_| i32::MIN.into());
    }
}
