//! Decoding of a `TensorProto`.
//!
//! Decoding allocates only after the declared shape has been compared with the bytes present.
//! Every float type becomes `f32`, every integer type `i64`.

use crate::Error;
use crate::decode::external::External;
use crate::decode::tensor::{Cells, MAX_RANK, Tensor, count};
use crate::proto::{DataLocation, DataType, TensorProto};

/// Decodes a tensor; `name` stands for it in messages.
pub(crate) fn decode(
    proto: &TensorProto,
    name: &str,
    external: &External,
) -> Result<Tensor, Error> {
    let bad = |reason: String| Error::BadTensor {
        tensor: name.into(),
        reason,
    };
    if proto.segment.is_some() {
        return Err(bad("is stored in segments, which no exporter writes".into()));
    }
    let shape = shape(&proto.dims).map_err(bad)?;
    let count = count(&shape).unwrap_or(usize::MAX);
    let data_type = DataType::try_from(proto.data_type).unwrap_or(DataType::Undefined);
    let Some(width) = width(data_type) else {
        return Err(unsupported(name, proto.data_type));
    };
    let typed = [
        proto.float_data.len(),
        proto.int32_data.len(),
        proto.int64_data.len(),
        proto.double_data.len(),
        proto.uint64_data.len(),
        proto.string_data.len(),
    ];
    let typed_count = typed.iter().fold(0_usize, |n, m| n.saturating_add(*m));
    let external_data;
    let raw = if proto.data_location == DataLocation::External as i32 {
        if !proto.raw_data.is_empty() {
            return Err(bad("has data both in the model and in another file".into()));
        }
        external_data = external.read(proto, name, count, width)?;
        Some(&external_data)
    } else {
        Some(&proto.raw_data).filter(|raw| !raw.is_empty())
    };
    let cells = if let Some(raw) = raw {
        if typed_count > 0 {
            return Err(bad("has its data twice".into()));
        }
        if count.checked_mul(width) != Some(raw.len()) {
            let got = raw.len();
            return Err(bad(format!(
                "shape {shape:?} needs {count} elements of {width} bytes, got {got} bytes"
            )));
        }
        from_raw(raw, data_type)
    } else {
        let got = typed[field(data_type)];
        if got != count || typed_count != count {
            let data_type = data_type.as_str_name();
            return Err(bad(format!(
                "shape {shape:?} needs {count} elements of type {data_type}, got {got}"
            )));
        }
        from_typed(proto, data_type)
    };
    match cells {
        Ok(Some(cells)) => Ok(Tensor::new(shape, cells).of_type(data_type)),
        Ok(None) => Err(unsupported(name, proto.data_type)),
        Err(Overflow { index, value }) => Err(Error::NonFinite {
            name: name.into(),
            index,
            value,
            reader: None,
        }),
    }
}

/// The checked shape: no negative axis, at most [`MAX_RANK`] axes, a countable number of cells.
fn shape(dims: &[i64]) -> Result<Vec<usize>, String> {
    if dims.len() > MAX_RANK {
        return Err(format!(
            "has {} axes, at most {MAX_RANK} are supported",
            dims.len()
        ));
    }
    let shape: Vec<usize> = dims
        .iter()
        .map(|&d| usize::try_from(d).map_err(|_| format!("has an axis of length {d}")))
        .collect::<Result<_, _>>()?;
    match count(&shape) {
        Some(_) => Ok(shape),
        None => Err(format!("has the shape {shape:?}, whose size overflows")),
    }
}

/// Bytes of an element in raw data; `None` for the types that cannot be imported.
fn width(data_type: DataType) -> Option<usize> {
    match data_type {
        DataType::Double | DataType::Int64 | DataType::Uint64 => Some(8),
        DataType::Float | DataType::Int32 | DataType::Uint32 => Some(4),
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => Some(2),
        DataType::Int8 | DataType::Uint8 | DataType::Bool => Some(1),
        _ => None,
    }
}

/// Which typed field holds the elements: float, int32, int64, double, uint64.
fn field(data_type: DataType) -> usize {
    match data_type {
        DataType::Float => 0,
        DataType::Int64 => 2,
        DataType::Double => 3,
        DataType::Uint32 | DataType::Uint64 => 4,
        _ => 1,
    }
}

fn unsupported(name: &str, data_type: i32) -> Error {
    Error::UnsupportedType {
        name: name.into(),
        data_type: type_name(data_type),
        remedy: "store it as float, or as an integer type for shapes and indices".into(),
    }
}

/// The ONNX name of an element type.
pub(crate) fn type_name(data_type: i32) -> String {
    DataType::try_from(data_type).map_or_else(
        |_| format!("number {data_type}"),
        |data_type| data_type.as_str_name().to_lowercase(),
    )
}

/// A number that the importer's type for it cannot hold.
struct Overflow {
    index: usize,
    value: f64,
}

/// `None` if the type is not one of [`width`]'s. The length has been checked.
fn from_raw(raw: &[u8], data_type: DataType) -> Result<Option<Cells>, Overflow> {
    fn map<const N: usize, T>(raw: &[u8], decode: impl Fn([u8; N]) -> T) -> Vec<T> {
        raw.as_chunks().0.iter().map(|&b| decode(b)).collect()
    }
    Ok(Some(match data_type {
        DataType::Float => Cells::Float(map(raw, f32::from_le_bytes)),
        DataType::Double => Cells::Float(narrow(&map(raw, f64::from_le_bytes))?),
        DataType::Float16 => Cells::Float(map(raw, |b| half(u16::from_le_bytes(b)))),
        DataType::Bfloat16 => Cells::Float(map(raw, |b| brain(u16::from_le_bytes(b)))),
        DataType::Int64 => Cells::Int(map(raw, i64::from_le_bytes)),
        DataType::Uint64 => Cells::Int(signed(&map(raw, u64::from_le_bytes))?),
        DataType::Int32 => Cells::Int(map(raw, |b| i32::from_le_bytes(b).into())),
        DataType::Uint32 => Cells::Int(map(raw, |b| u32::from_le_bytes(b).into())),
        DataType::Int16 => Cells::Int(map(raw, |b| i16::from_le_bytes(b).into())),
        DataType::Uint16 => Cells::Int(map(raw, |b| u16::from_le_bytes(b).into())),
        DataType::Int8 => Cells::Int(map(raw, |b| i8::from_le_bytes(b).into())),
        DataType::Uint8 => Cells::Int(map(raw, |[b]| b.into())),
        DataType::Bool => Cells::Bool(map(raw, |[b]| b != 0)),
        _ => return Ok(None),
    }))
}

/// `None` if the type is not one of [`width`]'s. The length has been checked.
fn from_typed(proto: &TensorProto, data_type: DataType) -> Result<Option<Cells>, Overflow> {
    let small = &proto.int32_data;
    Ok(Some(match data_type {
        DataType::Float => Cells::Float(proto.float_data.clone()),
        DataType::Double => Cells::Float(narrow(&proto.double_data)?),
        // The 16 bits of a half are the low bits of an int32.
        DataType::Float16 => Cells::Float(small.iter().map(|&x| half(x as u16)).collect()),
        DataType::Bfloat16 => Cells::Float(small.iter().map(|&x| brain(x as u16)).collect()),
        DataType::Int64 => Cells::Int(proto.int64_data.clone()),
        DataType::Uint32 | DataType::Uint64 => Cells::Int(signed(&proto.uint64_data)?),
        DataType::Bool => Cells::Bool(small.iter().map(|&x| x != 0).collect()),
        DataType::Int32 | DataType::Int16 | DataType::Int8 | DataType::Uint16 | DataType::Uint8 => {
            Cells::Int(small.iter().map(|&x| x.into()).collect())
        }
        _ => return Ok(None),
    }))
}

/// Double to single precision; a finite number must stay finite.
fn narrow(cells: &[f64]) -> Result<Vec<f32>, Overflow> {
    let narrow = |(index, &value): (usize, &f64)| {
        let x = value as f32;
        if x.is_infinite() && value.is_finite() {
            return Err(Overflow { index, value });
        }
        Ok(x)
    };
    cells.iter().enumerate().map(narrow).collect()
}

/// Unsigned to signed; the number must fit.
fn signed(cells: &[u64]) -> Result<Vec<i64>, Overflow> {
    let signed = |(index, &value): (usize, &u64)| {
        i64::try_from(value).map_err(|_| Overflow {
            index,
            value: value as f64,
        })
    };
    cells.iter().enumerate().map(signed).collect()
}

/// The value of an IEEE half-precision number: `(-1)^s 2^(e-15) (1 + m/1024)`, subnormal
/// `(-1)^s 2^-14 m/1024`.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10 & 0x1f);
    let mantissa = u32::from(bits & 0x3ff);
    match exponent {
        0 => f32::from_bits(sign | (mantissa as f32 / 16_777_216.0).to_bits()),
        0x1f => f32::from_bits(sign | 0x7f80_0000 | mantissa << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | mantissa << 13),
    }
}

/// The value of a bfloat16: the upper half of a single-precision number.
fn brain(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_floats() {
        let same = |got: f32, expected: f32| assert_eq!(got.to_bits(), expected.to_bits());
        same(half(0x3c00), 1.0);
        same(half(0xc500), -5.0);
        same(half(0x0001), 2f32.powi(-24));
        same(half(0x8000), -0.0);
        same(half(0x7bff), 65504.0);
        same(half(0xfc00), f32::NEG_INFINITY);
        assert!(half(0x7e00).is_nan());
        same(brain(0x3f80), 1.0);
        same(brain(0xc0a0), -5.0);
    }

    fn tensor(data_type: DataType, dims: &[i64]) -> TensorProto {
        TensorProto {
            dims: dims.to_vec(),
            data_type: data_type as i32,
            ..TensorProto::default()
        }
    }

    fn cells(proto: &TensorProto) -> Result<Cells, Error> {
        decode(proto, "t", &External::Nowhere).map(Tensor::into_cells)
    }

    #[test]
    fn every_type_raw_and_typed() {
        let raw = |data_type, bytes: &[u8]| {
            let raw_data = bytes.to_vec();
            cells(&TensorProto {
                raw_data,
                ..tensor(data_type, &[1])
            })
            .expect("valid")
        };
        let small = |data_type, value| {
            let int32_data = vec![value];
            cells(&TensorProto {
                int32_data,
                ..tensor(data_type, &[1])
            })
            .expect("valid")
        };
        let one = Cells::Float(vec![1.0]);
        assert_eq!(raw(DataType::Float, &1f32.to_le_bytes()), one);
        assert_eq!(raw(DataType::Double, &1f64.to_le_bytes()), one);
        assert_eq!(raw(DataType::Float16, &0x3c00_u16.to_le_bytes()), one);
        assert_eq!(raw(DataType::Bfloat16, &0x3f80_u16.to_le_bytes()), one);
        assert_eq!(small(DataType::Float16, 0x3c00), one);
        assert_eq!(small(DataType::Bfloat16, 0x3f80), one);
        let minus = Cells::Int(vec![-2]);
        assert_eq!(raw(DataType::Int64, &(-2_i64).to_le_bytes()), minus);
        assert_eq!(raw(DataType::Int32, &(-2_i32).to_le_bytes()), minus);
        assert_eq!(raw(DataType::Int16, &(-2_i16).to_le_bytes()), minus);
        assert_eq!(raw(DataType::Int8, &[0xfe]), minus);
        assert_eq!(small(DataType::Int32, -2), minus);
        assert_eq!(small(DataType::Int8, -2), minus);
        let plus = Cells::Int(vec![254]);
        assert_eq!(raw(DataType::Uint64, &254_u64.to_le_bytes()), plus);
        assert_eq!(raw(DataType::Uint32, &254_u32.to_le_bytes()), plus);
        assert_eq!(raw(DataType::Uint16, &254_u16.to_le_bytes()), plus);
        assert_eq!(raw(DataType::Uint8, &[0xfe]), plus);
        assert_eq!(small(DataType::Uint16, 254), plus);
        assert_eq!(raw(DataType::Bool, &[1]), Cells::Bool(vec![true]));
        assert_eq!(small(DataType::Bool, 0), Cells::Bool(vec![false]));
        let mut proto = tensor(DataType::Double, &[]);
        proto.double_data = vec![1.0];
        assert_eq!(cells(&proto).ok(), Some(one));
        let mut proto = tensor(DataType::Uint32, &[1, 1]);
        proto.uint64_data = vec![254];
        assert_eq!(cells(&proto).ok(), Some(plus));
    }

    #[test]
    fn contradictions_are_refused() {
        let refuse = |proto: TensorProto, expected: &str| {
            let error = cells(&proto).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        let float = |dims: &[i64]| tensor(DataType::Float, dims);
        refuse(float(&[-1]), "length -1");
        refuse(float(&[1; 17]), "17 axes");
        refuse(float(&[i64::MAX, i64::MAX]), "overflows");
        refuse(float(&[0, i64::MAX, i64::MAX]), "overflows");
        refuse(float(&[1 << 40]), "got 0");
        let raw_data = vec![0; 5];
        refuse(
            TensorProto {
                raw_data,
                ..float(&[1])
            },
            "got 5 bytes",
        );
        let (float_data, int32_data) = (vec![1.0], vec![1]);
        refuse(
            TensorProto {
                float_data,
                int32_data,
                ..float(&[1])
            },
            "got 1",
        );
        let (raw_data, float_data) = (vec![0; 4], vec![1.0]);
        refuse(
            TensorProto {
                raw_data,
                float_data,
                ..float(&[1])
            },
            "twice",
        );
        let mut double = tensor(DataType::Double, &[1]);
        double.double_data = vec![1e300];
        refuse(double, "1000000000000");
        let mut large = tensor(DataType::Uint64, &[1]);
        large.uint64_data = vec![u64::MAX];
        refuse(large, "184467440737095");
        refuse(tensor(DataType::String, &[]), "type string");
        refuse(tensor(DataType::Float8e4m3fn, &[]), "float8e4m3fn");
        let mut unknown = float(&[]);
        unknown.data_type = 99;
        refuse(unknown, "number 99");
    }
}
