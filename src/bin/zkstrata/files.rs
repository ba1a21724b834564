//! Reading with a limit, and telling this tool's files apart.

use crate::failure::{Context, Failure};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use zkstrata::{FileKind, TensorCommitment, TensorSecret, file_kind};

/// Largest model or input that is read.
pub(crate) const LIMIT: usize = 16 << 30;
/// Bytes that tell what kind a file is.
const START: u64 = 16;

/// The bytes of a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    read_by_kind(path, |_| Ok(limit))
}

/// The bytes of a file of this kind, unless it is recognisably of another.
pub(crate) fn read_kind(path: &Path, expected: FileKind) -> Result<Vec<u8>, Failure> {
    read_by_kind(path, |kind| match kind {
        Some(kind) if kind != expected => Err(Failure::new(format!(
            "{} is {}, not {}",
            path.display(),
            kind_name(kind),
            kind_name(expected)
        ))),
        _ => Ok(expected.limit()),
    })
}

/// The bytes of a file of any kind, or of none.
pub(crate) fn read_any(path: &Path) -> Result<Vec<u8>, Failure> {
    read_by_kind(path, |kind| Ok(kind.map_or(LIMIT, FileKind::limit)))
}

/// The bytes of a file, whose beginning says how many there may be.
fn read_by_kind(
    path: &Path,
    limit: impl FnOnce(Option<FileKind>) -> Result<usize, Failure>,
) -> Result<Vec<u8>, Failure> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = File::open(path).context(cannot())?;
    let length = file.metadata().context(cannot())?.len();
    let mut bytes = Vec::new();
    let start = file.by_ref().take(START).read_to_end(&mut bytes);
    start.context(cannot())?;
    let limit = limit(file_kind(&bytes))?;
    let too_large = || {
        let path = path.display();
        Failure::new(format!("{path} is larger than the limit of {limit} bytes"))
    };
    if length > limit as u64 {
        return Err(too_large());
    }
    let rest = length.saturating_sub(START);
    bytes
        .try_reserve(usize::try_from(rest).unwrap_or(usize::MAX))
        .context(cannot())?;
    // The length of a pipe or a growing file is not known beforehand.
    let read = file
        .take((limit as u64).saturating_add(1))
        .read_to_end(&mut bytes);
    read.context(cannot())?;
    if bytes.len() > limit {
        return Err(too_large());
    }
    Ok(bytes)
}

/// The commitment in a file.
pub(crate) fn commitment(path: &Path) -> Result<TensorCommitment, Failure> {
    let bytes = read_kind(path, FileKind::Commitment)?;
    TensorCommitment::from_bytes(&bytes).context(path.display())
}

/// What opens a commitment, in a file.
pub(crate) fn secret(path: &Path) -> Result<TensorSecret, Failure> {
    let bytes = read_kind(path, FileKind::Secret)?;
    TensorSecret::from_bytes(&bytes).context(path.display())
}

/// What error messages call a kind of file.
pub(crate) fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::ProvingKey => "a proving key (.zkpk)",
        FileKind::VerifyingKey => "a verifying key (.zkvk)",
        FileKind::Proof => "a proof (.zkp)",
        FileKind::Certificate => "a certificate (.zkct)",
        FileKind::Commitment => "a commitment (.zkc)",
        FileKind::Secret => "an opening of a commitment (.zko)",
        FileKind::Session => "a session (.zkses)",
        FileKind::SessionCertificate => "a certificate of a session (.zksc)",
        FileKind::Sessions => "a count of sessions (.zkuse)",
        _ => "another zkstrata file",
    }
}
