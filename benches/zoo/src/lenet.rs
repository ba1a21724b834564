//! LeNet-5 and its relatives: two 5x5 convolutions with pools, three dense layers.

use crate::net::{Net, Tensor, Window};

pub(crate) fn lenet5(net: &mut Net, x: &Tensor) -> Tensor {
    lenet(net, x, Window::square(5).same(), [6, 16, 120, 84])
}

pub(crate) fn cifar_62k(net: &mut Net, x: &Tensor) -> Tensor {
    lenet(net, x, Window::square(5), [6, 16, 120, 84])
}

pub(crate) fn cifar_264k(net: &mut Net, x: &Tensor) -> Tensor {
    lenet(net, x, Window::square(5), [12, 33, 251, 175])
}

fn lenet(net: &mut Net, x: &Tensor, first: Window, widths: [usize; 4]) -> Tensor {
    let half = Window::square(2).stride(2);
    let mut x = x.clone();
    for (i, window) in [first, Window::square(5)].into_iter().enumerate() {
        let k = i + 1;
        x = net.conv_bias(&format!("conv{k}"), &x, widths[i], window);
        x = net.relu(&format!("conv{k}.relu"), &x);
        x = net.max_pool(&format!("pool{k}"), &x, half);
    }
    x = net.flatten("flatten", &x);
    for (i, &width) in widths[2..].iter().enumerate() {
        let k = i + 1;
        x = net.gemm(&format!("fc{k}"), &x, width);
        x = net.relu(&format!("fc{k}.relu"), &x);
    }
    net.gemm("fc3", &x, 10)
}
