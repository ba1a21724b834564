//! Residual networks of basic blocks: `relu(f(x) + x)`, `f` two 3x3 convolutions.

use crate::net::{Net, Tensor, Window};

/// What the last batch normalisation of a branch multiplies by, so that sums stay small.
pub(crate) const BRANCH: f32 = 0.5;

/// As torchvision has it.
pub(crate) fn resnet18(net: &mut Net, x: &Tensor) -> Tensor {
    let x = conv_bn(net, ["conv1", "bn1"], x, 64, square(7).stride(2), 1.0);
    let x = net.relu("relu", &x);
    let x = net.max_pool("maxpool", &x, square(3).stride(2));
    stages(net, x, 1000)
}

/// For small images: a 3x3 stem that keeps the size.
pub(crate) fn resnet18_cifar(net: &mut Net, x: &Tensor) -> Tensor {
    let x = conv_bn(net, ["conv1", "bn1"], x, 64, square(3), 1.0);
    let x = net.relu("relu", &x);
    stages(net, x, 10)
}

/// The image classifier of `MLPerf` Tiny, with batch normalisation folded.
pub(crate) fn resnet8(net: &mut Net, x: &Tensor) -> Tensor {
    let x = net.conv_bias("conv1", x, 16, square(3));
    let mut x = net.relu("relu", &x);
    for (i, width) in [16, 32, 64].into_iter().enumerate() {
        let block = format!("block{}", i + 1);
        let name = |part: &str| format!("{block}.{part}");
        let stride = if i == 0 { 1 } else { 2 };
        let y = net.conv_bias(&name("conv1"), &x, width, square(3).stride(stride));
        let y = net.relu(&name("relu1"), &y);
        let y = net.conv_bias(&name("conv2"), &y, width, square(3));
        if stride == 2 {
            x = net.conv_bias(&name("downsample"), &x, width, square(1).stride(2));
        }
        x = net.add(&name("add"), &y, &x);
        x = net.relu(&name("relu2"), &x);
    }
    let all = Window::square(x.height()).stride(x.height());
    let x = net.average_pool("avgpool", &x, all);
    let x = net.flatten("flatten", &x);
    net.gemm("fc", &x, 10)
}

/// Four stages of two blocks, of which all but the first stage begin with a halving.
fn stages(net: &mut Net, mut x: Tensor, classes: usize) -> Tensor {
    for (i, width) in [64, 128, 256, 512].into_iter().enumerate() {
        for k in 0..2 {
            let stride = if i > 0 && k == 0 { 2 } else { 1 };
            x = block(net, &format!("layer{}.{k}", i + 1), &x, width, stride);
        }
    }
    let x = net.global_average_pool("avgpool", &x);
    let x = net.flatten("flatten", &x);
    net.gemm("fc", &x, classes)
}

fn block(net: &mut Net, block: &str, x: &Tensor, width: usize, stride: usize) -> Tensor {
    let name = |part: &str| format!("{block}.{part}");
    let names = [&*name("conv1"), &name("bn1")];
    let y = conv_bn(net, names, x, width, square(3).stride(stride), 1.0);
    let y = net.relu(&name("relu1"), &y);
    let y = conv_bn(
        net,
        [&name("conv2"), &name("bn2")],
        &y,
        width,
        square(3),
        BRANCH,
    );
    let skip = if stride == 1 {
        x.clone()
    } else {
        let names = [&*name("downsample.0"), &name("downsample.1")];
        conv_bn(net, names, x, width, square(1).stride(stride), 1.0)
    };
    let sum = net.add(&name("add"), &y, &skip);
    net.relu(&name("relu2"), &sum)
}

fn conv_bn(
    net: &mut Net,
    [conv, bn]: [&str; 2],
    x: &Tensor,
    width: usize,
    window: Window,
    gamma: f32,
) -> Tensor {
    let y = net.conv(conv, x, width, window);
    net.batch_norm(bn, &y, gamma)
}

fn square(kernel: usize) -> Window {
    Window::square(kernel).same()
}
