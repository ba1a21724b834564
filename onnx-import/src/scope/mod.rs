//! What the names of a graph mean: values, kinds of elements, nodes; and how much of them there may
//! be.

pub(crate) mod budget;
pub(crate) mod code;
pub(crate) mod inputs;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod value;
