//! Inputs as constants. Operator tests feed weights, axes and shapes as inputs, which models have
//! as initializers.

use crate::files::Given;
use prost::Message;
use std::cmp::Reverse;
use std::collections::HashSet;
use zkstrata_model_ir::float::Graph;
use zkstrata_onnx_import::proto::tensor_proto::DataType;
use zkstrata_onnx_import::proto::{ModelProto, TensorProto, ValueInfoProto, type_proto};

/// Most inputs of which every choice is tried.
const INPUTS: usize = 9;

/// Imports a model with the fewest of its inputs as constants, of equally many the last ones, and
/// says which. `given[k]` is the array of the `k`-th input that is no initializer.
pub(crate) fn import(bytes: &[u8], given: &[Option<Given>]) -> Option<(Graph, Vec<String>)> {
    let model = ModelProto::decode(bytes).ok()?;
    let graph = model.graph.as_ref()?;
    let stored: HashSet<&str> = graph.initializer.iter().map(|t| &*t.name).collect();
    let free = graph.input.iter();
    let free: Vec<&ValueInfoProto> = free.filter(|x| !stored.contains(&*x.name)).collect();
    if free.len() > INPUTS {
        return None;
    }
    // Not none of them, and not all.
    let mut choices: Vec<u32> = (1..(1_u32 << free.len()).saturating_sub(1)).collect();
    choices.sort_by_key(|&choice| (choice.count_ones(), Reverse(choice)));
    let tensors = free.iter().enumerate().map(|(k, input)| {
        let given = given.get(k)?.as_ref()?;
        tensor(input, given)
    });
    let tensors: Vec<Option<TensorProto>> = tensors.collect();
    choices.into_iter().find_map(|choice| {
        let chosen = tensors
            .iter()
            .enumerate()
            .filter(|(k, _)| choice >> k & 1 == 1);
        let chosen: Vec<TensorProto> = chosen.map(|(_, t)| t.clone()).collect::<Option<_>>()?;
        let names: Vec<String> = chosen.iter().map(|t| t.name.clone()).collect();
        let mut model = model.clone();
        let graph = model.graph.as_mut()?;
        graph.input.retain(|input| !names.contains(&input.name));
        graph.initializer.extend(chosen);
        let graph = zkstrata_onnx_import::import(&model.encode_to_vec()).ok()?;
        Some((graph, names))
    })
}

/// An array as an initializer of the type that the input declares.
fn tensor(input: &ValueInfoProto, given: &Given) -> Option<TensorProto> {
    let Some(type_proto::Value::TensorType(declared)) = input.r#type.as_ref()?.value.as_ref()
    else {
        return None;
    };
    let mut tensor = TensorProto {
        name: input.name.clone(),
        dims: given.cells.shape().iter().map(|&n| n as i64).collect(),
        data_type: declared.elem_type,
        ..TensorProto::default()
    };
    let cells = given.cells.iter();
    match DataType::try_from(declared.elem_type).ok()? {
        DataType::Float => tensor.float_data = cells.map(|&x| x as f32).collect(),
        DataType::Double => tensor.double_data = cells.copied().collect(),
        DataType::Int64 => tensor.int64_data = cells.map(|&x| x as i64).collect(),
        DataType::Uint32 | DataType::Uint64 => {
            tensor.uint64_data = cells.map(|&x| x as u64).collect();
        }
        DataType::Bool
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Uint8
        | DataType::Uint16 => tensor.int32_data = cells.map(|&x| x as i32).collect(),
        _ => return None,
    }
    Some(tensor)
}
