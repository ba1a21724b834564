//! Cases of one node: operands, attributes, and the cells that the standard gives, which a test works
//! out in double precision.

use candle_onnx::onnx::tensor_proto::DataType;
use candle_onnx::onnx::tensor_shape_proto::dimension::Value;
use candle_onnx::onnx::{AttributeProto, ModelProto, OperatorSetIdProto, TensorProto};
use ndarray::{ArrayD, Dimension, IxDyn};
use zkstrata_onnx_import::{Error, import};

use crate::build::{declare, dim, encode, float, model, several};
use crate::common;

/// Cells in double precision.
pub(crate) type Cells = ArrayD<f64>;

/// The cells in row-major order.
#[track_caller]
pub(crate) fn cells(shape: &[usize], list: &[f64]) -> Cells {
    Cells::from_shape_vec(shape, list.to_vec()).expect("as many cells")
}

/// A vector.
pub(crate) fn vector(list: &[f64]) -> Cells {
    cells(&[list.len()], list)
}

/// A scalar.
pub(crate) fn scalar(x: f64) -> Cells {
    cells(&[], &[x])
}

/// A tensor of a function of the index.
pub(crate) fn fill(shape: &[usize], cell: impl Fn(&[usize]) -> f64) -> Cells {
    Cells::from_shape_fn(shape, |at: IxDyn| cell(at.slice()))
}

/// Row `i` of a matrix.
pub(crate) fn row(x: &Cells, i: usize) -> Vec<f64> {
    (0..x.shape()[1]).map(|j| x[[i, j]]).collect()
}

/// Multiples of 1/16 that differ, of both signs, in no order; exact in single precision.
pub(crate) fn spread(shape: &[usize]) -> Cells {
    let n = shape.iter().product::<usize>();
    let cell = |i: usize| ((i * 37 + 11) % 101) as f64 / 16.0 - 3.0;
    cells(shape, &(0..n).map(cell).collect::<Vec<_>>())
}

/// The cell of an index that may lie outside.
pub(crate) fn inside(x: &Cells, at: &[i64]) -> Option<f64> {
    let at = at.iter().map(|&i| usize::try_from(i).ok());
    x.get(&*at.collect::<Option<Vec<usize>>>()?).copied()
}

/// All indices of a shape in row-major order.
pub(crate) fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let all = ndarray::indices(shape).into_iter();
    all.map(|at| at.slice().to_vec()).collect()
}

/// Operands broadcast to one shape, and combined cell by cell.
pub(crate) fn combined(a: &Cells, b: &Cells, f: impl Fn(f64, f64) -> f64) -> Cells {
    let rank = a.ndim().max(b.ndim());
    let length = |x: &Cells, axis: usize| {
        let own = (axis + x.ndim()).checked_sub(rank);
        own.map_or(1, |axis| x.shape()[axis])
    };
    let shape: Vec<usize> = (0..rank)
        .map(|axis| match (length(a, axis), length(b, axis)) {
            (1, n) | (n, _) => n,
        })
        .collect();
    let cell = |x: &Cells, at: &[usize]| {
        let own = &at[rank - x.ndim()..];
        let own = own.iter().zip(x.shape());
        x[&*own.map(|(&i, &n)| i.min(n - 1)).collect::<Vec<_>>()]
    };
    fill(&shape, |at| f(cell(a, at), cell(b, at)))
}

/// What an operand is in the models of a case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// An input of the model.
    Input,
    Constant,
    /// Each in turn.
    Either,
}

/// A tensor that a node reads.
#[derive(Clone)]
struct Operand {
    data_type: DataType,
    cells: Cells,
    role: Role,
}

impl Operand {
    fn initializer(&self, name: &str) -> TensorProto {
        let list = || self.cells.iter().copied();
        let mut tensor = TensorProto {
            name: name.into(),
            dims: self.cells.shape().iter().map(|&n| n as i64).collect(),
            data_type: self.data_type as i32,
            ..TensorProto::default()
        };
        match self.data_type {
            DataType::Float => tensor.float_data = list().map(|x| x as f32).collect(),
            DataType::Double => tensor.double_data = list().collect(),
            DataType::Int64 => tensor.int64_data = list().map(|x| x as i64).collect(),
            DataType::Uint64 | DataType::Uint32 => {
                tensor.uint64_data = list().map(|x| x as u64).collect();
            }
            _ => tensor.int32_data = list().map(|x| x as i32).collect(),
        }
        tensor
    }
}

/// A node, and what it reads.
#[derive(Clone)]
pub(crate) struct Case {
    op: String,
    domain: &'static str,
    opset: i64,
    attributes: Vec<AttributeProto>,
    operands: Vec<Option<Operand>>,
    outputs: usize,
    tolerance: f64,
}

/// The node's name in messages.
const NAME: &str = "the node";

impl Case {
    /// A case of the default domain, of the oldest opset that is supported at least.
    pub(crate) fn new(op: &str, opset: i64) -> Self {
        Self {
            op: op.into(),
            domain: "",
            opset: opset.max(7),
            attributes: vec![],
            operands: vec![],
            outputs: 1,
            tolerance: 1e-5,
        }
    }

    /// A case of `com.microsoft`.
    pub(crate) fn microsoft(op: &str) -> Self {
        Self {
            domain: "com.microsoft",
            opset: 1,
            ..Self::new(op, 1)
        }
    }

    /// A case of `ai.onnx.ml`.
    pub(crate) fn learned(op: &str) -> Self {
        Self {
            domain: "ai.onnx.ml",
            opset: 3,
            ..Self::new(op, 3)
        }
    }

    /// The version of the operator set.
    pub(crate) fn opset(mut self, opset: i64) -> Self {
        self.opset = opset;
        self
    }

    fn operand(mut self, data_type: DataType, cells: &Cells, role: Role) -> Self {
        let cells = cells.clone();
        self.operands.push(Some(Operand {
            data_type,
            cells,
            role,
        }));
        self
    }

    /// One more operand, of floats: an input and a constant in turn.
    pub(crate) fn x(self, cells: &Cells) -> Self {
        self.operand(DataType::Float, cells, Role::Either)
    }

    /// One more operand of the given type: an input and a constant in turn.
    pub(crate) fn of(self, data_type: DataType, cells: &Cells) -> Self {
        self.operand(data_type, cells, Role::Either)
    }

    /// One more operand, an input.
    pub(crate) fn input(self, data_type: DataType, cells: &Cells) -> Self {
        self.operand(data_type, cells, Role::Input)
    }

    /// One more operand, a constant.
    pub(crate) fn constant(self, data_type: DataType, cells: &Cells) -> Self {
        self.operand(data_type, cells, Role::Constant)
    }

    /// One more operand, constant floats.
    pub(crate) fn w(self, cells: &Cells) -> Self {
        self.constant(DataType::Float, cells)
    }

    /// One more operand, a constant list of integers.
    pub(crate) fn list(self, list: &[i64]) -> Self {
        let list: Vec<f64> = list.iter().map(|&i| i as f64).collect();
        self.constant(DataType::Int64, &vector(&list))
    }

    /// An operand that is left out.
    pub(crate) fn none(mut self) -> Self {
        self.operands.push(None);
        self
    }

    pub(crate) fn with(mut self, attribute: AttributeProto) -> Self {
        self.attributes.push(attribute);
        self
    }

    pub(crate) fn all(mut self, attributes: &[AttributeProto]) -> Self {
        self.attributes.extend_from_slice(attributes);
        self
    }

    /// The number of outputs.
    pub(crate) fn outputs(mut self, outputs: usize) -> Self {
        self.outputs = outputs;
        self
    }

    /// How far cells may be off, relative to their size or 1.
    pub(crate) fn within(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The model that gives `outputs`, in which the operands `constant` are constants.
    fn model(&self, outputs: &[usize], constant: impl Fn(usize) -> bool) -> ModelProto {
        let name = |i: usize| format!("operand{i}");
        let made: Vec<String> = (0..self.outputs).map(|i| format!("output{i}")).collect();
        let made: Vec<&str> = made
            .iter()
            .enumerate()
            .map(|(i, name)| if outputs.contains(&i) { &**name } else { "" })
            .collect();
        let (mut names, mut inputs, mut initializers) = (vec![], vec![], vec![]);
        for (i, operand) in self.operands.iter().enumerate() {
            let Some(operand) = operand else {
                names.push(String::new());
                continue;
            };
            names.push(name(i));
            if constant(i) {
                initializers.push(operand.initializer(&name(i)));
            } else {
                let axes = operand.cells.shape().iter();
                let axes = axes.map(|&n| dim(Some(Value::DimValue(n as i64))));
                inputs.push(declare(&name(i), operand.data_type, axes.collect()));
            }
        }
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let mut node = several(&self.op, &names, &made, self.attributes.clone());
        node.name = NAME.into();
        node.domain = self.domain.into();
        let opset = if self.domain.is_empty() {
            self.opset
        } else {
            21
        };
        let mut model = model(opset, &[1], initializers, vec![node]);
        if !self.domain.is_empty() {
            model.opset_import.push(OperatorSetIdProto {
                domain: self.domain.into(),
                version: self.opset,
            });
        }
        let graph = model.graph.as_mut().expect("has a graph");
        if !inputs.is_empty() {
            graph.input = inputs;
        }
        let given = outputs.iter().map(|&i| float(made[i], &[]));
        graph.output = given.collect();
        model
    }

    /// The operands that are inputs and constants in turn.
    fn free(&self) -> Vec<usize> {
        let free = |i: &usize| {
            let operand = self.operands[*i].as_ref();
            operand.is_some_and(|o| o.role == Role::Either)
        };
        (0..self.operands.len()).filter(free).collect()
    }

    fn is_constant(&self, i: usize) -> bool {
        let operand = self.operands[i].as_ref();
        operand.is_none_or(|o| o.role == Role::Constant)
    }

    /// Runs the model that gives some outputs.
    #[track_caller]
    fn run(&self, outputs: &[usize], constant: impl Fn(usize) -> bool) -> Vec<ArrayD<f32>> {
        let what = self.describe();
        let graph = import(&encode(&self.model(outputs, &constant)));
        let graph = graph.unwrap_or_else(|e| panic!("{what}: {e}"));
        let used = (0..self.operands.len()).filter(|&i| !constant(i));
        let used = used.filter_map(|i| self.operands[i].as_ref());
        let mut inputs: Vec<ArrayD<f32>> = used.map(|o| o.cells.mapv(|x| x as f32)).collect();
        if inputs.is_empty() {
            inputs.push(ArrayD::zeros(vec![1]));
        }
        common::run(&graph, &inputs)
    }

    /// The operator, its operands and attributes, for messages.
    pub(crate) fn describe(&self) -> String {
        let shapes: Vec<_> = self
            .operands
            .iter()
            .map(|o| o.as_ref().map(|o| (o.data_type, o.cells.shape())))
            .collect();
        let attributes: Vec<_> = self
            .attributes
            .iter()
            .map(|a| format!("{}={:?}{:?}{}", a.name, a.ints, a.floats, a.i))
            .collect();
        format!("{} {} of {shapes:?} {attributes:?}", self.op, self.opset)
    }

    /// Checks the outputs: all together, and each by itself; with the operands that are free as
    /// inputs, as constants, and with one input among them.
    #[track_caller]
    pub(crate) fn gives(&self, expected: &[Cells]) {
        assert_eq!(expected.len(), self.outputs);
        let free = self.free();
        let mut kept: Vec<Vec<usize>> = vec![free.clone()];
        if !free.is_empty() {
            kept.push(vec![]);
        }
        if free.len() > 1 {
            kept.extend(free.iter().map(|&i| vec![i]));
        }
        for kept in kept {
            let constant =
                |i: usize| self.is_constant(i) || free.contains(&i) && !kept.contains(&i);
            let all: Vec<usize> = (0..self.outputs).collect();
            self.compare(&all, &self.run(&all, constant), expected);
            for i in all.into_iter().filter(|_| self.outputs > 1) {
                self.compare(&[i], &self.run(&[i], constant), expected);
            }
        }
    }

    /// Checks the only output.
    #[track_caller]
    pub(crate) fn is(&self, expected: &Cells) {
        self.gives(std::slice::from_ref(expected));
    }

    #[track_caller]
    fn compare(&self, outputs: &[usize], got: &[ArrayD<f32>], expected: &[Cells]) {
        let what = self.describe();
        for (&i, got) in outputs.iter().zip(got) {
            let expected = &expected[i];
            assert_eq!(got.shape(), expected.shape(), "{what}, output {i}");
            for ((g, &e), at) in got.iter().zip(expected).zip(indices(got.shape())) {
                let g = f64::from(*g);
                let near = (g - e).abs() <= self.tolerance * e.abs().max(1.0);
                assert!(
                    near,
                    "{what}, output {i} at {at:?} is {g}, expected {e}\n{got}"
                );
            }
        }
    }

    /// Why the model in which free operands are inputs is refused, if it is.
    pub(crate) fn refusal(&self) -> Option<Error> {
        let all: Vec<usize> = (0..self.outputs).collect();
        import(&encode(&self.model(&all, |i| self.is_constant(i)))).err()
    }

    /// Checks that the case is refused by an error that names the node, with a remedy that contains
    /// `expected`.
    #[track_caller]
    pub(crate) fn refused(&self, variant: &str, expected: &str) {
        let error = self.refusal();
        let error = error.unwrap_or_else(|| panic!("{} is imported", self.describe()));
        let (text, debug) = (error.to_string(), format!("{error:?}"));
        assert!(debug.starts_with(variant), "{}: {debug}", self.describe());
        assert!(text.contains(expected), "{}: {text}", self.describe());
        assert!(text.contains(NAME), "{}: {text}", self.describe());
    }
}
