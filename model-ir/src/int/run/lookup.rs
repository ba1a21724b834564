//! Runs table nodes: `v = x + offset`, `hi = v >> S`, `rem = v - 2^S hi`, `y = T[hi]`.

use super::GRAIN;
use super::cell::{Cell, each_type};
use crate::int::{Function, Interval, Ints, Table, TableId};
use rayon::prelude::*;

/// Cells that stay in the first-level cache between the steps.
const BLOCK: usize = 1024;

/// From `x` to `hi`.
#[derive(Debug)]
pub(super) struct Rounding {
    offset: i64,
    /// `S`
    shift: u32,
    /// Bits of the remainder's limbs, the least significant first.
    limbs: Vec<u32>,
}

impl Rounding {
    /// With remainders in these range tables.
    pub(super) fn new(tables: &[Table], ranges: &[TableId], offset: i64) -> Self {
        let bits = |range: &TableId| tables[range.0].limb_bits().expect("a valid range table");
        let limbs: Vec<u32> = ranges.iter().map(bits).collect();
        Self {
            offset,
            shift: limbs.iter().sum(),
            limbs,
        }
    }
}

/// A table node made ready to run.
#[derive(Debug)]
pub(super) struct LookupPlan {
    rounding: Rounding,
    domain: Interval,
    function: Values,
    /// Whether `v` fits 32 bits for every argument in the input's interval.
    fits_32: bool,
}

#[derive(Debug)]
enum Values {
    Zero,
    Clamp {
        lo: i64,
        hi: i64,
    },
    /// In the type of the node's cells.
    Dense(Ints),
}

/// The argument `hi` that is not in the domain.
#[derive(Debug)]
pub(super) struct Outside(pub(super) i64);

impl LookupPlan {
    /// For arguments in `input` and values in `output`.
    pub(super) fn new(
        table: &Table,
        rounding: Rounding,
        input: Interval,
        output: Interval,
    ) -> Self {
        let function = match &table.function {
            Function::Range => Values::Zero,
            Function::Clamp { lo, hi } => Values::Clamp { lo: *lo, hi: *hi },
            Function::Values(values) => {
                let mut cells = Ints::zeros(output, values.len());
                each_type!(&mut cells, cells => {
                    for (cell, &value) in cells.iter_mut().zip(values) {
                        *cell = value.cast();
                    }
                });
                Values::Dense(cells)
            }
        };
        let fits = |x: i64| i32::try_from(x + rounding.offset).is_ok();
        Self {
            fits_32: fits(input.lo) && fits(input.hi) && rounding.shift < i32::BITS,
            rounding,
            domain: table.domain(),
            function,
        }
    }

    pub(super) fn domain(&self) -> Interval {
        self.domain
    }

    /// The values and the limbs of the remainders.
    pub(super) fn run(&self, x: &Ints, interval: Interval) -> Result<(Ints, Vec<Ints>), Outside> {
        let mut y = Ints::zeros(interval, x.len());
        if self.rounding.shift == 0 {
            each_type!(x, x => each_type!(&mut y, y => match (self.rounding.offset, self.fits_32) {
                (0, _) => self.run_plain(x, y),
                (_, true) => self.run_moved::<_, _, i32>(x, y),
                (_, false) => self.run_moved::<_, _, i64>(x, y),
            }))?;
            return Ok((y, vec![]));
        }
        let mut rem = Ints::zeros(below(self.rounding.shift), x.len());
        each_type!(x, x => each_type!(&mut y, y => each_type!(&mut rem, rem => {
            if self.fits_32 {
                self.run_shifted::<_, _, _, i32>(x, y, rem)
            } else {
                self.run_shifted::<_, _, _, i64>(x, y, rem)
            }
        })))?;
        let limbs = match self.rounding.limbs.as_slice() {
            [_] => vec![rem],
            limbs => split(&rem, limbs),
        };
        Ok((y, limbs))
    }

    fn run_plain<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y]) -> Result<(), Outside> {
        y.par_chunks_mut(GRAIN)
            .zip(x.par_chunks(GRAIN))
            .try_for_each(|(y, x)| self.look_up(x, y))
    }

    /// With `S = 0` and `v` computed in the type `V`.
    fn run_moved<X: Cell, Y: Cell, V: Cell>(&self, x: &[X], y: &mut [Y]) -> Result<(), Outside> {
        let offset = V::wrap(self.rounding.offset);
        y.par_chunks_mut(GRAIN)
            .zip(x.par_chunks(GRAIN))
            .try_for_each(|(y, x)| {
                let mut buffer = [V::default(); BLOCK];
                for (y, x) in y.chunks_mut(BLOCK).zip(x.chunks(BLOCK)) {
                    let hi = &mut buffer[..x.len()];
                    for (hi, &x) in hi.iter_mut().zip(x) {
                        *hi = x.cast::<V>().plus(offset);
                    }
                    self.look_up(hi, y)?;
                }
                Ok(())
            })
    }

    /// With `v` computed in the type `V`.
    fn run_shifted<X: Cell, Y: Cell, R: Cell, V: Cell>(
        &self,
        x: &[X],
        y: &mut [Y],
        rem: &mut [R],
    ) -> Result<(), Outside> {
        let (offset, shift) = (V::wrap(self.rounding.offset), self.rounding.shift);
        y.par_chunks_mut(GRAIN)
            .zip(rem.par_chunks_mut(GRAIN))
            .zip(x.par_chunks(GRAIN))
            .try_for_each(|((y, rem), x)| {
                let mut buffer = [V::default(); BLOCK];
                let blocks = y.chunks_mut(BLOCK).zip(rem.chunks_mut(BLOCK));
                for ((y, rem), x) in blocks.zip(x.chunks(BLOCK)) {
                    let hi = &mut buffer[..x.len()];
                    for ((hi, rem), &x) in hi.iter_mut().zip(rem).zip(x) {
                        let v = x.cast::<V>().plus(offset);
                        *hi = v.shift_right(shift);
                        *rem = v.minus(hi.shift_left(shift)).cast();
                    }
                    self.look_up(hi, y)?;
                }
                Ok(())
            })
    }

    /// `y = T[hi]`, or the first argument outside the domain.
    fn look_up<V: Cell, Y: Cell>(&self, hi: &[V], y: &mut [Y]) -> Result<(), Outside> {
        let Some((lo, top)) = ends::<V>(self.domain) else {
            // No argument of this type lies in the domain.
            return hi.first().map_or(Ok(()), |v| Err(Outside(v.widen())));
        };
        // Without an early exit the scan is vectorised.
        let least = hi.iter().copied().fold(top, V::min);
        let most = hi.iter().copied().fold(lo, V::max);
        if least < lo || most > top {
            let outside = hi.iter().find(|&&v| v < lo || v > top);
            return Err(Outside(outside.expect("an extreme is outside").widen()));
        }
        match &self.function {
            Values::Zero => y.fill(Y::default()),
            &Values::Clamp { lo, hi: top } => match ends::<V>(Interval { lo, hi: top }) {
                Some((lo, top)) => {
                    for (y, &v) in y.iter_mut().zip(hi) {
                        *y = v.max(lo).min(top).cast();
                    }
                }
                // Every argument lies on one side.
                None if lo > 0 => y.fill(lo.cast()),
                None => y.fill(top.cast()),
            },
            Values::Dense(values) => each_type!(values, values => {
                for (y, &v) in y.iter_mut().zip(hi) {
                    *y = values[(v.widen() - self.domain.lo) as usize].cast();
                }
            }),
        }
        Ok(())
    }
}

/// The least and the largest number of a type in an interval, if there is one.
fn ends<V: Cell>(interval: Interval) -> Option<(V, V)> {
    let (lo, hi) = (V::saturate(interval.lo), V::saturate(interval.hi));
    (lo.widen() >= interval.lo && hi.widen() <= interval.hi).then_some((lo, hi))
}

/// `0 .. 2^bits`
fn below(bits: u32) -> Interval {
    Interval {
        lo: 0,
        hi: (1 << bits) - 1,
    }
}

/// Cuts numbers that are not negative into limbs of so many bits, the least significant first.
fn split(rem: &Ints, limbs: &[u32]) -> Vec<Ints> {
    let mut low = 0;
    let limb = |&bits: &u32| {
        let mut limb = Ints::zeros(below(bits), rem.len());
        each_type!(rem, rem => each_type!(&mut limb, limb => cut(rem, limb, low, bits)));
        low += bits;
        limb
    };
    limbs.iter().map(limb).collect()
}

/// `limb = (rem >> low) mod 2^bits`
fn cut<R: Cell, L: Cell>(rem: &[R], limb: &mut [L], low: u32, bits: u32) {
    let mask = (1 << bits) - 1;
    limb.par_chunks_mut(GRAIN)
        .zip(rem.par_chunks(GRAIN))
        .for_each(|(limb, rem)| {
            for (limb, &rem) in limb.iter_mut().zip(rem) {
                *limb = L::wrap((rem.widen() >> low) & mask);
            }
        });
}
