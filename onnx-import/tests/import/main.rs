//! The importer from outside: one binary, since each links the reference implementation.

mod common;
mod models;
mod operators;
