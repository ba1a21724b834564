//! Layers of neural networks.

pub(crate) mod attention;
pub(crate) mod conv;
pub(crate) mod conv_transpose;
pub(crate) mod dense;
pub(crate) mod norm;
pub(crate) mod places;
pub(crate) mod pool;
pub(crate) mod rotary;
pub(crate) mod softmax;
