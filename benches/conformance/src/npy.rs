//! `.npy` files of any number type.
//!
//! `\x93NUMPY`, a version, the length of a header, the header (a Python dictionary of element type,
//! order of the axes and shape), and the cells. The header is read alone, so that it can be judged
//! before the cells are.

use half::f16;
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use py_literal::Value;
use std::io::Read;

/// Bytes of the longest header that is read; that of an array of numbers takes about 100.
const HEADER: usize = 10_000;
/// Brackets of the header of an array of numbers: of the dictionary and of the shape.
const BRACKETS: usize = 2;

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

/// A number type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    Bool,
}

/// What comes first of an element's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endian {
    Little,
    Big,
}

/// Which axis of the array varies fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The last: the array is its rows, one after the other.
    Rows,
    /// The first.
    Columns,
}

/// What a `.npy` file says before its cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    element: Element,
    endian: Endian,
    order: Order,
    shape: Vec<usize>,
}

impl Header {
    /// Reads a header and nothing that follows it.
    ///
    /// # Errors
    /// In words: bytes that are not of this format, or an element type that is no number.
    pub fn read(file: &mut impl Read) -> Result<Self, String> {
        let broken = |error: std::io::Error| format!("not a readable .npy file: {error}");
        let mut start = [0; 8];
        file.read_exact(&mut start).map_err(broken)?;
        let [magic @ .., major, _] = start;
        if magic != *b"\x93NUMPY" {
            return Err("not a .npy file".into());
        }
        let length = match major {
            1 => {
                let mut length = [0; 2];
                file.read_exact(&mut length).map_err(broken)?;
                u16::from_le_bytes(length).into()
            }
            2 | 3 => {
                let mut length = [0; 4];
                file.read_exact(&mut length).map_err(broken)?;
                u32::from_le_bytes(length)
            }
            other => return Err(format!("version {other} of the .npy format is not known")),
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > HEADER {
            return Err(format!(
                "its .npy header of {length} bytes is not that of an array of numbers"
            ));
        }
        let mut text = vec![0; length];
        file.read_exact(&mut text).map_err(broken)?;
        Self::parse(&text)
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let broken = || "not a readable .npy header".to_owned();
        // The parser is recursive: what nests deeply is none of its business.
        let opens = text.iter().filter(|c| b"([{".contains(c)).count();
        if opens > BRACKETS {
            return Err("its elements are no numbers but records; save it as float32".into());
        }
        let text = std::str::from_utf8(text).map_err(|_| broken())?;
        let Ok(Value::Dict(entries)) = text.trim_end().parse::<Value>() else {
            return Err(broken());
        };
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        for (key, value) in entries {
            match (key.as_string().map(String::as_str), value) {
                (Some("descr"), Value::String(text)) => descr = Some(text),
                (Some("fortran_order"), Value::Boolean(is)) => fortran = Some(is),
                (Some("shape"), Value::Tuple(axes)) => {
                    let length = |axis: &Value| usize::try_from(axis.as_integer()?).ok();
                    let axes: Option<Vec<usize>> = axes.iter().map(length).collect();
                    shape = Some(axes.ok_or_else(broken)?);
                }
                _ => return Err(broken()),
            }
        }
        let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else {
            return Err(broken());
        };
        let (element, endian) = element(&descr).ok_or_else(|| {
            format!("the number type `{descr}` is not supported; save it as float32")
        })?;
        let order = if fortran { Order::Columns } else { Order::Rows };
        Ok(Self {
            element,
            endian,
            order,
            shape,
        })
    }

    /// What the cells are.
    pub fn kind(&self) -> Kind {
        match self.element {
            Element::F16 | Element::F32 | Element::F64 => Kind::Float,
            Element::Bool => Kind::Bool,
            _ => Kind::Integer,
        }
    }

    /// Lengths of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The order of the cells.
    pub fn order(&self) -> Order {
        self.order
    }

    /// Bytes of one cell.
    pub fn width(&self) -> usize {
        match self.element {
            Element::I8 | Element::U8 | Element::Bool => 1,
            Element::F16 | Element::I16 | Element::U16 => 2,
            Element::F32 | Element::I32 | Element::U32 => 4,
            Element::F64 | Element::I64 | Element::U64 => 8,
        }
    }

    /// Whole cells, in the order of the file.
    pub fn cells<R: Real>(&self, bytes: &[u8]) -> Vec<R> {
        let endian = self.endian;
        match self.element {
            Element::F16 => decode(bytes, endian, |x| R::float(f16::from_le_bytes(x).into())),
            Element::F32 => decode(bytes, endian, |x| R::float(f32::from_le_bytes(x).into())),
            Element::F64 => decode(bytes, endian, |x| R::float(f64::from_le_bytes(x))),
            Element::I8 => decode(bytes, endian, |x| R::signed(i8::from_le_bytes(x).into())),
            Element::I16 => decode(bytes, endian, |x| R::signed(i16::from_le_bytes(x).into())),
            Element::I32 => decode(bytes, endian, |x| R::signed(i32::from_le_bytes(x).into())),
            Element::I64 => decode(bytes, endian, |x| R::signed(i64::from_le_bytes(x))),
            Element::U8 => decode(bytes, endian, |x| R::unsigned(u8::from_le_bytes(x).into())),
            Element::U16 => decode(bytes, endian, |x| R::unsigned(u16::from_le_bytes(x).into())),
            Element::U32 => decode(bytes, endian, |x| R::unsigned(u32::from_le_bytes(x).into())),
            Element::U64 => decode(bytes, endian, |x| R::unsigned(u64::from_le_bytes(x))),
            Element::Bool => decode(bytes, endian, |[x]| R::unsigned((x != 0).into())),
        }
    }

    /// The array of these cells; `None` if it has another number of them.
    pub fn array<R: Real>(&self, cells: Vec<R>) -> Option<ArrayD<R>> {
        let shape = IxDyn(&self.shape);
        let shape = shape.set_f(self.order == Order::Columns);
        ArrayD::from_shape_vec(shape, cells).ok()
    }
}

/// The type that a header calls `descr`, such as `<f4`.
fn element(descr: &str) -> Option<(Element, Endian)> {
    let (endian, name) = match descr.split_at_checked(1)? {
        ("<" | "|", name) => (Endian::Little, name),
        (">", name) => (Endian::Big, name),
        _ => return None,
    };
    let element = match name {
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        "i1" => Element::I8,
        "i2" => Element::I16,
        "i4" => Element::I32,
        "i8" => Element::I64,
        "u1" => Element::U8,
        "u2" => Element::U16,
        "u4" => Element::U32,
        "u8" => Element::U64,
        "b1" => Element::Bool,
        _ => return None,
    };
    Some((element, endian))
}

/// Cells of `N` bytes, handed to `number` with the least significant one first.
fn decode<const N: usize, R>(
    bytes: &[u8],
    endian: Endian,
    number: impl Fn([u8; N]) -> R,
) -> Vec<R> {
    let (cells, _) = bytes.as_chunks::<N>();
    let ordered = |&(mut cell): &[u8; N]| {
        if endian == Endian::Big {
            cell.reverse();
        }
        number(cell)
    };
    cells.iter().map(ordered).collect()
}

/// The array of a `.npy` file, and what its cells were.
///
/// # Errors
/// In words: a file that is not of this format, or an element type that is no number.
pub fn read<R: Real>(mut bytes: &[u8]) -> Result<(Kind, ArrayD<R>), String> {
    let header = Header::read(&mut bytes)?;
    let cells = header
        .shape
        .iter()
        .try_fold(1_usize, |n, &m| n.checked_mul(m));
    let needed = cells.and_then(|cells| cells.checked_mul(header.width()));
    if needed != Some(bytes.len()) {
        let (shape, found) = (&header.shape, bytes.len());
        return Err(format!(
            "the .npy file has {found} bytes of cells, which are not those of shape {shape:?}"
        ));
    }
    let array = header.array(header.cells(bytes));
    let array = array.ok_or("the shape of the .npy file is too large")?;
    Ok((header.kind(), array))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array1, arr2};
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

    /// A file of this header.
    fn file(header: &str, cells: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).expect("short").to_le_bytes();
        [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), cells].concat()
    }

    fn descr(descr: &str, cells: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (2,), }}\n");
        file(&header, cells)
    }

    #[test]
    fn halves_and_big_endians() {
        let expected = ndarray::arr1(&[1.0, -2.0]).into_dyn();
        for (name, cells) in [
            ("'<f2'", &[0, 0x3c, 0, 0xc0][..]),
            ("'>f2'", &[0x3c, 0, 0xc0, 0]),
            ("'>f4'", &[0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0]),
            ("'>i2'", &[0, 1, 0xff, 0xfe]),
            ("'|i1'", &[1, 0xfe]),
        ] {
            let read = read::<f64>(&descr(name, cells));
            assert_eq!(read.expect("numbers").1, expected, "{name}");
        }
    }

    #[test]
    fn columns_are_not_rows() {
        let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}";
        let (_, array) = read::<f32>(&file(header, &[1, 4, 2, 5, 3, 6])).expect("reads");
        assert_eq!(array, arr2(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).into_dyn());
    }

    #[test]
    fn what_is_no_array_of_numbers_is_refused() {
        let nested = format!("{{'descr': {}", "(".repeat(9_000));
        let mut long = descr("'<f4'", &[]);
        long[6] = 2;
        long.splice(8..10, u32::MAX.to_le_bytes());
        for (file, why) in [
            (descr("'<U3'", &[0; 24]), "`<U3` is not supported"),
            (descr("'|O'", &[]), "`|O` is not supported"),
            (descr("'<c8'", &[0; 16]), "`<c8` is not supported"),
            (descr("[('a', '<f4')]", &[0; 8]), "records"),
            (descr("''", &[]), "not supported"),
            (file(&nested, &[]), "records"),
            (file("{'descr': '<f4'}", &[]), "header"),
            (
                file(
                    "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
                    &[],
                ),
                "header",
            ),
            (
                file("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", &[]),
                "header",
            ),
            (file("no dictionary", &[]), "header"),
            (long, "bytes is not that of"),
            (b"\x93NUMPY\x09\x00".to_vec(), "version 9"),
        ] {
            let error = read::<f32>(&file).expect_err(why);
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
