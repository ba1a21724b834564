//! Bytes to messages and tensors, within bounds.

pub(crate) mod external;
pub(crate) mod model;
pub(crate) mod scan;
pub(crate) mod stored;
pub(crate) mod tensor;
