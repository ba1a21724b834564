//! The operators that onnxruntime puts in place of others.

pub(crate) mod fused;
pub(crate) mod transformer;
