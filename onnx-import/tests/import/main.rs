//! The importer from outside: one binary, since each links the reference implementation.

mod build;
mod common;
mod control;
mod decompositions;
mod external;
mod families;
mod idioms;
mod masks;
mod microsoft;
mod models;
mod mutations;
mod operators;
mod options;
mod refusals;
