//! The importer from outside: one binary, since each links the reference implementation.

mod build;
mod common;
mod decompositions;
mod external;
mod families;
mod idioms;
mod models;
mod mutations;
mod operators;
mod refusals;
