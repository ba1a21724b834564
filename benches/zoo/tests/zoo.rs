//! What the files are: valid, the same everywhere, and of the documented size.

use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use zkstrata_onnx_import::import;
use zkstrata_onnx_import::proto::{GraphProto, ModelProto, TensorProto, tensor_proto::DataType};
use zkstrata_zoo::{ARCHITECTURES, find};

/// Name, parameters, and the outputs' shape. The parameters are those that training learns: no
/// statistics of batch normalisation.
const FACTS: [(&str, usize, &[usize]); 18] = [
    ("lenet5", 61_706, &[1, 10]),
    ("cnn_cifar_62k", 62_006, &[1, 10]),
    ("cnn_cifar_264k", 264_031, &[1, 10]),
    ("mlp_4m", 4_012_003, &[1, 3]),
    ("vgg11_cifar", 9_231_114, &[1, 10]),
    ("vgg16_cifar", 14_728_266, &[1, 10]),
    ("resnet18_cifar", 11_173_962, &[1, 10]),
    ("resnet18_224", 11_689_512, &[1, 1000]),
    ("mobilenetv2_224", 3_504_872, &[1, 1000]),
    ("tiny_resnet8", 77_706, &[1, 10]),
    ("tiny_dscnn_kws", 22_604, &[1, 12]),
    ("tiny_ad_autoencoder", 267_928, &[1, 640]),
    ("deit_tiny_224", 5_717_416, &[1, 1000]),
    ("vit_b16_224", 86_567_656, &[1, 1000]),
    ("minilm_l6", 22_564_608, &[1, 32, 384]),
    ("bert_base", 108_890_112, &[1, 64, 768]),
    ("gpt2", 124_439_808, &[1, 32, 50_257]),
    ("llama_110m", 107_170_560, &[1, 32, 32_000]),
];

/// Larger networks are not imported here: that is all that their builders could add to smaller ones of the
/// same kind.
const MOST_IMPORTED: usize = 25_000_000;

fn decode(bytes: &[u8]) -> GraphProto {
    let model = ModelProto::decode(bytes).expect("protobuf");
    model.graph.expect("a graph")
}

fn parameters(graph: &GraphProto) -> usize {
    let fixed = [".running_", "mask", "rotary."];
    let learned = |t: &&TensorProto| {
        let real = t.data_type == DataType::Float as i32 && !t.dims.is_empty();
        real && !fixed.iter().any(|name| t.name.contains(name))
    };
    let learned = graph.initializer.iter().filter(learned);
    learned.map(|t| t.raw_data.len() / 4).sum()
}

#[test]
fn every_architecture_imports_and_has_the_documented_size() {
    let names: Vec<&str> = ARCHITECTURES.iter().map(|a| a.name).collect();
    assert_eq!(names, FACTS.map(|(name, ..)| name));
    for (name, count, output) in FACTS {
        let architecture = find(name).expect("listed");
        let bytes = architecture.onnx();
        let file = decode(&bytes);
        assert_eq!(parameters(&file), count, "{name}");
        let nodes: BTreeSet<&str> = file.node.iter().map(|n| &*n.name).collect();
        assert_eq!(nodes.len(), file.node.len(), "{name}: names are unique");

        if count > MOST_IMPORTED {
            continue;
        }
        let graph = import(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let shape = |v: usize| graph.nodes()[v].shape.clone();
        let inputs: Vec<_> = graph.inputs().map(|v| shape(v.0)).collect();
        assert_eq!(inputs, [architecture.input_shape()], "{name}");
        let outputs: Vec<_> = graph.outputs().iter().map(|(_, v)| shape(v.0)).collect();
        assert_eq!(outputs, [output], "{name}");
    }
}

/// The large networks differ from these in their sizes, but for what only the last has: rotations, root mean
/// squares, gates and queries that share keys. At few tokens they are run.
#[test]
fn transformers_run() {
    for (name, side, spread) in [
        ("deit_tiny_224", 32, 0.1..10.0),
        ("minilm_l6", 4, 0.5..2.0),
        ("llama_110m", 3, 1.0..60.0),
    ] {
        let architecture = find(name).expect("listed");
        let bytes = architecture.onnx_at(side).expect("a side");
        let graph = import(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let sample = architecture.samples_at(side, 1, 3).expect("the same side");
        let values = graph.run(&sample).expect("the sample fits");
        let cells = &values[graph.outputs()[0].1.0];
        let squares: f32 = cells.iter().map(|x| x * x).sum();
        let size = (squares / cells.len() as f32).sqrt();
        assert!(spread.contains(&size), "{name}: {size}");
        let tokens = &sample[0];
        if name == "llama_110m" {
            assert!(
                tokens
                    .iter()
                    .all(|x| x.fract() == 0.0 && (0.0..32_000.0).contains(x))
            );
        }
    }
}

/// The bytes are part of what a benchmark measured.
#[test]
fn the_same_bytes_everywhere() {
    let digests = ["lenet5", "tiny_ad_autoencoder", "mobilenetv2_224"].map(|name| {
        let bytes = find(name).expect("listed").onnx();
        blake3::hash(&bytes).to_hex()[..16].to_owned()
    });
    assert_eq!(
        digests,
        ["e3f191a2bb06ab48", "81cfd533451e6278", "a03c6adf59ce9dc2"]
    );
}

#[test]
fn another_side_changes_only_what_depends_on_it() {
    for name in ["lenet5", "cnn_cifar_62k", "tiny_resnet8", "tiny_dscnn_kws"] {
        let architecture = find(name).expect("listed");
        let side = 2 * architecture.side;
        let [usual, double] = [architecture.onnx(), architecture.onnx_at(side).expect(name)];
        let weights: BTreeMap<_, _> = decode(&usual)
            .initializer
            .into_iter()
            .map(|t| (t.name, (t.dims, t.raw_data)))
            .collect();
        for tensor in decode(&double).initializer {
            let (dims, data) = &weights[&tensor.name];
            let head = name != "tiny_resnet8" && tensor.name == "fc1.weight";
            assert!(head || tensor.dims == *dims, "{name}: {}", tensor.name);
            assert!(head || tensor.raw_data == *data, "{name}: {}", tensor.name);
        }
        let sample = architecture.samples_at(side, 1, 0).expect("the same side");
        let graph = import(&double).expect("a model");
        graph.run(&sample).expect("the sample fits");
        assert_eq!(architecture.onnx_at(architecture.side), Some(usual));
    }
}

#[test]
fn impossible_sides_are_none() {
    for (name, side) in [
        ("lenet5", 8),
        ("lenet5", 30),
        ("vgg16_cifar", 33),
        ("resnet18_224", 0),
        ("resnet18_224", 4096),
        ("mlp_4m", 8),
        ("tiny_ad_autoencoder", 1280),
    ] {
        let architecture = find(name).expect("listed");
        assert_eq!(architecture.onnx_at(side), None, "{name} {side}");
        assert_eq!(architecture.samples_at(side, 1, 0), None, "{name} {side}");
    }
    assert!(find("resnet50").is_none());
}

#[test]
fn samples_are_normalised_and_stable() {
    for name in ["lenet5", "tiny_resnet8", "tiny_dscnn_kws", "mlp_4m"] {
        let architecture = find(name).expect("listed");
        let samples = architecture.samples(200, 7);
        assert_eq!(samples[..3], architecture.samples(3, 7));
        assert_ne!(samples[0], architecture.samples(1, 8)[0]);
        let mut sums = [0.0; 2];
        let mut cells = 0.0;
        for sample in &samples {
            assert_eq!(sample.shape(), architecture.input_shape());
            for &x in sample {
                let x = f64::from(x);
                sums[0] += x;
                sums[1] += x * x;
                cells += 1.0;
            }
        }
        let [mean, square] = sums.map(|sum| sum / cells);
        assert!(mean.abs() < 0.2, "{name}: mean {mean}");
        assert!((0.5..1.3).contains(&square), "{name}: square {square}");
    }
}
