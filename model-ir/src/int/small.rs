//! Integers of 32 bits that mostly have fewer.

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// Integers, in memory in the smallest type that holds all of them; in files each as short as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct SmallInts(Cells);

/// The type is the smallest one: what is equal is equal in the same type.
#[derive(Clone, PartialEq, Eq)]
enum Cells {
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
}

/// The cells of [`SmallInts`].
#[derive(Clone, Copy, Debug)]
pub enum SmallSlice<'a> {
    /// 8-bit cells.
    I8(&'a [i8]),
    /// 16-bit cells.
    I16(&'a [i16]),
    /// 32-bit cells.
    I32(&'a [i32]),
}

impl SmallInts {
    /// Integers that are none.
    fn new() -> Self {
        Self(Cells::I8(vec![]))
    }

    /// The cells as they are.
    pub fn as_slice(&self) -> SmallSlice<'_> {
        match &self.0 {
            Cells::I8(x) => SmallSlice::I8(x),
            Cells::I16(x) => SmallSlice::I16(x),
            Cells::I32(x) => SmallSlice::I32(x),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self.as_slice() {
            SmallSlice::I8(x) => x.len(),
            SmallSlice::I16(x) => x.len(),
            SmallSlice::I32(x) => x.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Integer `i`.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn get(&self, i: usize) -> i32 {
        match self.as_slice() {
            SmallSlice::I8(x) => x[i].into(),
            SmallSlice::I16(x) => x[i].into(),
            SmallSlice::I32(x) => x[i],
        }
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = i32> {
        (0..self.len()).map(|i| self.get(i))
    }

    /// All of them as 32-bit integers, which takes four times the memory for the time being.
    pub fn widened(&self) -> Cow<'_, [i32]> {
        match self.as_slice() {
            SmallSlice::I8(x) => x.iter().map(|&x| x.into()).collect(),
            SmallSlice::I16(x) => x.iter().map(|&x| x.into()).collect(),
            SmallSlice::I32(x) => Cow::Borrowed(x),
        }
    }

    /// Changes them.
    pub fn update(&mut self, change: impl FnOnce(&mut Vec<i32>)) {
        let mut cells = self.widened().into_owned();
        change(&mut cells);
        *self = cells.into();
    }

    /// One more.
    fn push(&mut self, cell: i32) {
        match &mut self.0 {
            Cells::I8(x) => {
                if let Ok(cell) = cell.try_into() {
                    return x.push(cell);
                }
                let wider = x.iter().map(|&x| x.into()).collect();
                self.0 = Cells::I16(wider);
            }
            Cells::I16(x) => {
                if let Ok(cell) = cell.try_into() {
                    return x.push(cell);
                }
                let wider = x.iter().map(|&x| x.into()).collect();
                self.0 = Cells::I32(wider);
            }
            Cells::I32(x) => return x.push(cell),
        }
        self.push(cell);
    }
}

impl From<Vec<i32>> for SmallInts {
    fn from(cells: Vec<i32>) -> Self {
        let fits = |lo: i32, hi: i32| cells.iter().all(|x| (lo..=hi).contains(x));
        #[allow(clippy::cast_possible_truncation, clippy::as_conversions)] // they fit
        Self(if fits(i8::MIN.into(), i8::MAX.into()) {
            Cells::I8(cells.iter().map(|&x| x as i8).collect())
        } else if fits(i16::MIN.into(), i16::MAX.into()) {
            Cells::I16(cells.iter().map(|&x| x as i16).collect())
        } else {
            Cells::I32(cells)
        })
    }
}

impl FromIterator<i32> for SmallInts {
    fn from_iter<I: IntoIterator<Item = i32>>(cells: I) -> Self {
        cells.into_iter().collect::<Vec<_>>().into()
    }
}

impl fmt::Debug for SmallInts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for SmallInts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_slice() {
            SmallSlice::I8(x) => serializer.collect_seq(x.iter().map(|&x| i32::from(x))),
            SmallSlice::I16(x) => serializer.collect_seq(x.iter().map(|&x| i32::from(x))),
            SmallSlice::I32(x) => serializer.collect_seq(x),
        }
    }
}

impl<'de> Deserialize<'de> for SmallInts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Integers;

        impl<'de> Visitor<'de> for Integers {
            type Value = SmallInts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("32-bit integers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut cells: A) -> Result<SmallInts, A::Error> {
                let mut integers = SmallInts::new();
                while let Some(cell) = cells.next_element()? {
                    integers.push(cell);
                }
                Ok(integers)
            }
        }

        deserializer.deserialize_seq(Integers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_the_smallest_one() {
        for (cells, bytes) in [
            (vec![], 1),
            (vec![0, -128, 127], 1),
            (vec![0, 128], 2),
            (vec![-129, 5], 2),
            (vec![1, 2, i16::MAX.into(), i16::MIN.into()], 2),
            (vec![3, -3, 1 << 15], 4),
            (vec![i32::MIN, 0, i32::MAX], 4),
        ] {
            let small = SmallInts::from(cells.clone());
            let size = match small.as_slice() {
                SmallSlice::I8(_) => 1,
                SmallSlice::I16(_) => 2,
                SmallSlice::I32(_) => 4,
            };
            assert_eq!(size, bytes, "{cells:?}");
            assert_eq!(small.len(), cells.len());
            assert_eq!(small.iter().collect::<Vec<_>>(), cells);
            assert_eq!(*small.widened(), cells);
            // In files they are what a list is.
            let written = postcard::to_allocvec(&small).expect("writes");
            assert_eq!(written, postcard::to_allocvec(&cells).expect("writes"));
            let read: SmallInts = postcard::from_bytes(&written).expect("reads");
            assert_eq!(read, small);
        }
        let mut small = SmallInts::from(vec![1 << 20, 3]);
        small.update(|cells| cells[0] = 7);
        assert_eq!(small, SmallInts::from(vec![7, 3]));
    }
}
