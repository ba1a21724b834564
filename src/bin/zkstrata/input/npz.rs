//! `.npz` and `.npy` files, of any number type, as single precision.

use super::Arrays;
use ndarray::ArrayD;
use std::io::{Cursor, Read};
use zip::ZipArchive;
use zkstrata::ndarray;
use zkstrata_conformance::npy;

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

/// The array of a `.npy` file.
pub(super) fn array(bytes: &[u8]) -> Result<ArrayD<f32>, String> {
    npy::read(bytes).map(|(_, array)| array)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr2;
    use ndarray_npy::NpzWriter;

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
