//! Reading with a limit, writing all or nothing, and telling this tool's files apart.

use crate::failure::{Context, Failure};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use zkstrata::{FileKind, file_kind};

/// Largest model, key or input that is read.
pub(crate) const LIMIT: u64 = 16 << 30;
/// Largest proof that is read.
pub(crate) const PROOF_LIMIT: u64 = 1 << 30;

/// The bytes of a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let cannot = || format!("cannot read {}", path.display());
    let file = File::open(path).context(cannot())?;
    let length = file.metadata().context(cannot())?.len();
    let too_large = || {
        let path = path.display();
        Failure::new(format!("{path} is larger than the limit of {limit} bytes"))
    };
    if length > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    bytes
        .try_reserve(usize::try_from(length).unwrap_or(usize::MAX))
        .context(cannot())?;
    // The length of a pipe or a growing file is not known beforehand.
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    if read.context(cannot())? as u64 > limit {
        return Err(too_large());
    }
    Ok(bytes)
}

/// What error messages call a kind of file.
pub(crate) fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::ProvingKey => "a proving key (.zkpk)",
        FileKind::VerifyingKey => "a verifying key (.zkvk)",
        FileKind::Proof => "a proof (.zkp)",
        _ => "another zkstrata file",
    }
}

/// Refuses bytes that are recognisably something other than `expected`.
pub(crate) fn expect_kind(path: &Path, bytes: &[u8], expected: FileKind) -> Result<(), Failure> {
    match file_kind(bytes) {
        Some(kind) if kind != expected => Err(Failure::new(format!(
            "{} is {}, not {}",
            path.display(),
            kind_name(kind),
            kind_name(expected)
        ))),
        _ => Ok(()),
    }
}

/// Writes a file by way of a temporary one beside it, so that no reader sees half of it. An
/// existing file is replaced if it is of the same kind, and refused otherwise.
pub(crate) fn write(path: &Path, bytes: &[u8], kind: FileKind) -> Result<(), Failure> {
    refuse_other(path, kind)?;
    let temporary = beside(path);
    let result = (|| {
        let mut file = File::create_new(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if result.is_err() {
        // What failed is reported; a leftover that cannot be removed adds nothing to that.
        let _ = fs::remove_file(&temporary);
    }
    result.context(format_args!("cannot write {}", path.display()))
}

/// Fails if `path` exists and is not a file of this kind. Cheap: call before long work.
pub(crate) fn refuse_other(path: &Path, kind: FileKind) -> Result<(), Failure> {
    if path.is_dir() {
        return Err(Failure::new(format!("{} is a directory", path.display()))
            .remedy("give the name of a file"));
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|p| !p.is_dir()) {
        let parent = parent.display();
        return Err(Failure::new(format!("{parent} is not a directory")).remedy("create it first"));
    }
    let Ok(file) = File::open(path) else {
        return Ok(());
    };
    let mut start = Vec::new();
    let read = file.take(16).read_to_end(&mut start);
    read.context(format_args!("cannot read {}", path.display()))?;
    if start.is_empty() || file_kind(&start) == Some(kind) {
        return Ok(());
    }
    let message = format!("{} exists and is not {}", path.display(), kind_name(kind));
    Err(Failure::new(message).remedy("remove it or choose another name"))
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}
