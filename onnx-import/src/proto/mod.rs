//! The protobuf messages, for programs that write ONNX files; generated from the official
//! `onnx.proto3`.
//!
//! A [`ModelProto`] becomes the bytes of a file by `prost`'s `Message::encode_to_vec`. The
//! importer reads hostile files within bounds that decoding these messages does not have: to
//! read a model, use [`import`](crate::import).
//!
//! `onnx.proto3` is the schema of ONNX 1.23 as its `gen_proto.py` writes it, and `onnx.rs` is
//! derived from it; both are under ONNX's licence, Apache-2.0. Building needs neither `protoc`
//! nor a build script. To regenerate, run in a scratch crate that depends on `protox` 0.10 and
//! `prost-build` 0.14, and put the two comment lines of the present file on top:
//!
//! ```text
//! let descriptors = protox::compile(["onnx.proto3"], ["onnx-import/src/proto"])?;
//! prost_build::Config::new().out_dir("onnx-import/src/proto").compile_fds(descriptors)?;
//! ```

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::doc_lazy_continuation,
    clippy::doc_overindented_list_items,
    clippy::enum_variant_names,
    reason = "generated code"
)]
mod onnx {
    include!("onnx.rs");
}

pub use onnx::*;

pub(crate) use onnx::{
    attribute_proto::AttributeType,
    tensor_proto::{DataLocation, DataType},
    tensor_shape_proto::dimension::Value as DimensionValue,
    type_proto::{self as tensor_type, Value as TypeValue},
};
