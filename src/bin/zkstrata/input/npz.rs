//! `.npz` and `.npy` files, of any number type, as single precision.

use super::Arrays;
use ndarray::{ArrayD, ArrayViewD};
use ndarray_npy::{ViewElement, ViewNpyError, ViewNpyExt};
use std::io::{Cursor, Read};
use zip::ZipArchive;
use zkstrata::ndarray;

/// Largest member of an archive, decompressed.
const MEMBER_LIMIT: u64 = 4 << 30;

/// The arrays of a `.npz` file.
pub(super) fn archive(bytes: Vec<u8>) -> Result<Arrays, String> {
    let broken = |error: &dyn std::error::Error| format!("not a readable .npz file: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| broken(&e))?;
    let mut arrays = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index(index).map_err(|e| broken(&e))?;
        let name = member.name().to_owned();
        let Some(name) = name.strip_suffix(".npy") else {
            continue;
        };
        let mut bytes = Vec::new();
        let read = member.take(MEMBER_LIMIT + 1).read_to_end(&mut bytes);
        if read.map_err(|e| broken(&e))? as u64 > MEMBER_LIMIT {
            return Err(format!(
                "array `{name}` is larger than {MEMBER_LIMIT} bytes"
            ));
        }
        let array = array(&bytes).map_err(|error| format!("array `{name}`: {error}"))?;
        arrays.push((name.to_owned(), array));
    }
    if arrays.is_empty() {
        return Err("the .npz file has no arrays".into());
    }
    Ok(Arrays::Named(arrays))
}

/// Reads cells of one number type.
type Reader = fn(&[u8]) -> Result<ArrayD<f32>, ViewNpyError>;

/// The array of a `.npy` file.
pub(super) fn array(bytes: &[u8]) -> Result<ArrayD<f32>, String> {
    let readers: [Reader; 9] = [
        |bytes| cells(bytes, |x: f32| x),
        |bytes| cells(bytes, |x: f64| x as f32),
        |bytes| cells(bytes, |x: i64| x as f32),
        |bytes| cells(bytes, |x: i32| x as f32),
        |bytes| cells(bytes, |x: i16| x.into()),
        |bytes| cells(bytes, |x: i8| x.into()),
        |bytes| cells(bytes, |x: u8| x.into()),
        |bytes| cells(bytes, |x: u16| x.into()),
        |bytes| cells(bytes, |x: bool| x.into()),
    ];
    for reader in readers {
        match reader(bytes) {
            Err(ViewNpyError::WrongDescriptor(_)) => {}
            Err(error) => return Err(format!("not a readable .npy file: {error}")),
            Ok(array) => return Ok(array),
        }
    }
    Err("this number type is not supported; save it as float32".into())
}

/// The cells as numbers. A view, so that what the header claims is never allocated.
fn cells<T: ViewElement + Copy>(
    bytes: &[u8],
    number: fn(T) -> f32,
) -> Result<ArrayD<f32>, ViewNpyError> {
    Ok(ArrayViewD::<T>::view_npy(bytes)?.mapv(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array1, arr2};
    use ndarray_npy::{NpzWriter, WritableElement, WriteNpyExt};

    fn npy<A: WritableElement + Clone>(cells: &[A]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let array: Array1<A> = Array::from(cells.to_vec());
        array.write_npy(&mut bytes).expect("memory takes all");
        bytes
    }

    #[test]
    fn number_types_convert() {
        let expected = ndarray::arr1(&[0.0, 1.0]).into_dyn();
        let files = [
            npy(&[0.0_f32, 1.0]),
            npy(&[0.0_f64, 1.0]),
            npy(&[0_i64, 1]),
            npy(&[0_i32, 1]),
            npy(&[0_u8, 1]),
            npy(&[false, true]),
        ];
        for file in files {
            assert_eq!(array(&file).as_ref(), Ok(&expected));
            assert!(array(&file[..file.len() - 1]).is_err());
        }
        assert!(array(&npy(&[0_u64])).is_err());
        // A header that claims 2^50 cells.
        let mut huge = npy(&[0_u8; 4]);
        let at = huge.windows(4).position(|w| w == b"(4,)").expect("a shape");
        let end = huge.len() - 4;
        huge[at..end].fill(b' ');
        let claim = b"(1125899906842624,)}";
        huge[at..at + claim.len()].copy_from_slice(claim);
        huge[end - 1] = b'\n';
        assert!(array(&huge).is_err());
    }

    #[test]
    fn archives_are_inflated() {
        let mut file = Cursor::new(Vec::new());
        let mut writer = NpzWriter::new_compressed(&mut file);
        let x = arr2(&[[1.0_f32, 2.0], [3.0, 4.0]]);
        writer.add_array("x", &x.t()).expect("adds");
        writer.finish().expect("ends");
        let Ok(Arrays::Named(arrays)) = archive(file.into_inner()) else {
            panic!("not read");
        };
        assert_eq!(arrays, [("x".to_owned(), x.t().to_owned().into_dyn())]);
        assert!(archive(b"PK\x03\x04 not really".to_vec()).is_err());
    }
}
