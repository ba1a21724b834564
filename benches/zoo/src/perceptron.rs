//! Networks of dense layers.

use crate::net::{Net, Tensor};

/// Five hidden layers of 1000; the outputs pass a `ReLU` too.
pub(crate) fn mlp_4m(net: &mut Net, x: &Tensor) -> Tensor {
    let mut x = x.clone();
    for (i, width) in [1000, 1000, 1000, 1000, 1000, 3].into_iter().enumerate() {
        let k = i + 1;
        x = net.gemm(&format!("fc{k}"), &x, width);
        x = net.relu(&format!("fc{k}.relu"), &x);
    }
    x
}

/// 640-128-128-128-128-8-128-128-128-128-640.
pub(crate) fn autoencoder(net: &mut Net, x: &Tensor) -> Tensor {
    let features = x.channels();
    let mut x = x.clone();
    for (i, width) in [128, 128, 128, 128, 8, 128, 128, 128, 128]
        .into_iter()
        .enumerate()
    {
        let k = i + 1;
        x = net.gemm(&format!("fc{k}"), &x, width);
        x = net.batch_norm(&format!("bn{k}"), &x, 1.0);
        x = net.relu(&format!("relu{k}"), &x);
    }
    net.gemm("fc10", &x, features)
}
