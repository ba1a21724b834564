//! Arithmetic, functions, reductions and orders.

pub(crate) mod activation;
pub(crate) mod arithmetic;
pub(crate) mod bits;
pub(crate) mod einsum;
pub(crate) mod extreme;
pub(crate) mod power;
pub(crate) mod reduce;
pub(crate) mod signal;
pub(crate) mod topk;
