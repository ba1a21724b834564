//! How tables are stored: the values of a rounded function stay the same for many rows, or change by little
//! from one to the next, so that what is written of most is where they change and by how much.
//!
//! A few bytes may then stand for a million rows. So that a hostile file cannot ask for much more memory than
//! it has bytes, the tables of a graph that are stored this way have at most [`MAX_ROWS`] rows together;
//! further ones are stored row by row. A row in a file has a byte at least, a step two, and they have four
//! and eight in memory.

use super::graph::MAX_NODES;
use super::table::{Function, Table};
use super::validate::MAX_TABLE;
use crate::bounded;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Most rows of all tables of a graph that are stored by their steps: 16 MiB of values.
const MAX_ROWS: usize = 1 << 22;

#[derive(Serialize, Deserialize)]
struct Stored<F> {
    function: F,
    start: i64,
    len: usize,
}

/// A function as it is written.
#[derive(Serialize)]
enum Written<'a> {
    Range,
    Clamp { lo: i64, hi: i64 },
    Values(&'a [i32]),
    Steps { rises: Vec<i32>, more: Vec<u32> },
}

/// The same as it is read.
#[derive(Deserialize)]
enum Read {
    Range,
    Clamp {
        lo: i64,
        hi: i64,
    },
    Values(#[serde(deserialize_with = "bounded::<_, _, MAX_TABLE>")] Vec<i32>),
    /// Of rows with one value, by how much it is larger than the value before, modulo `2^32`, before the first
    /// row there is 0; and how many rows they are, less one. All rises are mostly the same: they stand together.
    Steps {
        #[serde(deserialize_with = "bounded::<_, _, MAX_TABLE>")]
        rises: Vec<i32>,
        #[serde(deserialize_with = "bounded::<_, _, MAX_TABLE>")]
        more: Vec<u32>,
    },
}

/// What is left of [`MAX_ROWS`].
struct Rows(usize);

impl Rows {
    fn take(&mut self, rows: usize) -> bool {
        let left = self.0.checked_sub(rows);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

fn steps(values: &[i32]) -> (Vec<i32>, Vec<u32>) {
    let mut before = 0;
    let step = |rows: &[i32]| {
        let rise = rows[0].wrapping_sub(before);
        before = rows[0];
        (rise, (rows.len() - 1) as u32)
    };
    values.chunk_by(|a, b| a == b).map(step).unzip()
}

/// How many bytes integers take.
fn bytes<T: Serialize>(integers: &[T]) -> usize {
    let size = postcard::ser_flavors::Size::default();
    postcard::serialize_with_flavor(integers, size).unwrap_or(usize::MAX)
}

/// The values of steps, unless there are not as many rises as lengths, or more of them than `rows` has left.
fn values(rises: &[i32], more: &[u32], rows: &mut Rows) -> Option<Vec<i32>> {
    let lengths = || more.iter().map(|&more| (more as usize).saturating_add(1));
    let len = lengths().fold(0, usize::saturating_add);
    if rises.len() != more.len() || !rows.take(len) {
        return None;
    }
    let mut values = Vec::with_capacity(len);
    let mut value = 0i32;
    for (rise, length) in rises.iter().zip(lengths()) {
        value = value.wrapping_add(*rise);
        values.resize(values.len() + length, value);
    }
    Some(values)
}

pub(super) fn serialize<S: Serializer>(tables: &[Table], serializer: S) -> Result<S::Ok, S::Error> {
    let mut rows = Rows(MAX_ROWS);
    let stored = tables.iter().map(|table| Stored {
        function: match &table.function {
            Function::Range => Written::Range,
            &Function::Clamp { lo, hi } => Written::Clamp { lo, hi },
            Function::Values(values) => {
                let (rises, more) = steps(values);
                if bytes(&rises) + bytes(&more) < bytes(values) && rows.take(values.len()) {
                    Written::Steps { rises, more }
                } else {
                    Written::Values(values)
                }
            }
        },
        start: table.start,
        len: table.len,
    });
    serializer.collect_seq(stored)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Table>, D::Error> {
    let stored: Vec<Stored<Read>> = bounded::<_, _, MAX_NODES>(deserializer)?;
    let mut rows = Rows(MAX_ROWS);
    let table = |stored: Stored<Read>| {
        let function = match stored.function {
            Read::Range => Function::Range,
            Read::Clamp { lo, hi } => Function::Clamp { lo, hi },
            Read::Values(values) => Function::Values(values),
            Read::Steps { rises, more } => {
                let values = values(&rises, &more, &mut rows);
                Function::Values(
                    values.ok_or_else(|| D::Error::custom("a table of too many rows"))?,
                )
            }
        };
        Ok(Table {
            function,
            start: stored.start,
            len: stored.len,
        })
    };
    stored.into_iter().map(table).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Tables(#[serde(with = "super")] Vec<Table>);

    fn table(function: Function, len: usize) -> Table {
        Table {
            function,
            start: -5,
            len,
        }
    }

    fn of(values: Vec<i32>) -> Table {
        let len = values.len();
        table(Function::Values(values), len)
    }

    fn written(tables: &Tables) -> Vec<u8> {
        postcard::to_allocvec(tables).expect("plain data")
    }

    #[test]
    fn tables_are_read_as_they_are_written() {
        let smooth = of((0..60_000).map(|x| x / 41 - 700).collect());
        let ends = of(vec![
            i32::MIN,
            i32::MIN,
            i32::MIN,
            i32::MAX,
            i32::MAX,
            i32::MAX,
            i32::MAX,
        ]);
        let rough = of((0..1000).map(|x| x * x % 17).collect());
        let others = [Function::Range, Function::Clamp { lo: -3, hi: 9 }];
        let [range, clamp] = others.map(|function| table(function, 16));
        let tables = Tables(vec![smooth, range, ends, clamp, rough, of(vec![])]);
        let written = written(&tables);
        // 60,000 / 41 steps of two bytes, and 1,000 values of one.
        assert!(written.len() < 3000 + 1100, "{}", written.len());
        assert_eq!(postcard::from_bytes(&written), Ok(tables));
    }

    /// A table is larger than its bytes up to a limit, for the writer as for the reader.
    #[test]
    fn few_bytes_ask_for_little_memory() {
        let constant = || of(vec![7; 1 << 20]);
        let tables = Tables((0..5).map(|_| constant()).collect());
        let written = written(&tables);
        assert!(written.len() > 1 << 20, "the fifth is written row by row");
        assert_eq!(postcard::from_bytes(&written), Ok(tables));
        let bomb = |steps: Vec<(i32, u32)>| {
            let (rises, more) = steps.into_iter().unzip();
            let stored = Stored {
                function: Written::Steps { rises, more },
                start: 0,
                len: 1,
            };
            let written = postcard::to_allocvec(&vec![stored]).expect("plain data");
            postcard::from_bytes::<Tables>(&written)
        };
        let step = |rise, more| (rise, more);
        assert!(bomb(vec![step(1, u32::MAX)]).is_err());
        assert!(bomb((0..1000).map(|_| step(1, 1 << 20)).collect()).is_err());
        assert!(bomb((0..=1 << 20).map(|_| step(1, 0)).collect()).is_err());
        assert!(bomb(vec![step(i32::MIN, (1 << 22) - 1)]).is_ok());
        assert!(bomb(vec![step(i32::MIN, 1 << 22)]).is_err());
        let uneven = Stored {
            function: Written::Steps {
                rises: vec![1, 1],
                more: vec![1],
            },
            start: 0,
            len: 2,
        };
        let written = postcard::to_allocvec(&vec![uneven]).expect("plain data");
        assert!(postcard::from_bytes::<Tables>(&written).is_err());
    }
}
