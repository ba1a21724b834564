//! Cells moved, chosen, repeated and made: no arithmetic.

pub(crate) mod blocks;
pub(crate) mod cast;
pub(crate) mod constant;
pub(crate) mod gather;
pub(crate) mod layout;
pub(crate) mod pad;
pub(crate) mod repeat;
pub(crate) mod resize;
pub(crate) mod scatter;
pub(crate) mod sequence;
pub(crate) mod slice;
pub(crate) mod triangle;
pub(crate) mod view;
