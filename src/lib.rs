//! zkstrata.
