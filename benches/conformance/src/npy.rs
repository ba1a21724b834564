//! `.npy` files of any number type.

use ndarray::{ArrayD, ArrayViewD};
use ndarray_npy::{ViewElement, ViewNpyError, ViewNpyExt};

/// What the cells of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Floating-point numbers.
    Float,
    /// Integers of any width.
    Integer,
    /// Truth values, which are read as 0 and 1.
    Bool,
}

/// The real numbers that an array is read as: the nearest one to each cell.
pub trait Real: Copy {
    /// A floating-point cell.
    fn float(x: f64) -> Self;
    /// An integer cell.
    fn signed(x: i64) -> Self;
    /// An integer cell of an unsigned type.
    fn unsigned(x: u64) -> Self;
}

impl Real for f32 {
    fn float(x: f64) -> Self {
        x as Self
    }

    fn signed(x: i64) -> Self {
        x as Self
    }

    fn unsigned(x: u64) -> Self {
        x as Self
    }
}

impl Real for f64 {
    fn float(x: f64) -> Self {
        x
    }

    fn signed(x: i64) -> Self {
        x as Self
    }

    fn unsigned(x: u64) -> Self {
        x as Self
    }
}

/// Reads cells of one number type.
type Reader<R> = fn(&[u8]) -> Result<ArrayD<R>, ViewNpyError>;

/// The array of a `.npy` file, and what its cells were.
///
/// # Errors
/// In words: a file that is not of this format, or an element type that is no number.
pub fn read<R: Real>(bytes: &[u8]) -> Result<(Kind, ArrayD<R>), String> {
    let readers: [(Kind, Reader<R>); 11] = [
        (Kind::Float, |bytes| {
            cells(bytes, |x: f32| R::float(x.into()))
        }),
        (Kind::Float, |bytes| cells(bytes, |x: f64| R::float(x))),
        (Kind::Integer, |bytes| cells(bytes, |x: i64| R::signed(x))),
        (Kind::Integer, |bytes| {
            cells(bytes, |x: i32| R::signed(x.into()))
        }),
        (Kind::Integer, |bytes| {
            cells(bytes, |x: i16| R::signed(x.into()))
        }),
        (Kind::Integer, |bytes| {
            cells(bytes, |x: i8| R::signed(x.into()))
        }),
        (Kind::Integer, |bytes| cells(bytes, |x: u64| R::unsigned(x))),
        (Kind::Integer, |bytes| {
            cells(bytes, |x: u32| R::unsigned(x.into()))
        }),
        (Kind::Integer, |bytes| {
            cells(bytes, |x: u16| R::unsigned(x.into()))
        }),
        (Kind::Integer, |bytes| {
            cells(bytes, |x: u8| R::unsigned(x.into()))
        }),
        (Kind::Bool, |bytes| {
            cells(bytes, |x: bool| R::unsigned(x.into()))
        }),
    ];
    for (kind, reader) in readers {
        match reader(bytes) {
            Err(ViewNpyError::WrongDescriptor(_)) => {}
            Err(error) => return Err(format!("not a readable .npy file: {error}")),
            Ok(array) => return Ok((kind, array)),
        }
    }
    Err("this number type is not supported; save it as float32".into())
}

/// The cells as numbers. A view, so that what the header claims is never allocated.
fn cells<T: ViewElement + Copy, R>(
    bytes: &[u8],
    number: fn(T) -> R,
) -> Result<ArrayD<R>, ViewNpyError> {
    Ok(ArrayViewD::<T>::view_npy(bytes)?.mapv(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array1};
    use ndarray_npy::{WritableElement, WriteNpyExt};

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
            (Kind::Float, npy(&[0.0_f32, 1.0])),
            (Kind::Float, npy(&[0.0_f64, 1.0])),
            (Kind::Integer, npy(&[0_i64, 1])),
            (Kind::Integer, npy(&[0_i8, 1])),
            (Kind::Integer, npy(&[0_u64, 1])),
            (Kind::Integer, npy(&[0_u32, 1])),
            (Kind::Bool, npy(&[false, true])),
        ];
        for (kind, file) in files {
            assert_eq!(read::<f32>(&file), Ok((kind, expected.clone())));
            assert!(read::<f32>(&file[..file.len() - 1]).is_err());
        }
        assert!(read::<f32>(b"PK").is_err());
        let exact = (1_i64 << 53) - 1;
        let (_, array) = read::<f64>(&npy(&[exact])).expect("reads");
        assert_eq!(array[0] as i64, exact);
    }

    #[test]
    fn a_header_allocates_nothing() {
        // It claims 2^50 cells.
        let mut huge = npy(&[0_u8; 4]);
        let at = huge.windows(4).position(|w| w == b"(4,)").expect("a shape");
        let end = huge.len() - 4;
        huge[at..end].fill(b' ');
        let claim = b"(1125899906842624,)}";
        huge[at..at + claim.len()].copy_from_slice(claim);
        huge[end - 1] = b'\n';
        assert!(read::<f32>(&huge).is_err());
    }
}
