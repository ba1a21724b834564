//! ONNX's own operator tests: whatever imports gives the reference's answer, and the cases in
//! [`IN_SCOPE`] do import.
//!
//! The tests feed weights as inputs. Each case is therefore tried with every choice of inputs
//! that become initializers, and counts as in scope if at least one choice imports. Of several
//! outputs only the first is kept: masks and indices are never computed.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::ArrayD;
use serde_json::Value;
use zkstrata_onnx_import::{Error, import};

use crate::build;
use crate::common::{self, Array};

/// The cases that import.
const IN_SCOPE: &[&str] = &[
    "test_add_bcast",
    "test_argmax_default_axis_example",
    "test_argmax_default_axis_random_select_last_index",
    "test_argmax_keepdims_random_select_last_index",
    "test_argmax_negative_axis_keepdims_example_select_last_index",
    "test_argmax_negative_axis_keepdims_random_select_last_index",
    "test_argmax_no_keepdims_example",
    "test_argmax_no_keepdims_random",
    "test_averagepool_1d_default",
    "test_averagepool_2d_ceil_last_window_starts_on_pad",
    "test_averagepool_2d_dilations",
    "test_averagepool_2d_pads_count_include_pad",
    "test_averagepool_2d_precomputed_same_upper",
    "test_averagepool_2d_precomputed_strides",
    "test_averagepool_2d_same_lower",
    "test_averagepool_2d_strides",
    "test_basic_conv_without_padding",
    "test_batchnorm_example",
    "test_clip",
    "test_clip_example",
    "test_clip_splitbounds",
    "test_concat_1d_axis_0",
    "test_concat_1d_axis_negative_1",
    "test_concat_2d_axis_0",
    "test_concat_2d_axis_1",
    "test_concat_2d_axis_negative_1",
    "test_concat_3d_axis_1",
    "test_concat_3d_axis_2",
    "test_concat_3d_axis_negative_2",
    "test_constant_pad_negative_axes",
    "test_conv_with_autopad_same",
    "test_conv_with_strides_and_asymmetric_padding",
    "test_conv_with_strides_padding",
    "test_div",
    "test_div_bcast",
    "test_div_example",
    "test_dropout_default_mask",
    "test_dropout_default_mask_ratio",
    "test_flatten_axis0",
    "test_flatten_axis1",
    "test_flatten_axis2",
    "test_flatten_axis3",
    "test_flatten_default_axis",
    "test_flatten_negative_axis3",
    "test_gemm_beta",
    "test_gemm_default_matrix_bias",
    "test_gemm_default_single_elem_vector_bias",
    "test_gemm_default_vector_bias",
    "test_gemm_default_zero_bias",
    "test_gemm_transposeA",
    "test_gemm_transposeB",
    "test_globalmaxpool",
    "test_globalmaxpool_precomputed",
    "test_identity",
    "test_leakyrelu_example",
    "test_logsoftmax_axis_0",
    "test_logsoftmax_axis_2",
    "test_logsoftmax_default_axis",
    "test_logsoftmax_example_1",
    "test_logsoftmax_large_number",
    "test_matmul_2d",
    "test_matmul_4d_1d",
    "test_maxpool_2d_default",
    "test_maxpool_2d_dilations",
    "test_maxpool_2d_precomputed_pads",
    "test_maxpool_2d_precomputed_strides",
    "test_maxpool_2d_strides",
    "test_maxpool_with_argmax_2d_precomputed_strides",
    "test_mul",
    "test_mul_bcast",
    "test_reduce_mean_default_axes_keepdims_random",
    "test_reduce_mean_do_not_keepdims_example",
    "test_reduce_mean_do_not_keepdims_random",
    "test_reduce_mean_keepdims_example",
    "test_reduce_mean_keepdims_random",
    "test_reduce_mean_negative_axes_keepdims_example",
    "test_relu",
    "test_reshape_extended_dims",
    "test_reshape_negative_dim",
    "test_reshape_negative_extended_dims",
    "test_reshape_zero_dim",
    "test_sigmoid",
    "test_softmax_axis_1",
    "test_softmax_default_axis",
    "test_softmax_example",
    "test_softmax_large_number",
    "test_squeeze_negative_axes",
    "test_sub_bcast",
    "test_sub_example",
    "test_tanh",
    "test_transpose_all_permutations_0",
    "test_transpose_all_permutations_2",
    "test_transpose_all_permutations_3",
    "test_transpose_all_permutations_4",
    "test_transpose_all_permutations_5",
    "test_unsqueeze_axis_1",
    "test_unsqueeze_axis_2",
    "test_unsqueeze_negative_axes",
    "test_unsqueeze_two_axes",
    "test_unsqueeze_unsorted_axes",
];

/// Operators that are dropped when final: the output is their input.
const READOUTS: &[&str] = &["ArgMax", "LogSoftmax", "Softmax"];

/// What became of a case.
#[derive(Default)]
struct Outcome {
    imported: usize,
    errors: Vec<String>,
}

#[test]
fn operators_match_the_reference_or_are_refused() {
    let Some(suite) = common::suite("onnx-node-tests") else {
        return;
    };
    let index = std::fs::read(suite.join("index.json")).expect("an index");
    let index: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&index).expect("json");
    let mut imported = Vec::new();
    for (op, cases) in &index {
        for case in cases {
            let name = case["case"].as_str().expect("a name");
            let outcome = run_case(op, &suite.join(op).join(name), case);
            if outcome.imported > 0 {
                imported.push(name.to_owned());
            } else {
                assert!(!outcome.errors.is_empty(), "{name}");
                eprintln!("{op} {name}: {}", outcome.errors.join("; "));
            }
        }
    }
    imported.sort();
    assert_eq!(imported, IN_SCOPE);
}

/// Tries every choice of initializers.
fn run_case(op: &str, folder: &Path, case: &Value) -> Outcome {
    let tolerance = |name: &str| case[name].as_f64().expect("a number") as f32;
    let (rtol, atol) = (tolerance("rtol"), tolerance("atol").max(1e-6));
    let list = |name: &str| case[name].as_array().expect("a list").len();
    let read = |name: String| Array::read(&folder.join(name));
    let inputs: Vec<_> = (0..list("inputs"))
        .map(|i| read(format!("in_{i}.npy")))
        .collect();
    let expected: Vec<_> = (0..list("outputs"))
        .map(|i| read(format!("out_{i}.npy")))
        .collect();
    let bytes = std::fs::read(folder.join("model.onnx")).expect("a model");

    let mut outcome = Outcome::default();
    for constants in 0..1_u32 << inputs.len().min(6) {
        let is_constant = |i: usize| constants >> i & 1 == 1;
        let Some(model) = with_initializers(&bytes, &inputs, is_constant) else {
            continue;
        };
        let graph = match import(&model) {
            Ok(graph) => graph,
            Err(Error::Decode(e)) => panic!("{}: {e}", folder.display()),
            Err(e) => {
                outcome.errors.push(e.to_string());
                continue;
            }
        };
        let activations: Vec<ArrayD<f32>> = inputs
            .iter()
            .enumerate()
            .filter(|(i, _)| !is_constant(*i))
            .map(|(_, input)| match input {
                Some(Array::Float(a)) => a.clone(),
                other => panic!("{} imported with input {other:?}", folder.display()),
            })
            .collect();
        let shapes = graph.inputs().map(|v| graph.nodes()[v.0].shape.clone());
        if !shapes.eq(activations.iter().map(|a| a.shape().to_vec())) {
            outcome.errors.push("has an empty axis".into());
            continue;
        }
        let outputs = common::run(&graph, &activations);
        for (i, got) in outputs.iter().enumerate() {
            let what = format!("{} with constants {constants:b}", folder.display());
            if READOUTS.contains(&op) {
                assert!(graph.notes()[0].contains("is dropped"), "{what}");
                assert_eq!(got, &activations[0], "{what}");
                continue;
            }
            match &expected[i] {
                Some(Array::Float(expected)) => {
                    common::assert_close(&what, got, expected, rtol, atol);
                }
                other => panic!("{what} imported, but its output is {other:?}"),
            }
        }
        outcome.imported += 1;
    }
    outcome
}

/// The model with its first output, some inputs as initializers, and an opset of at most 22: the operators in scope
/// gained only element types since. `None` if such an input has a type the helper cannot store.
fn with_initializers(
    bytes: &[u8],
    inputs: &[Option<Array>],
    is_constant: impl Fn(usize) -> bool,
) -> Option<Vec<u8>> {
    let mut model = common::decode(bytes);
    for set in model
        .opset_import
        .iter_mut()
        .filter(|set| set.domain.is_empty())
    {
        set.version = set.version.min(22);
    }
    let graph = model.graph.as_mut()?;
    graph.output.truncate(1);
    let declared = std::mem::take(&mut graph.input);
    for (i, input) in declared.into_iter().enumerate() {
        if is_constant(i) {
            let array = inputs.get(i)?.as_ref()?;
            graph.initializer.push(array.initializer(&input.name));
        } else {
            graph.input.push(input);
        }
    }
    Some(build::encode(&model))
}
