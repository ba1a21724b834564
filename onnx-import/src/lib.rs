//! ONNX bytes to zkstrata's float graph.
//!
//! [`import`] reads a model whose weights are inside the file, [`import_file`] also one whose
//! weights lie beside it. The result is a [`float::Graph`](zkstrata_model_ir::float::Graph) with
//! static shapes; what was changed on the way (a dynamic batch axis that became 1, a
//! rounding that was dropped) is in its notes. Import is deterministic, and exact up to the
//! rounding of weights to single precision.
//!
//! Everything else is refused with an [`Error`] that names the node and says what to do. Model
//! files may be hostile: no bytes make the importer panic, and its memory is bounded by a fixed
//! amount and a multiple of the size of the file.
//!
//! ```no_run
//! let graph = zkstrata_onnx_import::import_file("model.onnx".as_ref())?;
//! for note in graph.notes() {
//!     eprintln!("{note}");
//! }
//! # Ok::<(), zkstrata_onnx_import::Error>(())
//! ```
//!
//! # Supported
//! Opsets 7 to 28 of the default domain and 1 to 5 of `ai.onnx.ml`; [`operators`] lists the
//! operators and what of them is refused. Integers must stay below 2^24 in magnitude wherever they
//! take part in arithmetic and are not reduced modulo the width of their type. An operator whose
//! operands are all constant is evaluated.

mod decode;
mod error;
mod import;
mod ops;
mod options;
pub mod proto;
mod scope;
mod write;

use std::path::Path;

use zkstrata_model_ir::float::Graph;

use crate::decode::external::External;
use crate::decode::model::Model;

pub use crate::decode::model::{Summary, summary};
pub use crate::error::Error;
pub use crate::import::operators;
pub use crate::options::Options;

/// Imports a model whose weights are inside `model`, the bytes of an ONNX file.
///
/// # Errors
/// See [`Error`]. A model with external data gives [`Error::ExternalData`]: use [`import_file`].
pub fn import(model: &[u8]) -> Result<Graph, Error> {
    import_with(model, &Options::new())
}

/// [`import`] with options.
///
/// # Errors
/// See [`import`], and [`Error::Option`] for an option that does not fit the model.
pub fn import_with(model: &[u8], options: &Options) -> Result<Graph, Error> {
    import::import(Model::decode(model)?, External::Nowhere, options)
}

/// Imports the model in file `path`; external data is read from the files beside it, or, if the
/// model is a link, beside the file that it links to.
///
/// # Errors
/// See [`Error`].
pub fn import_file(path: &Path) -> Result<Graph, Error> {
    import_file_with(path, &Options::new())
}

/// [`import_file`] with options.
///
/// # Errors
/// See [`import_file`], and [`Error::Option`] for an option that does not fit the model.
pub fn import_file_with(path: &Path, options: &Options) -> Result<Graph, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read {
        path: path.into(),
        source,
    })?;
    let model = Model::decode(&bytes)?;
    // The message has its own copy of what it holds, and the graph is about to have another.
    drop(bytes);
    import::import(model, External::beside(path), options)
}
