//! The numerators of a chunk of nodes.
//!
//! The mask of a lookup is one but at the borders of a tensor: the numerators of live leaves are one
//! value, those of the others zero. They stay so when they are bound with numerators of the same
//! mask, or with none; the sums of their products are then sums of weights, and nothing is
//! multiplied. Two leaves of one cell have one mask: where masks differ, the numerators of the
//! children are still the same.

// The arguments are registers: a call that is not inlined would store and load them.
#![allow(clippy::inline_always)]

use super::Pair;
use super::weights::CHUNK;
use zkstrata_mle::packed::{Factor, LANES, mul_add};
use zkstrata_mle::{
    BasedVectorSpace, E, F, PackedE, PackedF, PackedFieldExtension, PackedValue,
    PrimeCharacteristicRing, PrimeField64,
};

/// A bit for each lane of a register.
pub(super) type Bits = u8;
const _: () = assert!(LANES <= 8);

/// Every lane.
const ALL: Bits = (u16::MAX >> (16 - LANES)) as Bits;

/// The live leaves of a chunk: below every node the first and the second child.
pub(super) type Mask = [[Bits; 2]; CHUNK];

/// Every leaf, and none.
pub(super) const FULL: Mask = [[ALL; 2]; CHUNK];
const NONE: Mask = [[0; 2]; CHUNK];

/// `p_b`, and `P_b` from the shift on.
#[derive(Clone)]
pub(super) enum Numerators {
    /// A value, zero outside of the mask.
    Masked(E, Mask),
    /// The same of both children.
    Equal(Box<[PackedE; CHUNK]>),
    Dense(Box<[Pair; CHUNK]>),
}

/// The values of lanes by their bits in two masks, the first one's above the second one's.
fn by_bits(values: &[E; 4], first: Bits, second: Bits) -> PackedE {
    let bit = |bits: Bits, lane: usize| usize::from(bits >> lane & 1);
    let at = |lane: usize| 2 * bit(first, lane) + bit(second, lane);
    let uniform = |bits: Bits| bits == 0 || bits == ALL;
    if uniform(first) && uniform(second) {
        return PackedE::from(values[at(0)]);
    }
    PackedE::from_basis_coefficients_fn(|k| {
        let values: [F; 4] = values.map(|value| value.as_basis_coefficients_slice()[k]);
        PackedF::from_fn(|lane| values[at(lane)])
    })
}

/// All ones in the lanes of a mask, for every mask.
static WORDS: [[u64; LANES]; 1 << Bits::BITS] = {
    let mut words = [[0; LANES]; 1 << Bits::BITS];
    let mut i = 0;
    while i < words.len() * LANES {
        let (bits, lane) = (i / LANES, i % LANES);
        words[bits][lane] = if bits >> lane & 1 == 1 { u64::MAX } else { 0 };
        i += 1;
    }
    words
};

/// The lanes of a mask, and zero elsewhere.
#[inline(always)]
fn select(x: PackedE, bits: Bits) -> PackedE {
    let words = &WORDS[usize::from(bits)];
    PackedE::from_basis_coefficients_fn(|k| {
        let lanes: PackedF = x.as_basis_coefficients_slice()[k];
        let lanes = lanes.as_slice();
        PackedF::from_fn(|lane| F::from_u64(lanes[lane].as_canonical_u64() & words[lane]))
    })
}

/// Whether both children have one mask in every node.
fn is_shared(mask: &Mask) -> bool {
    mask.iter().all(|[first, second]| first == second)
}

/// `x` in the first lane, zero in the others.
pub(super) fn one_lane(x: E) -> PackedE {
    PackedE::from_ext_fn(|lane| if lane == 0 { x } else { E::ZERO })
}

impl Numerators {
    /// Of leaves 0/1.
    pub(super) const NONE: Self = Self::Masked(E::ZERO, NONE);

    /// Those of the children.
    pub(super) fn expand(&self) -> [Pair; CHUNK] {
        match self {
            Self::Masked(value, mask) => {
                let values = [E::ZERO, *value, E::ZERO, E::ZERO];
                mask.map(|bits| bits.map(|bits| by_bits(&values, 0, bits)))
            }
            Self::Equal(p) => p.map(|p| [p; 2]),
            Self::Dense(p) => **p,
        }
    }

    /// Those of every first child, if the second ones' are the same.
    pub(super) fn shared(&self) -> Option<[PackedE; CHUNK]> {
        match self {
            Self::Masked(value, mask) => {
                let values = [E::ZERO, *value, E::ZERO, E::ZERO];
                is_shared(mask).then(|| mask.map(|[bits, _]| by_bits(&values, 0, bits)))
            }
            Self::Equal(p) => Some(**p),
            Self::Dense(_) => None,
        }
    }

    /// The fractions of the nodes of register `r`, whose denominators these are. Leaves out of the
    /// mask are 0/1.
    #[inline(always)]
    pub(super) fn add_up(&self, r: usize, [q0, q1]: Pair) -> Pair {
        let [p0, p1] = match self {
            Self::Masked(value, mask) if *value == E::ONE => {
                let [first, second] = mask[r];
                return [select(q1, first) + select(q0, second), q0 * q1];
            }
            Self::Masked(value, mask) => {
                let values = [E::ZERO, *value, E::ZERO, E::ZERO];
                mask[r].map(|bits| by_bits(&values, 0, bits))
            }
            Self::Equal(p) => [p[r]; 2],
            Self::Dense(p) => p[r],
        };
        [mul_add(p0, q1, p1, q0), q0 * q1]
    }

    /// `self + s (high - self)`.
    pub(super) fn bind(&mut self, high: &Self, s: E) {
        if let (Self::Masked(a, low_mask), Self::Masked(b, high_mask)) = (&mut *self, high) {
            if low_mask == high_mask {
                *a += s * (*b - *a);
            } else if *high_mask == NONE {
                *a -= s * *a;
            } else if *low_mask == NONE {
                *self = Self::Masked(s * *b, *high_mask);
            } else {
                let values = [E::ZERO, s * *b, *a - s * *a, *a + s * (*b - *a)];
                let at = |r: usize, child: usize| {
                    by_bits(&values, low_mask[r][child], high_mask[r][child])
                };
                *self = if is_shared(low_mask) && is_shared(high_mask) {
                    Self::Equal(Box::new(std::array::from_fn(|r| at(r, 0))))
                } else {
                    let pair = |r: usize| [0, 1].map(|child| at(r, child));
                    Self::Dense(Box::new(std::array::from_fn(pair)))
                };
            }
            return;
        }
        let s = Factor::broadcast(s);
        if let (Some(mut low), Some(high)) = (self.shared(), high.shared()) {
            bind(&mut low, &high, &s);
            match self {
                Self::Equal(p) => **p = low,
                _ => *self = Self::Equal(Box::new(low)),
            }
            return;
        }
        if !matches!(self, Self::Dense(_)) {
            *self = Self::Dense(Box::new(self.expand()));
        }
        if let Self::Dense(low) = self {
            bind(low.as_flattened_mut(), high.expand().as_flattened(), &s);
        }
    }

    /// `s self`: bound with none below.
    pub(super) fn bind_high(&mut self, s: E) {
        match self {
            Self::Masked(value, _) => *value *= s,
            Self::Equal(p) => scale(&mut p[..], s),
            Self::Dense(p) => scale(p.as_flattened_mut(), s),
        }
    }

    /// The weighted sums of `P_0 P_1` of `self`, and of the same of `high - self`, where both are masked.
    pub(super) fn products(&self, high: &Self, weights: &[Factor]) -> Option<[PackedE; 2]> {
        let (Self::Masked(a, low), Self::Masked(b, high)) = (self, high) else {
            return None;
        };
        let (a, b) = (*a, *b);
        let sum = |first: &Mask, second: &Mask| {
            let mut sum = PackedE::ZERO;
            for ((weight, first), second) in weights.iter().zip(first).zip(second) {
                sum += select(weight.get(), first[0] & second[1]);
            }
            sum
        };
        let times = |x: PackedE, y: E| Factor::broadcast(y).times(x);
        Some(if low == high {
            if *low == FULL {
                // The weights of a chunk add up to one.
                [one_lane(a * a), one_lane((b - a) * (b - a))]
            } else {
                let sum = sum(low, low);
                [times(sum, a * a), times(sum, (b - a) * (b - a))]
            }
        } else {
            let product = times(sum(low, low), a * a);
            let both = sum(low, high) + sum(high, low);
            let slope = product + times(sum(high, high), b * b) - times(both, a * b);
            [product, slope]
        })
    }
}

/// `s x`.
fn scale(values: &mut [PackedE], s: E) {
    let s = Factor::broadcast(s);
    for x in values {
        *x = s.times(*x);
    }
}

/// `low + s (high - low)`.
fn bind(low: &mut [PackedE], high: &[PackedE], s: &Factor) {
    for (a, &b) in low.iter_mut().zip(high) {
        *a += s.times(b - *a);
    }
}
