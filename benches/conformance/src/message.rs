//! `.pb` files: one `TensorProto`, as ONNX's own tests have them.

use crate::npy::{Kind, Real};
use ndarray::{ArrayD, IxDyn};
use prost::Message;
use zkstrata_onnx_import::proto::TensorProto;
use zkstrata_onnx_import::proto::tensor_proto::DataType;

/// The array of a message, and what its cells were.
pub(crate) fn read(bytes: &[u8]) -> Result<(Kind, ArrayD<f64>), String> {
    let tensor = TensorProto::decode(bytes).map_err(|error| error.to_string())?;
    let data_type = DataType::try_from(tensor.data_type).unwrap_or(DataType::Undefined);
    let kind = match data_type {
        DataType::Float | DataType::Double => Kind::Float,
        DataType::Bool => Kind::Bool,
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Uint8
        | DataType::Uint16
        | DataType::Uint32
        | DataType::Uint64 => Kind::Integer,
        other => return Err(format!("type {} is not supported", other.as_str_name())),
    };
    let cells = match &*tensor.raw_data {
        [] => typed(&tensor, data_type),
        raw => stored(raw, data_type)?,
    };
    let shape = tensor.dims.iter().map(|&n| usize::try_from(n));
    let shape: Vec<usize> = shape.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let array = ArrayD::from_shape_vec(IxDyn(&shape), cells).map_err(|e| e.to_string())?;
    Ok((kind, array))
}

/// The cells of little-endian bytes.
fn stored(raw: &[u8], data_type: DataType) -> Result<Vec<f64>, String> {
    let cells = match data_type {
        DataType::Float => words(raw, |x| f32::from_le_bytes(x).into()),
        DataType::Double => words(raw, f64::from_le_bytes),
        DataType::Int8 => words(raw, |x| i8::from_le_bytes(x).into()),
        DataType::Int16 => words(raw, |x| i16::from_le_bytes(x).into()),
        DataType::Int32 => words(raw, |x| i32::from_le_bytes(x).into()),
        DataType::Int64 => words(raw, |x| f64::signed(i64::from_le_bytes(x))),
        DataType::Uint16 => words(raw, |x| u16::from_le_bytes(x).into()),
        DataType::Uint32 => words(raw, |x| u32::from_le_bytes(x).into()),
        DataType::Uint64 => words(raw, |x| f64::unsigned(u64::from_le_bytes(x))),
        _ => words(raw, |x| u8::from_le_bytes(x).into()),
    };
    cells.ok_or_else(|| format!("{} bytes are no whole number of cells", raw.len()))
}

fn words<const N: usize>(raw: &[u8], real: fn([u8; N]) -> f64) -> Option<Vec<f64>> {
    let words = raw.chunks(N).map(|word| word.try_into().ok().map(real));
    words.collect()
}

/// The cells of the field that holds this type.
fn typed(tensor: &TensorProto, data_type: DataType) -> Vec<f64> {
    match data_type {
        DataType::Float => tensor.float_data.iter().map(|&x| x.into()).collect(),
        DataType::Double => tensor.double_data.clone(),
        DataType::Int64 => tensor.int64_data.iter().map(|&x| f64::signed(x)).collect(),
        DataType::Uint32 | DataType::Uint64 => tensor
            .uint64_data
            .iter()
            .map(|&x| f64::unsigned(x))
            .collect(),
        _ => tensor.int32_data.iter().map(|&x| x.into()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(data_type: DataType) -> TensorProto {
        TensorProto {
            dims: vec![2],
            data_type: data_type as i32,
            ..TensorProto::default()
        }
    }

    #[test]
    fn bytes_and_lists_are_read() {
        let raw = |data_type, raw_data: &[u8]| {
            let raw_data = raw_data.to_vec();
            let tensor = TensorProto {
                raw_data,
                ..message(data_type)
            };
            read(&tensor.encode_to_vec()).map(|(kind, x)| (kind, x.into_iter().collect::<Vec<_>>()))
        };
        assert_eq!(
            raw(DataType::Int8, &[1, 0xff]),
            Ok((Kind::Integer, vec![1.0, -1.0]))
        );
        assert_eq!(
            raw(DataType::Uint8, &[1, 0xff]),
            Ok((Kind::Integer, vec![1.0, 255.0]))
        );
        assert_eq!(
            raw(DataType::Bool, &[0, 1]),
            Ok((Kind::Bool, vec![0.0, 1.0]))
        );
        let halves = [0.5_f32.to_le_bytes(), 1.5_f32.to_le_bytes()].concat();
        assert_eq!(
            raw(DataType::Float, &halves),
            Ok((Kind::Float, vec![0.5, 1.5]))
        );
        assert!(raw(DataType::Float, &halves[1..]).is_err());
        assert!(raw(DataType::Float, &halves[4..]).is_err());
        assert!(raw(DataType::String, &[]).is_err());
        let listed = TensorProto {
            int64_data: vec![3, -4],
            ..message(DataType::Int64)
        };
        let (_, array) = read(&listed.encode_to_vec()).expect("reads");
        assert_eq!(array.into_iter().collect::<Vec<_>>(), [3.0, -4.0]);
    }
}
