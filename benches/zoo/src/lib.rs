//! Well-known architectures as ONNX bytes, for benchmarks.
//!
//! A network is built when it is asked for, with weights from a seed: no large file is stored,
//! and every machine gets the same bytes. The weights are not trained. They are scaled so that
//! activations keep their size from layer to layer and depend on the input, which is what the
//! cost of a proof depends on and what a comparison with the float model needs.
//!
//! ```
//! let lenet = zkstrata_zoo::find("lenet5").expect("known");
//! let graph = zkstrata_onnx_import::import(&lenet.onnx())?;
//! let values = graph.run(&lenet.samples(1, 0)).expect("the sample fits");
//! let (_, logits) = &graph.outputs()[0];
//! assert_eq!(values[logits.0].shape(), [1, 10]);
//! # Ok::<(), zkstrata_onnx_import::Error>(())
//! ```

mod blocks;
mod lenet;
mod message;
mod mobile;
mod net;
mod perceptron;
mod random;
mod resnet;
mod samples;
mod transformer;
mod vgg;

use crate::net::{Net, Tensor};
use crate::random::Random;
use ndarray::ArrayD;
use zkstrata_onnx_import::proto::tensor_proto::DataType;

/// Every architecture.
pub static ARCHITECTURES: &[Architecture] = &[
    Architecture {
        name: "lenet5",
        about: "LeNet-5 for 28x28 digits, 62k parameters",
        side: 28,
        input: Input::image(1, 12, 4),
        build: lenet::lenet5,
    },
    Architecture {
        name: "cnn_cifar_62k",
        about: "LeNet for 32x32 colour images, 62k parameters",
        side: 32,
        input: Input::image(3, 16, 4),
        build: lenet::cifar_62k,
    },
    Architecture {
        name: "cnn_cifar_264k",
        about: "the same, wider, 264k parameters",
        side: 32,
        input: Input::image(3, 16, 4),
        build: lenet::cifar_264k,
    },
    Architecture {
        name: "mlp_4m",
        about: "perceptron 4-1000-1000-1000-1000-1000-3, 4.0M parameters",
        side: 4,
        input: Input::Features,
        build: perceptron::mlp_4m,
    },
    Architecture {
        name: "vgg11_cifar",
        about: "VGG-11 with batch normalisation for 32x32 images, 9.2M parameters",
        side: 32,
        input: Input::image(3, 32, 32),
        build: vgg::vgg11,
    },
    Architecture {
        name: "vgg16_cifar",
        about: "VGG-16 with batch normalisation for 32x32 images, 14.7M parameters",
        side: 32,
        input: Input::image(3, 32, 32),
        build: vgg::vgg16,
    },
    Architecture {
        name: "resnet18_cifar",
        about: "ResNet-18 for 32x32 images, 11.2M parameters",
        side: 32,
        input: Input::image(3, 8, 8),
        build: resnet::resnet18_cifar,
    },
    Architecture {
        name: "resnet18_224",
        about: "ResNet-18 for ImageNet, 11.7M parameters",
        side: 224,
        input: Input::image(3, 32, 32),
        build: resnet::resnet18,
    },
    Architecture {
        name: "mobilenetv2_224",
        about: "MobileNetV2 for ImageNet, 3.5M parameters",
        side: 224,
        input: Input::image(3, 32, 32),
        build: mobile::mobilenetv2,
    },
    Architecture {
        name: "tiny_resnet8",
        about: "MLPerf Tiny image classification, 78k parameters",
        side: 32,
        input: Input::image(3, 4, 4),
        build: resnet::resnet8,
    },
    Architecture {
        name: "tiny_dscnn_kws",
        about: "MLPerf Tiny keyword spotting, 23k parameters; the side counts frames of 10 bins",
        side: 49,
        input: Input::Frames { bins: 10 },
        build: mobile::dscnn,
    },
    Architecture {
        name: "tiny_ad_autoencoder",
        about: "MLPerf Tiny anomaly detection, 268k parameters",
        side: 640,
        input: Input::Features,
        build: perceptron::autoencoder,
    },
    Architecture {
        name: "deit_tiny_224",
        about: "DeiT-tiny for ImageNet, 5.7M parameters",
        side: 224,
        input: Input::image(3, 32, 16),
        build: transformer::deit_tiny,
    },
    Architecture {
        name: "vit_b16_224",
        about: "ViT-B/16 for ImageNet, 86.6M parameters",
        side: 224,
        input: Input::image(3, 32, 16),
        build: transformer::vit_b16,
    },
    Architecture {
        name: "minilm_l6",
        about: "MiniLM-L6, 22.6M parameters; the side counts tokens",
        side: 32,
        input: Input::tokens(transformer::BERT_WORDS, 512),
        build: transformer::minilm,
    },
    Architecture {
        name: "bert_base",
        about: "BERT-base without its pooler, 108.9M parameters; the side counts tokens",
        side: 64,
        input: Input::tokens(transformer::BERT_WORDS, 512),
        build: transformer::bert_base,
    },
    Architecture {
        name: "gpt2",
        about: "GPT-2 small, 124.4M parameters; the side counts tokens",
        side: 32,
        input: Input::tokens(transformer::GPT2_WORDS, 1024),
        build: transformer::gpt2,
    },
    Architecture {
        name: "llama_110m",
        about: "Llama-shaped with grouped queries, 107.2M parameters; the side counts tokens",
        side: 32,
        input: Input::tokens(transformer::LLAMA_WORDS, 1024),
        build: transformer::llama,
    },
];

/// The largest image side.
pub const MAX_SIDE: usize = 1024;

/// The architecture of that name.
pub fn find(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|a| a.name == name)
}

/// A network, and inputs for it.
#[derive(Clone, Copy, Debug)]
pub struct Architecture {
    /// Its name, which also seeds its weights.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// The usual side of an image in pixels, or the number of features.
    pub side: usize,
    input: Input,
    build: fn(&mut Net, &Tensor) -> Tensor,
}

#[derive(Clone, Copy, Debug)]
enum Input {
    /// A vector.
    Features,
    /// A square image; its side is a multiple of `step` and at least `least`.
    Image {
        channels: usize,
        least: usize,
        step: usize,
    },
    /// A spectrogram of any number of frames.
    Frames { bins: usize },
    /// Ids of tokens of a vocabulary, up to so many.
    Tokens { words: usize, most: usize },
}

impl Input {
    const fn tokens(words: usize, most: usize) -> Self {
        Self::Tokens { words, most }
    }

    const fn image(channels: usize, least: usize, step: usize) -> Self {
        Self::Image {
            channels,
            least,
            step,
        }
    }
}

impl Architecture {
    /// The ONNX file at the usual side.
    pub fn onnx(&self) -> Vec<u8> {
        self.build(self.side)
    }

    /// The ONNX file for images of another side, up to [`MAX_SIDE`]: `None` for a side that the
    /// network cannot have, and for networks without convolutions at any side but their own.
    /// Tensors whose shapes do not depend on the side are the same at all of them.
    pub fn onnx_at(&self, side: usize) -> Option<Vec<u8>> {
        self.takes(side).then(|| self.build(side))
    }

    /// The input's shape, with a batch axis of 1.
    pub fn input_shape(&self) -> Vec<usize> {
        self.shape(self.side)
    }

    /// Inputs of shape [`input_shape`](Self::input_shape): smooth images with some noise, normal
    /// features, or ids of tokens. Fewer samples of the same seed are the first of more.
    pub fn samples(&self, count: usize, seed: u64) -> Vec<ArrayD<f32>> {
        self.draw(self.side, count, seed)
    }

    /// The same for the network of [`onnx_at`](Self::onnx_at).
    pub fn samples_at(&self, side: usize, count: usize, seed: u64) -> Option<Vec<ArrayD<f32>>> {
        self.takes(side).then(|| self.draw(side, count, seed))
    }

    fn takes(&self, side: usize) -> bool {
        match self.input {
            Input::Features => side == self.side,
            Input::Image { least, step, .. } => {
                (least..=MAX_SIDE).contains(&side) && side.is_multiple_of(step)
            }
            Input::Frames { .. } => (1..=MAX_SIDE).contains(&side),
            Input::Tokens { most, .. } => (2..=most).contains(&side),
        }
    }

    fn shape(&self, side: usize) -> Vec<usize> {
        match self.input {
            Input::Features | Input::Tokens { .. } => vec![1, side],
            Input::Image { channels, .. } => vec![1, channels, side, side],
            Input::Frames { bins } => vec![1, 1, side, bins],
        }
    }

    fn build(&self, side: usize) -> Vec<u8> {
        let cells = match self.input {
            Input::Tokens { .. } => DataType::Int64,
            Input::Features | Input::Image { .. } | Input::Frames { .. } => DataType::Float,
        };
        let (mut net, input) = Net::new(self.name, cells, &self.shape(side));
        let output = (self.build)(&mut net, &input);
        net.finish(&output)
    }

    fn draw(&self, side: usize, count: usize, seed: u64) -> Vec<ArrayD<f32>> {
        let mut random = Random::new("samples", seed);
        let shape = self.shape(side);
        let mut draw = || match self.input {
            Input::Features => samples::features(&shape, &mut random),
            Input::Image { .. } | Input::Frames { .. } => samples::image(&shape, &mut random),
            Input::Tokens { words, .. } => samples::tokens(words, &shape, &mut random),
        };
        (0..count).map(|_| draw()).collect()
    }
}
