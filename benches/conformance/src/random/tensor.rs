//! Tensors of the reference: every cell a number of double precision, whatever its type.

use zkstrata_onnx_import::proto::TensorProto;
use zkstrata_onnx_import::proto::tensor_proto::DataType;

/// What the cells of a tensor are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Type {
    Float,
    Int64,
    Int32,
    Int8,
    Uint8,
    Bool,
}

impl Type {
    pub(crate) fn is_float(self) -> bool {
        self == Self::Float
    }

    pub(crate) fn is_integer(self) -> bool {
        !matches!(self, Self::Float | Self::Bool)
    }

    pub(crate) fn code(self) -> i32 {
        let code = match self {
            Self::Float => DataType::Float,
            Self::Int64 => DataType::Int64,
            Self::Int32 => DataType::Int32,
            Self::Int8 => DataType::Int8,
            Self::Uint8 => DataType::Uint8,
            Self::Bool => DataType::Bool,
        };
        code as i32
    }

    /// The type with this code in ONNX.
    pub(crate) fn of(code: i64) -> Option<Self> {
        let all = [
            Self::Float,
            Self::Int64,
            Self::Int32,
            Self::Int8,
            Self::Uint8,
            Self::Bool,
        ];
        all.into_iter().find(|t| i64::from(t.code()) == code)
    }
}

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) kind: Type,
    pub(crate) shape: Vec<usize>,
    pub(crate) cells: Vec<f64>,
}

impl Tensor {
    pub(crate) fn new(kind: Type, shape: &[usize], cells: Vec<f64>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), cells.len(), "a cell each");
        Self {
            kind,
            shape: shape.to_vec(),
            cells,
        }
    }

    pub(crate) fn scalar(kind: Type, cell: f64) -> Self {
        Self::new(kind, &[], vec![cell])
    }

    /// A list of integers.
    pub(crate) fn list(cells: &[i64]) -> Self {
        let reals = cells.iter().map(|&x| x as f64).collect();
        Self::new(Type::Int64, &[cells.len()], reals)
    }

    /// The tensor whose cell at each index is `cell(index)`.
    pub(crate) fn build(
        kind: Type,
        shape: &[usize],
        mut cell: impl FnMut(&[usize]) -> f64,
    ) -> Self {
        let cells = indices(shape).map(|index| cell(&index)).collect();
        Self::new(kind, shape, cells)
    }

    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self {
            cells: self.cells.iter().map(|&x| f(x)).collect(),
            ..self.clone()
        }
    }

    pub(crate) fn rank(&self) -> usize {
        self.shape.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }

    /// The cell at an index.
    pub(crate) fn at(&self, index: &[usize]) -> f64 {
        self.cells[offset(&self.shape, index)]
    }

    /// The cell at an index of a shape that this one is broadcast to.
    pub(crate) fn spread(&self, index: &[usize]) -> f64 {
        let missing = index.len() - self.rank();
        let own = index[missing..].iter().zip(&self.shape);
        let own: Vec<usize> = own.map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
        self.at(&own)
    }

    pub(crate) fn ints(&self) -> Vec<i64> {
        self.cells.iter().map(|&x| x as i64).collect()
    }

    /// As an initializer.
    pub(crate) fn message(&self, name: &str) -> TensorProto {
        let mut tensor = TensorProto {
            name: name.into(),
            dims: self.shape.iter().map(|&n| n as i64).collect(),
            data_type: self.kind.code(),
            ..TensorProto::default()
        };
        let cells = self.cells.iter();
        match self.kind {
            Type::Float => tensor.float_data = cells.map(|&x| x as f32).collect(),
            Type::Int64 => tensor.int64_data = cells.map(|&x| x as i64).collect(),
            _ => tensor.int32_data = cells.map(|&x| x as i32).collect(),
        }
        tensor
    }
}

/// Every index of a shape, in row-major order.
pub(crate) fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    let count: usize = shape.iter().product();
    (0..count).map(move |mut flat| {
        let mut index = vec![0; shape.len()];
        for (i, &n) in index.iter_mut().zip(shape).rev() {
            *i = flat % n;
            flat /= n;
        }
        index
    })
}

/// The row-major position of an index.
pub(crate) fn offset(shape: &[usize], index: &[usize]) -> usize {
    let axes = shape.iter().zip(index);
    axes.fold(0, |flat, (&n, &i)| {
        debug_assert!(i < n, "{index:?} is outside of {shape:?}");
        flat * n + i
    })
}

/// The shape that all are broadcast to, if there is one.
pub(crate) fn broadcast(shapes: &[&[usize]]) -> Option<Vec<usize>> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    let mut joint = vec![1; rank];
    for shape in shapes {
        for (n, &m) in joint[rank - shape.len()..].iter_mut().zip(*shape) {
            match (*n, m) {
                (1, _) => *n = m,
                (_, 1) => {}
                (a, b) if a == b => {}
                _ => return None,
            }
        }
    }
    Some(joint)
}
