//! The model's inputs: tensors of static shape. A dynamic axis has the length that the options give
//! it; without one, axis 0 is the batch and becomes 1. Some inputs are constants by the options.

use std::collections::BTreeMap;

use zkstrata_model_ir::float::GraphBuilder;

use crate::Error;
use crate::decode::stored::type_name;
use crate::decode::tensor::{Cells, MAX_RANK, Tensor, count};
use crate::options::Options;
use crate::proto::{DataType, DimensionValue, TypeValue, ValueInfoProto, tensor_type};
use crate::scope::budget::Budget;
use crate::scope::value::{Constant, Element, Value};

/// An axis as it is declared.
#[derive(Clone, Debug, PartialEq)]
enum Axis {
    /// Of a fixed length.
    Fixed(usize),
    /// Dynamic; axes of one symbol have one length. `?` says nothing.
    Symbol(String),
}

/// A declared input.
struct Input<'a> {
    name: &'a str,
    data_type: DataType,
    /// `None` where not even the number of axes is declared.
    axes: Option<Vec<Axis>>,
}

/// All inputs that are no initializers.
pub(crate) struct Inputs<'a> {
    declared: Vec<Input<'a>>,
    options: &'a Options,
    /// Lengths of symbols; `None` where the given shapes contradict each other.
    symbols: BTreeMap<String, Option<usize>>,
}

/// What a model's input is to the importer.
pub(crate) type Declared = (String, Value, Element);

impl<'a> Inputs<'a> {
    /// Reads the declarations and the options about them.
    pub(crate) fn new(
        declared: impl Iterator<Item = &'a ValueInfoProto>,
        options: &'a Options,
    ) -> Result<Self, Error> {
        let declared = declared.map(Input::read).collect::<Result<Vec<_>, _>>()?;
        let mut inputs = Self {
            declared,
            options,
            symbols: BTreeMap::new(),
        };
        inputs.check_options()?;
        Ok(inputs)
    }

    /// Checks that the options are about inputs of this model, and learns the lengths of symbols.
    fn check_options(&mut self) -> Result<(), Error> {
        let named = |name: &str| self.declared.iter().find(|input| input.name == name);
        let mut symbols = BTreeMap::new();
        for (name, shape) in &self.options.shapes {
            let axes = match named(name) {
                Some(input) => input.axes.clone().unwrap_or_default(),
                None => vec![Axis::Symbol(name.clone())],
            };
            let known = |axis: &Axis| matches!(axis, Axis::Symbol(symbol) if symbol == name);
            let declared = self
                .declared
                .iter()
                .flat_map(|input| input.axes.iter().flatten());
            if named(name).is_none() && (shape.len() != 1 || !declared.into_iter().any(known)) {
                return Err(self.unknown("shape", name));
            }
            for (axis, &n) in axes.iter().zip(shape) {
                if let Axis::Symbol(symbol) = axis
                    && symbol != UNNAMED
                {
                    let length = symbols.entry(symbol.clone()).or_insert(Some(n));
                    *length = length.filter(|&m| m == n);
                }
            }
        }
        self.symbols = symbols;
        let unknown = self.options.constants.keys();
        match unknown.into_iter().find(|name| named(name).is_none()) {
            Some(name) => Err(self.unknown("constant", name)),
            None => Ok(()),
        }
    }

    fn unknown(&self, option: &'static str, name: &str) -> Error {
        let names = self
            .declared
            .iter()
            .map(|input| format!("`{}`", input.name));
        Error::Option {
            option,
            name: name.into(),
            reason: format!(
                "the model has no such input; it has {}",
                names.collect::<Vec<_>>().join(", ")
            ),
        }
    }

    /// Declares the inputs in the order of the file.
    pub(crate) fn declare(
        &self,
        builder: &mut GraphBuilder,
        budget: &mut Budget,
    ) -> Result<Vec<Declared>, Error> {
        let mut declared = Vec::with_capacity(self.declared.len());
        for input in &self.declared {
            let shape = self.shape(input, builder)?;
            let element = input.element()?;
            let value = match self.options.constants.get(input.name) {
                Some(cells) => {
                    budget.folded(input.name, count(&shape))?;
                    builder.note(format!("input `{}` is a constant", input.name));
                    let tensor = input.constant(shape, cells)?;
                    Value::Constant(Constant::new(input.name, tensor))
                }
                None => Value::Activation(match element {
                    Element::Float => builder.input(input.name, &shape)?,
                    _ => builder.integral_input(input.name, &shape)?,
                }),
            };
            if element == Element::Float && input.data_type != DataType::Float {
                let data_type = type_name(input.data_type as i32);
                builder.note(format!(
                    "input `{}` of type {data_type} is imported as float",
                    input.name
                ));
            }
            declared.push((input.name.into(), value, element));
        }
        Ok(declared)
    }

    /// The shape of an input.
    fn shape(&self, input: &Input, builder: &mut GraphBuilder) -> Result<Vec<usize>, Error> {
        let given = self.options.shapes.get(input.name);
        let Some(axes) = &input.axes else {
            return given.cloned().ok_or_else(|| {
                let name = input.name;
                input.shape_error(format!(
                    "this input has no shape: give it one (--shape {name}=..), or export the \
                     model with fixed input shapes"
                ))
            });
        };
        if let Some(given) = given {
            let fits = |(axis, n): (&Axis, &usize)| match axis {
                Axis::Fixed(m) => m == n,
                Axis::Symbol(_) => true,
            };
            if axes.len() != given.len() || !axes.iter().zip(given).all(fits) {
                return Err(Error::Option {
                    option: "shape",
                    name: input.name.into(),
                    reason: format!("{given:?} is not of the declared form {}", form(axes)),
                });
            }
            return Ok(given.clone());
        }
        let mut shape = Vec::with_capacity(axes.len());
        for (i, axis) in axes.iter().enumerate() {
            let symbol = match axis {
                Axis::Fixed(_) => UNNAMED,
                Axis::Symbol(symbol) => symbol,
            };
            match self.length(axis) {
                Some(n) => shape.push(n),
                None if i == 0 => {
                    builder.note(format!(
                        "the batch axis (axis 0, `{symbol}`) of input `{}` is imported as 1; a \
                         proof has a batch dimension of its own",
                        input.name
                    ));
                    shape.push(1);
                }
                None => {
                    return Err(Error::DynamicShape {
                        input: input.name.into(),
                        axis: i,
                        name: symbol.into(),
                        form: form(axes),
                        lengths: axes.iter().map(|axis| self.length(axis)).collect(),
                    });
                }
            }
        }
        Ok(shape)
    }

    /// The length of an axis, if the file or an option says it.
    fn length(&self, axis: &Axis) -> Option<usize> {
        match axis {
            Axis::Fixed(n) => Some(*n),
            Axis::Symbol(symbol) => self.symbols.get(symbol).copied().flatten(),
        }
    }
}

/// The symbol of an axis that has none.
const UNNAMED: &str = "?";

/// A declared shape, for messages.
fn form(axes: &[Axis]) -> String {
    let axes = axes.iter().map(|axis| match axis {
        Axis::Fixed(n) => n.to_string(),
        Axis::Symbol(symbol) => symbol.clone(),
    });
    axes.collect::<Vec<_>>().join(",")
}

impl<'a> Input<'a> {
    fn read(input: &'a ValueInfoProto) -> Result<Self, Error> {
        let name = input.name.as_str();
        let error = |reason: String| Error::Shape {
            node: name.into(),
            reason,
        };
        let Some(TypeValue::TensorType(tensor)) =
            input.r#type.as_ref().and_then(|t| t.value.as_ref())
        else {
            return Err(error("this input is not a tensor".into()));
        };
        Ok(Self {
            name,
            data_type: DataType::try_from(tensor.elem_type).unwrap_or(DataType::Undefined),
            axes: axes(tensor).map_err(error)?,
        })
    }

    /// The kind of the elements.
    fn element(&self) -> Result<Element, Error> {
        Ok(match self.data_type {
            DataType::Float | DataType::Float16 | DataType::Bfloat16 | DataType::Double => {
                Element::Float
            }
            DataType::Int64
            | DataType::Int32
            | DataType::Int16
            | DataType::Int8
            | DataType::Uint64
            | DataType::Uint32
            | DataType::Uint16
            | DataType::Uint8 => Element::Int,
            DataType::Bool => Element::Bool,
            _ => {
                return Err(Error::UnsupportedType {
                    name: self.name.into(),
                    data_type: type_name(self.data_type as i32),
                    remedy: "model inputs must be numbers or truth values: convert (or embed) the \
                             input outside of the model"
                        .into(),
                });
            }
        })
    }

    /// A constant in place of the input, whose cells have been counted.
    fn constant(&self, shape: Vec<usize>, given: &[f64]) -> Result<Tensor, Error> {
        let error = |reason: String| Error::Option {
            option: "constant",
            name: self.name.into(),
            reason,
        };
        let n = shape.iter().product::<usize>();
        let cells: Vec<f64> = match *given {
            [x] => vec![x; n],
            ref list if list.len() == n => list.to_vec(),
            ref list => {
                let got = list.len();
                return Err(error(format!("{got} numbers for the shape {shape:?}")));
            }
        };
        let whole = |&x: &f64| (x.fract() == 0.0 && x.abs() < 2_f64.powi(53)).then_some(x as i64);
        let cells = match self.element()? {
            Element::Int => {
                let cells = cells.iter().map(whole).collect::<Option<_>>();
                Cells::Int(cells.ok_or_else(|| error("it must be integers".into()))?)
            }
            Element::Bool => {
                let truth = |x: &f64| match whole(x) {
                    Some(n @ (0 | 1)) => Some(n == 1),
                    _ => None,
                };
                let cells = cells.iter().map(truth).collect::<Option<_>>();
                Cells::Bool(cells.ok_or_else(|| error("it must be 1 or 0 (true or false)".into()))?)
            }
            _ => Cells::Float(cells.into_iter().map(|x| x as f32).collect()),
        };
        Ok(Tensor::new(shape, cells).of_type(self.data_type))
    }

    fn shape_error(&self, reason: String) -> Error {
        Error::Shape {
            node: self.name.into(),
            reason,
        }
    }
}

/// The declared axes. Lengths of 0 and -1 are old exporters' way to say that an axis is dynamic.
fn axes(tensor: &tensor_type::Tensor) -> Result<Option<Vec<Axis>>, String> {
    let Some(shape) = &tensor.shape else {
        return Ok(None);
    };
    if shape.dim.len() > MAX_RANK {
        let rank = shape.dim.len();
        return Err(format!(
            "this input has {rank} axes, at most {MAX_RANK} are supported"
        ));
    }
    let axis = |(axis, value): (usize, &Option<DimensionValue>)| match value {
        Some(DimensionValue::DimValue(-1 | 0)) | None => Ok(Axis::Symbol(UNNAMED.into())),
        Some(DimensionValue::DimValue(n)) => match usize::try_from(*n) {
            Ok(n) => Ok(Axis::Fixed(n)),
            Err(_) => Err(format!("axis {axis} has length {n}")),
        },
        Some(DimensionValue::DimParam(symbol)) if symbol.is_empty() => {
            Ok(Axis::Symbol(UNNAMED.into()))
        }
        Some(DimensionValue::DimParam(symbol)) => Ok(Axis::Symbol(symbol.clone())),
    };
    let dims = shape.dim.iter().map(|dim| &dim.value).enumerate();
    dims.map(axis).collect::<Result<_, _>>().map(Some)
}
