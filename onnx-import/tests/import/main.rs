//! The importer from outside: one binary, since each links the reference implementation.

#![allow(clippy::float_cmp, reason = "cells that are exact are compared")]

mod arrays;
mod attention;
mod build;
mod case;
mod common;
mod constants;
mod control;
mod convolutions;
mod decompositions;
mod edges;
mod elementwise;
mod external;
mod families;
mod forests;
mod fused;
mod idioms;
mod indices;
mod learn;
mod masks;
mod microsoft;
mod missing;
mod models;
mod mutations;
mod normalisation;
mod operators;
mod options;
mod quantised;
mod recurrent;
mod reductions;
mod refusals;
mod resizing;
mod slices;
mod unrolled;
mod windows;
