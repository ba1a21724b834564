//! Runs table nodes: `v = x + 2^(S-1)`, `hi = v >> S`, `rem = v - 2^S hi`, `y = T[hi]`.

use super::GRAIN;
use super::cell::{Cell, each_type};
use crate::int::{Function, Interval, Ints, Table};
use rayon::prelude::*;

/// Cells that stay in the first-level cache between the steps.
const BLOCK: usize = 1024;

/// A table node made ready to run.
#[derive(Debug)]
pub(super) struct LookupPlan {
    shift: u32,
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
    pub(super) fn new(table: &Table, shift: u32, input: Interval, output: Interval) -> Self {
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
        let half = (1i64 << shift) >> 1;
        let fits = |x: i64| i32::try_from(x).is_ok();
        Self {
            shift,
            domain: table.domain(),
            function,
            fits_32: fits(input.lo) && fits(input.hi + half),
        }
    }

    pub(super) fn domain(&self) -> Interval {
        self.domain
    }

    /// The values and, if `S > 0`, the remainders.
    pub(super) fn run(
        &self,
        x: &Ints,
        interval: Interval,
    ) -> Result<(Ints, Option<Ints>), Outside> {
        let mut y = Ints::zeros(interval, x.len());
        if self.shift == 0 {
            each_type!(x, x => each_type!(&mut y, y => self.run_plain(x, y)))?;
            return Ok((y, None));
        }
        let range = Interval {
            lo: 0,
            hi: (1 << self.shift) - 1,
        };
        let mut rem = Ints::zeros(range, x.len());
        each_type!(x, x => each_type!(&mut y, y => each_type!(&mut rem, rem => {
            if self.fits_32 {
                self.run_shifted::<_, _, _, i32>(x, y, rem)
            } else {
                self.run_shifted::<_, _, _, i64>(x, y, rem)
            }
        })))?;
        Ok((y, Some(rem)))
    }

    fn run_plain<X: Cell, Y: Cell>(&self, x: &[X], y: &mut [Y]) -> Result<(), Outside> {
        y.par_chunks_mut(GRAIN)
            .zip(x.par_chunks(GRAIN))
            .try_for_each(|(y, x)| self.look_up(x, y))
    }

    /// With `v` computed in the type `V`.
    fn run_shifted<X: Cell, Y: Cell, R: Cell, V: Cell>(
        &self,
        x: &[X],
        y: &mut [Y],
        rem: &mut [R],
    ) -> Result<(), Outside> {
        let half = V::wrap((1 << self.shift) >> 1);
        y.par_chunks_mut(GRAIN)
            .zip(rem.par_chunks_mut(GRAIN))
            .zip(x.par_chunks(GRAIN))
            .try_for_each(|((y, rem), x)| {
                let mut buffer = [V::default(); BLOCK];
                let blocks = y.chunks_mut(BLOCK).zip(rem.chunks_mut(BLOCK));
                for ((y, rem), x) in blocks.zip(x.chunks(BLOCK)) {
                    let hi = &mut buffer[..x.len()];
                    for ((hi, rem), &x) in hi.iter_mut().zip(rem).zip(x) {
                        let v = x.cast::<V>().plus(half);
                        *hi = v.shift_right(self.shift);
                        *rem = v.minus(hi.shift_left(self.shift)).cast();
                    }
                    self.look_up(hi, y)?;
                }
                Ok(())
            })
    }

    /// `y = T[hi]`, or the first argument outside the domain.
    fn look_up<V: Cell, Y: Cell>(&self, hi: &[V], y: &mut [Y]) -> Result<(), Outside> {
        let (lo, top) = (V::saturate(self.domain.lo), V::saturate(self.domain.hi));
        // Without an early exit the scan is vectorised.
        let least = hi.iter().copied().fold(top, V::min);
        let most = hi.iter().copied().fold(lo, V::max);
        if least < lo || most > top {
            let outside = hi.iter().find(|&&v| v < lo || v > top);
            return Err(Outside(outside.expect("an extreme is outside").widen()));
        }
        match &self.function {
            Values::Zero => y.fill(Y::default()),
            Values::Clamp { lo, hi: top } => {
                let (lo, top) = (V::saturate(*lo), V::saturate(*top));
                for (y, &v) in y.iter_mut().zip(hi) {
                    *y = v.max(lo).min(top).cast();
                }
            }
            Values::Dense(values) => each_type!(values, values => {
                for (y, &v) in y.iter_mut().zip(hi) {
                    *y = values[(v.widen() - self.domain.lo) as usize].cast();
                }
            }),
        }
        Ok(())
    }
}
