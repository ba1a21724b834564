//! Keys from files.

use crate::failure::{Context, Failure};
use crate::files;
use std::path::Path;
use zkstrata::{FileError, FileKind, ProvingKey, VerifyingKey, Visibility};

pub(crate) fn proving_key(path: &Path) -> Result<ProvingKey, Failure> {
    load(path, FileKind::ProvingKey, ProvingKey::from_bytes)
}

pub(crate) fn verifying_key(path: &Path) -> Result<VerifyingKey, Failure> {
    load(path, FileKind::VerifyingKey, VerifyingKey::from_bytes)
}

fn load<K>(
    path: &Path,
    kind: FileKind,
    decode: fn(&[u8]) -> Result<K, FileError>,
) -> Result<K, Failure> {
    decoded(path, &files::read_kind(path, kind)?, decode)
}

/// The key in the bytes of a file.
pub(crate) fn decoded<K>(
    path: &Path,
    bytes: &[u8],
    decode: fn(&[u8]) -> Result<K, FileError>,
) -> Result<K, Failure> {
    let key = tracing::info_span!("load").in_scope(|| decode(bytes));
    key.context(path.display()).map_err(|failure| {
        failure.remedy("copy it anew, or make the keys again with `zkstrata setup`")
    })
}

/// The names of the inputs that proofs under a key show, and of those that they hide.
pub(crate) fn visibility(vk: &VerifyingKey) -> (String, String) {
    let names = |shown: bool| {
        let ports = vk.graph().inputs.iter().enumerate();
        let ports =
            ports.filter(|(k, _)| (vk.visibilities().of(*k) == Visibility::Public) == shown);
        let names: Vec<String> = ports.map(|(_, port)| format!("`{}`", port.name)).collect();
        names.join(", ")
    };
    (names(true), names(false))
}
