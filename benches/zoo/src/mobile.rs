//! Networks of depthwise convolutions, each followed by a 1x1 convolution.

use crate::net::{Net, Tensor, Window};
use crate::resnet::BRANCH;

/// `MobileNetV2` of width 1, as torchvision has it.
pub(crate) fn mobilenetv2(net: &mut Net, x: &Tensor) -> Tensor {
    /// Expansion, channels, blocks, and the stride of the first block.
    const STAGES: [(usize, usize, usize, usize); 7] = [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ];
    let stem = Window::square(3).same().stride(2);
    let mut x = net.conv("features.0.conv", x, 32, stem);
    x = bn_relu6(net, "features.0", &x);
    let mut k = 0;
    for (expansion, width, blocks, first) in STAGES {
        for i in 0..blocks {
            k += 1;
            let stride = if i == 0 { first } else { 1 };
            x = inverted_residual(net, &format!("features.{k}"), &x, expansion, width, stride);
        }
    }
    let x = net.conv("features.18.conv", &x, 1280, Window::square(1));
    let x = bn_relu6(net, "features.18", &x);
    let x = net.global_average_pool("avgpool", &x);
    let x = net.flatten("flatten", &x);
    net.gemm("classifier", &x, 1000)
}

/// 1x1 to `expansion` times the channels, 3x3 depthwise, 1x1 to `width` channels; the input is
/// added where the shapes agree.
fn inverted_residual(
    net: &mut Net,
    block: &str,
    x: &Tensor,
    expansion: usize,
    width: usize,
    stride: usize,
) -> Tensor {
    let name = |part: &str| format!("{block}.{part}");
    let mut y = x.clone();
    if expansion > 1 {
        let wide = expansion * x.channels();
        y = net.conv(&name("expand.conv"), &y, wide, Window::square(1));
        y = bn_relu6(net, &name("expand"), &y);
    }
    let window = Window::square(3).same().stride(stride);
    y = net.depthwise(&name("depthwise.conv"), &y, window);
    y = bn_relu6(net, &name("depthwise"), &y);
    y = net.conv(&name("project.conv"), &y, width, Window::square(1));
    if stride == 1 && x.channels() == width {
        y = net.batch_norm(&name("project.bn"), &y, BRANCH);
        net.add(&name("add"), x, &y)
    } else {
        net.batch_norm(&name("project.bn"), &y, 1.0)
    }
}

fn bn_relu6(net: &mut Net, name: &str, x: &Tensor) -> Tensor {
    let x = net.batch_norm(&format!("{name}.bn"), x, 1.0);
    net.relu6(&format!("{name}.relu6"), &x)
}

/// The keyword spotter of `MLPerf` Tiny, with batch normalisation folded.
pub(crate) fn dscnn(net: &mut Net, x: &Tensor) -> Tensor {
    let stem = Window::new([10, 4]).stride(2).pad([5, 1]);
    let mut x = net.conv_bias("conv1", x, 64, stem);
    x = net.relu("relu1", &x);
    for block in ["block1", "block2", "block3", "block4"] {
        let name = |part: &str| format!("{block}.{part}");
        x = net.depthwise_bias(&name("depthwise"), &x, Window::square(3).same());
        x = net.relu(&name("relu1"), &x);
        x = net.conv_bias(&name("pointwise"), &x, 64, Window::square(1));
        x = net.relu(&name("relu2"), &x);
    }
    let x = net.global_average_pool("avgpool", &x);
    let x = net.flatten("flatten", &x);
    net.gemm("fc", &x, 12)
}
