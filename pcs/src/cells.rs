//! Columns in the clear and their one canonical encoding.
//!
//! A cell `x` of `F` has a representative `v` with `|v| <= (p - 1) / 2`, and
//! `z(v) = 2v` for `v >= 0`, `-2v - 1` for `v < 0` maps these onto `0 .. p - 1` one to one. A cell
//! is `z(v)` in base 128, least significant digit first, the high bit of a byte saying that
//! another follows: one byte for `|v| < 64`, two for `|v| < 8192`, at most ten. Decoding accepts
//! exactly the image of encoding: a number is below `p` and its last digit is not a superfluous
//! zero. The encoding of a list is the concatenation, and it is prefix-free for a known length.

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zkstrata_mle::{F, PrimeCharacteristicRing, PrimeField64};

/// Longest encoding of one cell.
const MAX_BYTES: u32 = 10;

/// All cells of a list of tables: table by table, column by column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells(Vec<F>);

impl Cells {
    /// The cells.
    pub(crate) fn as_slice(&self) -> &[F] {
        &self.0
    }

    #[cfg(feature = "prover")]
    pub(crate) fn new(cells: Vec<F>) -> Self {
        Self(cells)
    }

    /// Bytes of the encoding of one cell that holds `value`.
    #[cfg(feature = "prover")]
    pub fn bytes_of(value: i64) -> u32 {
        let (v, negative) = (value.unsigned_abs(), u64::from(value < 0));
        let z = v.saturating_mul(2).saturating_sub(negative);
        (u64::BITS - z.leading_zeros()).div_ceil(7).max(1)
    }

    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The canonical encoding.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * self.0.len());
        for &cell in &self.0 {
            let mut z = zigzag(cell);
            while z >= 128 {
                bytes.push(z.to_le_bytes()[0] | 128);
                z >>= 7;
            }
            bytes.push(z.to_le_bytes()[0]);
        }
        bytes
    }

    /// Decodes `n` cells from the front of `bytes`; returns the rest as well.
    ///
    /// Allocates at most as many cells as there are bytes.
    pub(crate) fn split_from(bytes: &[u8], n: usize) -> Result<(Self, &[u8]), Malformed> {
        if bytes.len() < n {
            return Err(Malformed::Truncated);
        }
        let mut cells = Vec::with_capacity(n);
        let mut rest = bytes;
        for _ in 0..n {
            let (cell, tail) = decode(rest)?;
            cells.push(cell);
            rest = tail;
        }
        Ok((Self(cells), rest))
    }
}

/// Why bytes are not the encoding of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// They end inside a cell.
    Truncated,
    /// A cell has another, canonical, encoding or is not a field element.
    NonCanonical,
}

fn zigzag(cell: F) -> u64 {
    let x = cell.as_canonical_u64();
    let negated = F::ORDER_U64 - x;
    if x <= F::ORDER_U64 / 2 {
        2 * x
    } else {
        2 * negated - 1
    }
}

fn decode(bytes: &[u8]) -> Result<(F, &[u8]), Malformed> {
    let mut z = 0u64;
    let mut rest = bytes;
    for k in 0..MAX_BYTES {
        let (&byte, tail) = rest.split_first().ok_or(Malformed::Truncated)?;
        rest = tail;
        let digit = u64::from(byte & 127);
        let shifted = digit << (7 * k);
        if shifted >> (7 * k) != digit {
            return Err(Malformed::NonCanonical);
        }
        z |= shifted;
        if byte < 128 {
            if z >= F::ORDER_U64 || (byte == 0 && k > 0) {
                return Err(Malformed::NonCanonical);
            }
            let half = F::from_u64(z >> 1);
            let cell = if z & 1 == 0 { half } else { -half - F::ONE };
            return Ok((cell, rest));
        }
    }
    Err(Malformed::NonCanonical)
}

impl Serialize for Cells {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl<'de> Visitor<'de> for Bytes {
            type Value = Cells;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the canonical encoding of field elements")
            }

            fn visit_bytes<E: serde::de::Error>(self, mut bytes: &[u8]) -> Result<Cells, E> {
                // Every cell takes a byte at least, so this allocates in proportion to the input.
                let mut cells = Vec::new();
                while !bytes.is_empty() {
                    let (cell, rest) = decode(bytes)
                        .map_err(|_| E::custom("a field element is not in canonical form"))?;
                    cells.push(cell);
                    bytes = rest;
                }
                Ok(Cells(cells))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cells, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element::<u8>()? {
                    bytes.push(byte);
                }
                self.visit_bytes(&bytes)
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(cells: &[F]) -> Vec<u8> {
        Cells(cells.to_vec()).to_bytes()
    }

    #[test]
    fn small_cells_are_short() {
        let cell = |v: i64| {
            if v < 0 {
                -F::from_u64(v.unsigned_abs())
            } else {
                F::from_u64(v as u64)
            }
        };
        for (v, len) in [
            (0, 1),
            (63, 1),
            (-64, 1),
            (64, 2),
            (-65, 2),
            (8191, 2),
            (8192, 3),
        ] {
            assert_eq!(bytes_of(&[cell(v)]).len(), len, "{v}");
            #[cfg(feature = "prover")]
            assert_eq!(Cells::bytes_of(v), len as u32, "{v}");
        }
    }

    #[test]
    fn extremes_round_trip() {
        let half = F::ORDER_U64 / 2;
        for x in [0, 1, half - 1, half, half + 1, F::ORDER_U64 - 1] {
            let bytes = bytes_of(&[F::from_u64(x)]);
            let (cells, rest) = Cells::split_from(&bytes, 1).unwrap();
            assert_eq!(cells.as_slice(), &[F::from_u64(x)]);
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn other_forms_are_rejected() {
        // p itself, the largest u64, an eleventh digit, a superfluous zero digit.
        for z in [F::ORDER_U64, u64::MAX] {
            let mut bytes = vec![];
            let mut z = z;
            while z >= 128 {
                bytes.push(z as u8 | 128);
                z >>= 7;
            }
            bytes.push(z as u8);
            assert_eq!(decode(&bytes), Err(Malformed::NonCanonical));
        }
        assert_eq!(decode(&[128; 11]), Err(Malformed::NonCanonical));
        assert_eq!(
            decode(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 2]),
            Err(Malformed::NonCanonical)
        );
        assert_eq!(decode(&[129, 0]), Err(Malformed::NonCanonical));
        assert_eq!(decode(&[129]), Err(Malformed::Truncated));
        assert_eq!(decode(&[]), Err(Malformed::Truncated));
    }

    proptest! {
        #[test]
        fn encoding_is_a_bijection(values in proptest::collection::vec(any::<u64>(), 0..20)) {
            let cells: Vec<F> = values.iter().map(|&v| F::from_u64(v)).collect();
            let bytes = bytes_of(&cells);
            let (back, rest) = Cells::split_from(&bytes, cells.len()).unwrap();
            prop_assert_eq!(back.as_slice(), &cells[..]);
            prop_assert!(rest.is_empty());
            let stored = postcard::to_allocvec(&back).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Cells>(&stored).unwrap(), back);
        }

        #[test]
        fn whatever_decodes_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            if let Ok((cell, rest)) = decode(&bytes) {
                prop_assert_eq!(bytes_of(&[cell]), &bytes[..bytes.len() - rest.len()]);
            }
        }
    }
}
