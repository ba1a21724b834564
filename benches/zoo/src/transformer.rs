//! Transformers, written the way exporters write them: every head's product is a `MatMul` of transposed
//! tensors, GELU is spelled out, the mask is a constant.
//!
//! Weights are scaled so that each part keeps the variance of the residual stream near 1, by `1 / sqrt(2 L)`
//! for the two parts of each of `L` layers, as GPT-2 is initialised.

use crate::net::{Net, Tensor, Window};

/// The sizes of a stack of layers.
#[derive(Clone, Copy)]
struct Stack {
    layers: usize,
    width: usize,
    heads: usize,
    /// Heads of keys and values, each of which serves several of queries.
    shared_heads: usize,
    hidden: usize,
}

impl Stack {
    const fn new(layers: usize, width: usize, heads: usize) -> Self {
        Self {
            layers,
            width,
            heads,
            shared_heads: heads,
            hidden: 4 * width,
        }
    }

    /// Factor of what a part adds to the residual stream.
    fn gain(self) -> f32 {
        (2.0 * self.layers as f32).sqrt().recip()
    }
}

const MINILM: Stack = Stack::new(6, 384, 12);
const BASE: Stack = Stack::new(12, 768, 12);
const TINY: Stack = Stack::new(12, 192, 3);
const LLAMA: Stack = Stack {
    shared_heads: 4,
    hidden: 2304,
    ..BASE
};

/// Rows of BERT's vocabulary, and its longest sequence.
pub(crate) const BERT_WORDS: usize = 30_522;
const BERT_LENGTH: usize = 512;

/// Those of GPT-2.
pub(crate) const GPT2_WORDS: usize = 50_257;
const GPT2_LENGTH: usize = 1024;

/// Those of Llama's first tokenizer.
pub(crate) const LLAMA_WORDS: usize = 32_000;

pub(crate) fn minilm(net: &mut Net, ids: &Tensor) -> Tensor {
    bert(net, ids, MINILM)
}

pub(crate) fn bert_base(net: &mut Net, ids: &Tensor) -> Tensor {
    bert(net, ids, BASE)
}

/// The hidden states behind the last layer; the sum of a layer and what it adds is normalised.
fn bert(net: &mut Net, ids: &Tensor, stack: Stack) -> Tensor {
    let tokens = ids.shape()[1];
    let words = net.embedding("embeddings.word", ids, BERT_WORDS, stack.width, 1.0);
    let place = net.rows("embeddings.position", BERT_LENGTH, tokens, stack.width, 0.5);
    let x = net.sum("embeddings.add", &words, &place);
    let mut x = net.layer_norm("embeddings.norm", &x);
    for layer in 0..stack.layers {
        let name = format!("layer{layer}");
        let y = attention(net, &format!("{name}.attention"), &x, stack, None, None);
        let y = net.sum(&format!("{name}.attention.add"), &x, &y);
        let y = net.layer_norm(&format!("{name}.attention.norm"), &y);
        let z = perceptron(net, &name, &y, stack);
        let z = net.sum(&format!("{name}.add"), &y, &z);
        x = net.layer_norm(&format!("{name}.norm"), &z);
    }
    x
}

/// The logits of the token behind each one; the last matrix is that of the embedding.
pub(crate) fn gpt2(net: &mut Net, ids: &Tensor) -> Tensor {
    let stack = BASE;
    let tokens = ids.shape()[1];
    let words = net.embedding("wte", ids, GPT2_WORDS, stack.width, 0.5);
    let place = net.rows("wpe", GPT2_LENGTH, tokens, stack.width, 0.5);
    let mut x = net.sum("embeddings", &words, &place);
    let mask = net.causal("mask", tokens);
    for layer in 0..stack.layers {
        x = pre_normed(net, &format!("h{layer}"), &x, stack, Some(&mask));
    }
    let x = net.layer_norm("ln_f", &x);
    net.onto_rows("lm_head", &x, "wte")
}

/// The logits of an image of patches of 16 by 16.
fn vision(net: &mut Net, image: &Tensor, stack: Stack) -> Tensor {
    let patches = net.conv_bias("patch", image, stack.width, Window::square(16).stride(16));
    let count = patches.height() * patches.height();
    let x = net.reshape("patch.flat", &patches, &[1, stack.width, count]);
    let x = net.transpose("patch.rows", &x, &[0, 2, 1]);
    let x = net.behind_class("tokens", &x);
    let place = net.rows("position", count + 1, count + 1, stack.width, 0.3);
    let mut x = net.sum("embeddings", &x, &place);
    for layer in 0..stack.layers {
        x = pre_normed(net, &format!("blocks{layer}"), &x, stack, None);
    }
    let x = net.layer_norm("norm", &x);
    let class = net.first("class", &x);
    net.gemm("head", &class, 1000)
}

pub(crate) fn vit_b16(net: &mut Net, image: &Tensor) -> Tensor {
    vision(net, image, BASE)
}

pub(crate) fn deit_tiny(net: &mut Net, image: &Tensor) -> Tensor {
    vision(net, image, TINY)
}

/// The logits of the token behind each one: root mean squares, rotations, grouped queries, gated units.
pub(crate) fn llama(net: &mut Net, ids: &Tensor) -> Tensor {
    let stack = LLAMA;
    let tokens = ids.shape()[1];
    let mut x = net.embedding("embed", ids, LLAMA_WORDS, stack.width, 1.0);
    let mask = net.causal("mask", tokens);
    let turn = net.rotation("rotary", tokens, stack.width / stack.heads);
    for layer in 0..stack.layers {
        let name = format!("layer{layer}");
        let y = net.rms_norm(&format!("{name}.input_norm"), &x);
        let attention_name = format!("{name}.attention");
        let y = attention(net, &attention_name, &y, stack, Some(&mask), Some(&turn));
        let y = net.sum(&format!("{name}.attention.add"), &x, &y);
        let z = net.rms_norm(&format!("{name}.norm"), &y);
        let gate = net.linear(&format!("{name}.gate"), &z, stack.hidden, 1.0, false);
        let gate = net.silu(&format!("{name}.silu"), &gate);
        let up = net.linear(&format!("{name}.up"), &z, stack.hidden, 1.0, false);
        let z = net.product(&format!("{name}.gated"), &gate, &up);
        let down = format!("{name}.down");
        let z = net.linear(&down, &z, stack.width, 2.0 * stack.gain(), false);
        x = net.sum(&format!("{name}.add"), &y, &z);
    }
    let x = net.rms_norm("norm", &x);
    net.onto_rows("lm_head", &x, "embed")
}

/// A layer whose parts normalise what they read.
fn pre_normed(net: &mut Net, name: &str, x: &Tensor, stack: Stack, mask: Option<&str>) -> Tensor {
    let y = net.layer_norm(&format!("{name}.norm1"), x);
    let y = attention(net, &format!("{name}.attention"), &y, stack, mask, None);
    let y = net.sum(&format!("{name}.add1"), x, &y);
    let z = net.layer_norm(&format!("{name}.norm2"), &y);
    let z = perceptron(net, name, &z, stack);
    net.sum(&format!("{name}.add2"), &y, &z)
}

fn perceptron(net: &mut Net, name: &str, x: &Tensor, stack: Stack) -> Tensor {
    let y = net.linear(&format!("{name}.fc1"), x, stack.hidden, 1.0, true);
    let y = net.gelu(&format!("{name}.gelu"), &y);
    // The second moment of GELU of a standard normal is 0.43.
    let gain = stack.gain() / 0.43_f32.sqrt();
    net.linear(&format!("{name}.fc2"), &y, stack.width, gain, true)
}

/// Attention of every token to all, or to those before it.
fn attention(
    net: &mut Net,
    name: &str,
    x: &Tensor,
    stack: Stack,
    mask: Option<&str>,
    turn: Option<&[String; 2]>,
) -> Tensor {
    let size = stack.width / stack.heads;
    let tokens = x.shape()[1];
    let bias = turn.is_none();
    let heads = |net: &mut Net, part: &str, heads: usize| {
        let name = format!("{name}.{part}");
        let y = net.linear(&name, x, heads * size, 1.0, bias);
        let y = net.reshape(&format!("{name}.heads"), &y, &[1, tokens, heads, size]);
        net.transpose(&format!("{name}.first"), &y, &[0, 2, 1, 3])
    };
    let mut query = heads(net, "query", stack.heads);
    let mut key = heads(net, "key", stack.shared_heads);
    let mut value = heads(net, "value", stack.shared_heads);
    if let Some(turn) = turn {
        query = net.turned(&format!("{name}.query.turned"), &query, turn);
        key = net.turned(&format!("{name}.key.turned"), &key, turn);
    }
    let copies = stack.heads / stack.shared_heads;
    if copies > 1 {
        key = net.repeated(&format!("{name}.key.repeated"), &key, copies);
        value = net.repeated(&format!("{name}.value.repeated"), &value, copies);
    }
    let key = net.transpose(&format!("{name}.key.columns"), &key, &[0, 1, 3, 2]);
    let scores = net.matmul(&format!("{name}.scores"), &query, &key);
    let scores = net.scaled(
        &format!("{name}.scaled"),
        &scores,
        (size as f32).sqrt().recip(),
    );
    let scores = match mask {
        Some(mask) => net.plus(&format!("{name}.masked"), &scores, mask),
        None => scores,
    };
    let shares = net.softmax(&format!("{name}.softmax"), &scores);
    let y = net.matmul(&format!("{name}.mixed"), &shares, &value);
    let y = net.transpose(&format!("{name}.tokens"), &y, &[0, 2, 1, 3]);
    let y = net.reshape(&format!("{name}.flat"), &y, &[1, tokens, stack.width]);
    // A mean of many values is smaller than one.
    net.linear(
        &format!("{name}.out"),
        &y,
        stack.width,
        2.0 * stack.gain(),
        bias,
    )
}
