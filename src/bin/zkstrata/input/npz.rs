//! `.npz` and `.npy` files, of any number type.
//!
//! The header of an array says what the array is; it is judged before any cell is decompressed, and
//! members that no input asks for are never opened.

use super::{Layout, Port, Stack, Wanted};
use ndarray::ArrayD;
use std::io::{Cursor, Read};
use zip::ZipArchive;
use zkstrata::ndarray;
use zkstrata_conformance::npy::{Header, Order};

/// Most bytes that the arrays of an archive may take, decompressed.
const LIMIT: usize = 4 << 30;

/// A `.npz` file.
pub(super) struct Archive<'a> {
    file: ZipArchive<Cursor<&'a [u8]>>,
    /// Name and index of every array.
    arrays: Vec<(String, usize)>,
    /// Bytes that may still be decompressed.
    left: usize,
}

impl<'a> Archive<'a> {
    /// Lists the arrays.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let file = ZipArchive::new(Cursor::new(bytes)).map_err(|e| unreadable(&e))?;
        let array = |i: usize| Some((file.name_for_index(i)?.strip_suffix(".npy")?.to_owned(), i));
        let arrays: Vec<_> = (0..file.len()).filter_map(array).collect();
        if arrays.is_empty() {
            return Err("the .npz file has no arrays".into());
        }
        let left = LIMIT;
        Ok(Self { file, arrays, left })
    }

    /// The names of the arrays.
    pub(super) fn names(&self) -> Vec<&str> {
        self.arrays.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The shape of one array.
    pub(super) fn shape(&mut self, array: usize) -> Result<Vec<usize>, String> {
        let (_, index) = &self.arrays[array];
        let mut member = self.file.by_index(*index).map_err(|e| unreadable(&e))?;
        Ok(Header::read(&mut member)?.shape().to_vec())
    }

    /// The samples of one array.
    pub(super) fn stack(
        &mut self,
        array: usize,
        port: &Port,
        wanted: Wanted,
    ) -> Result<Stack, String> {
        let (_, index) = &self.arrays[array];
        let member = self.file.by_index(*index).map_err(|e| unreadable(&e))?;
        stack(member, port, wanted, &mut self.left)
    }
}

fn unreadable(error: &dyn std::error::Error) -> String {
    format!("not a readable .npz file: {error}")
}

/// The shape of a `.npy` file.
pub(super) fn shape(mut bytes: &[u8]) -> Result<Vec<usize>, String> {
    Ok(Header::read(&mut bytes)?.shape().to_vec())
}

/// The samples of a `.npy` file, which is not compressed.
pub(super) fn array(bytes: &[u8], port: &Port, wanted: Wanted) -> Result<Stack, String> {
    stack(bytes, port, wanted, &mut bytes.len())
}

/// Reads an array, and takes its bytes off what is `left`.
fn stack(
    mut file: impl Read,
    port: &Port,
    wanted: Wanted,
    left: &mut usize,
) -> Result<Stack, String> {
    let header = Header::read(&mut file)?;
    let Layout { samples, cells } = Layout::new(header.shape(), port)?;
    let count = wanted.of(samples)?;
    let bytes = cells.checked_mul(header.width());
    let stored = match header.order() {
        Order::Rows => count,
        Order::Columns => samples,
    };
    let total = bytes.and_then(|bytes| bytes.checked_mul(stored));
    let rest = total.and_then(|total| left.checked_sub(total));
    let (Some(bytes), Some(total), Some(rest)) = (bytes, total, rest) else {
        return Err(format!(
            "{samples} samples are more than the file holds, or than the {LIMIT} bytes that are read"
        ));
    };
    *left = rest;

    let read: Result<Vec<ArrayD<f32>>, String> = match header.order() {
        Order::Rows => {
            let sample = |i| port.sample(header.kind(), i, &header.cells(&take(&mut file, bytes)?));
            (0..count).map(sample).collect()
        }
        Order::Columns => {
            let array = header.array::<f64>(header.cells(&take(&mut file, total)?));
            let array = array.ok_or("the array is too large")?;
            let rows: Vec<f64> = array.iter().copied().collect();
            let rows = rows.chunks_exact(cells).take(count).enumerate();
            rows.map(|(i, row)| port.sample(header.kind(), i, row))
                .collect()
        }
    };
    let read = read?;
    if stored == samples {
        expect_end(&mut file)?;
    }
    Ok(Stack {
        found: samples,
        samples: read,
    })
}

/// The next bytes of a file.
fn take(file: &mut impl Read, bytes: usize) -> Result<Vec<u8>, String> {
    let mut read = Vec::new();
    let found = file.take(bytes as u64).read_to_end(&mut read);
    match found.map_err(|e| unreadable(&e))? {
        found if found == bytes => Ok(read),
        _ => Err("the file ends within the array".into()),
    }
}

/// Fails unless the file ends here. An archive compares its checksum with what was read.
fn expect_end(file: &mut impl Read) -> Result<(), String> {
    match file.read(&mut [0]).map_err(|e| unreadable(&e))? {
        0 => Ok(()),
        _ => Err("the file goes on after the array".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::port::tests::port;
    use super::*;
    use ndarray::{Array, Dimension, arr2};
    use ndarray_npy::{NpzWriter, WritableElement, WriteNpyExt};
    use std::io::Write;
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    fn npy<A: WritableElement, D: Dimension>(x: &Array<A, D>) -> Vec<u8> {
        let mut bytes = Vec::new();
        x.write_npy(&mut bytes).expect("memory takes all");
        bytes
    }

    fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut file = ZipWriter::new(Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (name, bytes) in members {
            file.start_file(*name, options).expect("starts");
            file.write_all(bytes).expect("writes");
        }
        file.finish().expect("ends").into_inner()
    }

    fn first(bytes: &[u8], wanted: Wanted) -> Result<Stack, String> {
        Archive::open(bytes)?.stack(0, &port(&[2]), wanted)
    }

    #[test]
    fn archives_are_inflated() {
        let mut file = Cursor::new(Vec::new());
        let mut writer = NpzWriter::new_compressed(&mut file);
        let x = arr2(&[[1.0_f32, 2.0], [3.0, 4.0]]);
        writer.add_array("x", &x.t()).expect("adds");
        writer.finish().expect("ends");
        let bytes = file.into_inner();
        assert_eq!(Archive::open(&bytes).expect("opens").names(), ["x"]);
        let stack = first(&bytes, Wanted::All).expect("reads");
        let cells: Vec<f32> = stack.samples.iter().flatten().copied().collect();
        assert_eq!((stack.found, cells), (2, vec![1.0, 3.0, 2.0, 4.0]));
        let stack = first(&bytes, Wanted::First(1)).expect("reads");
        assert_eq!((stack.found, stack.samples.len()), (2, 1));
        assert!(Archive::open(b"PK\x03\x04 not really").is_err());
    }

    #[test]
    fn members_must_be_what_their_header_says() {
        let whole = npy(&arr2(&[[1_i64, 2], [3, 4]]));
        let long = [&whole[..], &[0]].concat();
        for (cells, wanted, works) in [
            (&whole[..], Wanted::All, true),
            (&long, Wanted::All, false),
            (&long, Wanted::First(1), true),
            (&whole[..whole.len() - 1], Wanted::All, false),
            (&whole[..whole.len() - 1], Wanted::First(1), true),
            (&whole[..40], Wanted::All, false),
        ] {
            let zipped = first(&zipped(&[("x.npy", cells)]), wanted);
            assert_eq!(zipped.is_ok(), works, "{wanted:?} of {}", cells.len());
            assert_eq!(array(cells, &port(&[2]), wanted).is_ok(), works);
        }
        let mut damaged = zipped(&[("x.npy", &whole)]);
        let at = damaged
            .windows(4)
            .position(|w| w == [3, 0, 0, 0])
            .expect("a cell");
        damaged[at] = 5;
        assert!(first(&damaged, Wanted::All).is_err());
    }

    /// The header claims 2^50 samples; nothing that it claims is read or allocated.
    #[test]
    fn claims_are_not_believed() {
        let mut huge = npy(&arr2(&[[0_u8; 2]; 2]));
        let at = huge
            .windows(6)
            .position(|w| w == b"(2, 2)")
            .expect("a shape");
        let end = huge.len() - 4;
        huge[at..end].fill(b' ');
        let claim = b"(1125899906842624, 2)}";
        huge[at..at + claim.len()].copy_from_slice(claim);
        huge[end - 1] = b'\n';
        for wanted in [Wanted::All, Wanted::AtMost(1024)] {
            let zipped = first(&zipped(&[("x.npy", &huge)]), wanted);
            assert!(zipped.expect_err("too many").contains("1125899906842624"));
            assert!(array(&huge, &port(&[2]), wanted).is_err());
        }
    }

    #[test]
    fn the_arrays_of_an_archive_add_up() {
        let file = zipped(&[("a.npy", &npy(&arr2(&[[1_u8, 2]])))]);
        let mut archive = Archive::open(&file).expect("opens");
        archive.left = 3;
        archive
            .stack(0, &port(&[2]), Wanted::All)
            .expect("two bytes");
        archive
            .stack(0, &port(&[2]), Wanted::All)
            .expect_err("two more");
    }
}
