//! VGG with batch normalisation for CIFAR: 3x3 convolutions, five halvings, one dense layer.

use crate::net::{Net, Tensor, Window};

pub(crate) fn vgg11(net: &mut Net, x: &Tensor) -> Tensor {
    vgg(net, x, [1, 1, 2, 2, 2])
}

pub(crate) fn vgg16(net: &mut Net, x: &Tensor) -> Tensor {
    vgg(net, x, [2, 2, 3, 3, 3])
}

/// `depths[i]` convolutions before pool `i`.
fn vgg(net: &mut Net, x: &Tensor, depths: [usize; 5]) -> Tensor {
    let mut x = x.clone();
    for (i, (width, depth)) in [64, 128, 256, 512, 512].into_iter().zip(depths).enumerate() {
        let stage = format!("stage{}", i + 1);
        for k in 1..=depth {
            x = net.conv_bias(
                &format!("{stage}.conv{k}"),
                &x,
                width,
                Window::square(3).same(),
            );
            x = net.batch_norm(&format!("{stage}.bn{k}"), &x, 1.0);
            x = net.relu(&format!("{stage}.relu{k}"), &x);
        }
        x = net.max_pool(&format!("{stage}.pool"), &x, Window::square(2).stride(2));
    }
    x = net.flatten("flatten", &x);
    net.gemm("fc", &x, 10)
}
