//! The reference against candle, on graphs of one operator each.

use super::agreement::{Trust, same};
use super::generate::{self, RECIPES};
use super::graph::{Case, Values};
use super::tensor::Type;
use candle_core::{DType, Device, Tensor};
use candle_onnx::onnx::ModelProto;
use prost::Message;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The outputs on the first sample, in order; `None` if candle does not run the graph.
fn outputs(case: &Case, run: &Values) -> Option<Vec<(Vec<usize>, Vec<f64>)>> {
    let model = ModelProto::decode(&*case.encode(run)).ok()?;
    let pairs = case.inputs.iter().zip(&case.samples[0]);
    let inputs = pairs.map(|(name, t)| {
        let of = |kind: DType| {
            let tensor = Tensor::from_vec(t.cells.clone(), &*t.shape, &Device::Cpu)?;
            tensor.to_dtype(kind)
        };
        let tensor = match t.kind {
            Type::Float => of(DType::F32),
            Type::Int64 => of(DType::I64),
            _ => of(DType::U8),
        };
        Some((name.clone(), tensor.ok()?))
    });
    let inputs: HashMap<String, Tensor> = inputs.collect::<Option<_>>()?;
    let found = catch_unwind(AssertUnwindSafe(|| {
        candle_onnx::simple_eval(&model, inputs)
    }));
    let found = found.ok()?.ok()?;
    let output = |name: &String| {
        let tensor = found.get(name)?;
        let cells = tensor.to_dtype(DType::F64).ok()?.flatten_all().ok()?;
        Some((tensor.dims().to_vec(), cells.to_vec1().ok()?))
    };
    case.outputs.iter().map(output).collect()
}

/// Operators that candle has otherwise than the standard, and how.
const OTHERWISE: &[(&str, &str)] = &[
    ("Cast", "fractions below 1 are false"),
    ("ConstantOfShape", "crashes on a value that is no raw data"),
    ("Flatten", "negative axes flatten the other part"),
    ("Gelu", "the approximation by tanh is not told apart"),
    ("MaxPool", "ceil_mode is not read"),
    ("PRelu", "slopes are broadcast from the first axis"),
    ("ReduceL2", "empty axes reduce nothing"),
    ("ReduceMax", "empty axes reduce nothing"),
    ("ReduceMean", "axes that are an input are not read"),
    ("ReduceMin", "empty axes reduce nothing"),
    ("ReduceSum", "empty axes reduce nothing"),
    ("ScatterND", "its reduction is not read"),
    ("Squeeze", "axes that are not given squeeze otherwise"),
    ("Transpose", "by default only the last two axes change"),
];

#[test]
fn the_reference_agrees_with_candle() {
    let mut compared = 0;
    let mut faults = Vec::new();
    for recipe in RECIPES {
        let graphs = (0..60).filter_map(|index| generate::single(11, index, recipe));
        for case in graphs.take(20) {
            let mut names = case.nodes.iter().map(|node| &*node.op);
            if names.any(|op| OTHERWISE.iter().any(|(other, _)| *other == op)) {
                continue;
            }
            let run = case.run(0).expect("the reference has it");
            let Some(found) = outputs(&case, &run) else {
                continue;
            };
            compared += 1;
            for (name, (shape, cells)) in case.outputs.iter().zip(&found) {
                if let Err(detail) = same(
                    &case,
                    &run,
                    (0, name),
                    (shape, cells),
                    Trust::Runtime,
                    &mut None,
                ) {
                    faults.push(format!("{}: {detail} in {case:?}", recipe.op));
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{compared} compared: {}",
        faults.join("\n")
    );
    assert!(compared > 500, "{compared} graphs");
}
