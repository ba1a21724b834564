//! A constant tensor in row-major order: floats as `f32`, all integers as `i64`, truth values.

use ndarray::ArrayD;

use crate::proto::DataType;

/// Largest number of axes of any tensor.
pub(crate) const MAX_RANK: usize = 16;

/// A constant: an initializer, an attribute's tensor, or what constant folding made of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    shape: Vec<usize>,
    cells: Cells,
    /// The stored element type; `None` for what folding made.
    data_type: Option<DataType>,
}

/// The elements of a tensor in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cells {
    /// Single precision, whatever float type the model stores.
    Float(Vec<f32>),
    /// Any integer type.
    Int(Vec<i64>),
    /// Truth values.
    Bool(Vec<bool>),
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Self::Float(cells) => cells.len(),
            Self::Int(cells) => cells.len(),
            Self::Bool(cells) => cells.len(),
        }
    }

    /// Adds the cells of `other`, unless their type differs.
    pub(crate) fn append(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(cells), Self::Float(other)) => cells.extend_from_slice(other),
            (Self::Int(cells), Self::Int(other)) => cells.extend_from_slice(other),
            (Self::Bool(cells), Self::Bool(other)) => cells.extend_from_slice(other),
            _ => return false,
        }
        true
    }

    /// The cells at `indices`, which must exist.
    pub(crate) fn pick(&self, indices: impl Iterator<Item = usize>) -> Self {
        match self {
            Self::Float(cells) => Self::Float(indices.map(|i| cells[i]).collect()),
            Self::Int(cells) => Self::Int(indices.map(|i| cells[i]).collect()),
            Self::Bool(cells) => Self::Bool(indices.map(|i| cells[i]).collect()),
        }
    }
}

impl Tensor {
    /// A tensor whose cells have been counted.
    ///
    /// # Panics
    /// If the number of cells is not that of the shape.
    pub(crate) fn new(shape: Vec<usize>, cells: Cells) -> Self {
        assert_eq!(count(&shape), Some(cells.len()), "{shape:?}");
        Self {
            shape,
            cells,
            data_type: None,
        }
    }

    /// The tensor with a known element type.
    pub(crate) fn of_type(mut self, data_type: DataType) -> Self {
        self.data_type = Some(data_type);
        self
    }

    /// The element type, where it is known.
    pub(crate) fn data_type(&self) -> Option<DataType> {
        self.data_type
    }

    /// A list of integers.
    pub(crate) fn list(cells: Vec<i64>) -> Self {
        Self::new(vec![cells.len()], Cells::Int(cells))
    }

    /// The shape.
    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub(crate) fn cells(&self) -> &Cells {
        &self.cells
    }

    /// The elements, without their shape.
    pub(crate) fn into_cells(self) -> Cells {
        self.cells
    }

    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The floats as an array, or the tensor itself.
    pub(crate) fn into_floats(self) -> Result<ArrayD<f32>, Self> {
        match self.cells {
            Cells::Float(cells) => {
                let array = ArrayD::from_shape_vec(self.shape, cells);
                Ok(array.expect("the cells are counted"))
            }
            cells => Err(Self { cells, ..self }),
        }
    }
}

/// The smallest and the largest integer of a type; `None` if it is no integer type.
pub(crate) fn range(data_type: DataType) -> Option<(i64, i64)> {
    Some(match data_type {
        DataType::Int64 => (i64::MIN, i64::MAX),
        DataType::Uint64 => (0, i64::MAX),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::Uint32 => (0, u32::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Uint16 => (0, u16::MAX.into()),
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Uint8 => (0, u8::MAX.into()),
        _ => return None,
    })
}

/// Number of cells of a shape; `None` if its strides overflow, even where an axis is empty.
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    let mut dims = shape.iter();
    let strides = dims.try_fold(1_usize, |n, &d| n.checked_mul(d.max(1)));
    strides.filter(|&n| isize::try_from(n).is_ok())?;
    Some(shape.iter().product())
}
