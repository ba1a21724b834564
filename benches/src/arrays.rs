//! Samples in `.npz` files.

use crate::failure::{Context, Failure};
use ndarray::{ArrayD, Axis};
use ndarray_npy::{NpzReader, NpzWriter, ReadNpzError};
use std::fs::File;
use std::path::Path;

/// One array per model input.
pub(crate) type Sample = Vec<ArrayD<f32>>;

/// The arrays of numbers of a file by name, in the file's order.
pub(crate) fn read(path: &Path) -> Result<Vec<(String, ArrayD<f32>)>, Failure> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = NpzReader::new(File::open(path).context(cannot())?).context(cannot())?;
    let names = file.names().context(cannot())?;
    let arrays = names.into_iter().map(|name| {
        let array = cells(&mut file, &name).context(format!("{}: `{name}`", cannot()))?;
        Ok((name.trim_end_matches(".npy").to_owned(), array))
    });
    arrays.collect()
}

/// An array of one of the number types that inputs have.
fn cells(file: &mut NpzReader<File>, name: &str) -> Result<ArrayD<f32>, ReadNpzError> {
    if let Ok(array) = file.by_name(name) {
        return Ok(array);
    }
    if let Ok(array) = file.by_name(name) {
        let array: ArrayD<f64> = array;
        return Ok(array.mapv(|x| x as f32));
    }
    let array: ArrayD<i64> = file.by_name(name)?;
    Ok(array.mapv(|x| x as f32))
}

/// Writes samples, stacked along a new first axis: one array per model input, in order.
pub(crate) fn write_samples(path: &Path, samples: &[Sample]) -> Result<(), Failure> {
    let cannot = || format!("cannot write {}", path.display());
    let mut file = NpzWriter::new(File::create(path).context(cannot())?);
    for input in 0..samples.first().map_or(0, Vec::len) {
        let views: Vec<_> = samples.iter().map(|sample| sample[input].view()).collect();
        let stacked = ndarray::stack(Axis(0), &views).context(cannot())?;
        // Names that sort as the inputs do.
        let name = format!("input{input:04}");
        file.add_array(name, &stacked).context(cannot())?;
    }
    file.finish().context(cannot())?;
    Ok(())
}

/// Reads what [`write_samples`] wrote.
pub(crate) fn read_samples(path: &Path) -> Result<Vec<Sample>, Failure> {
    let stacks = read(path)?;
    let count = stacks.first().map_or(0, |(_, stack)| stack.shape()[0]);
    let sample = |i| {
        let arrays = stacks.iter();
        let arrays = arrays.map(|(_, stack)| stack.index_axis(Axis(0), i).to_owned());
        arrays.collect()
    };
    Ok((0..count).map(sample).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_survive_a_file() {
        let array = |n: usize, shape: &[usize]| ArrayD::from_elem(shape, n as f32);
        let sample = |n| vec![array(n, &[1, 2, 3]), array(n + 10, &[])];
        let samples: Vec<Sample> = (0..3).map(sample).collect();
        let path = std::env::temp_dir().join(format!("samples-{}.npz", std::process::id()));
        write_samples(&path, &samples).expect("writes");
        let read = read_samples(&path);
        std::fs::remove_file(&path).expect("removes");
        assert_eq!(read.expect("reads"), samples);
    }
}
