//! Writing all or nothing: a file appears under its name when it is complete, or not at all.
//!
//! The bytes go into a temporary file of a random name in the same directory, which is then renamed.
//! Only what does not exist, or is a regular file of the same kind, is replaced: never a link, a
//! device or a pipe, nor a file that somebody may miss.

use crate::failure::{Context, Failure};
use crate::files::{self, kind_name};
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use zkstrata::{FileKind, TensorCommitment, TensorSecret, file_kind};

/// A file that can be written.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    path: PathBuf,
    kind: FileKind,
    secret: bool,
}

/// The bytes of an output under a temporary name, which is removed when this is dropped.
struct Written<'a> {
    output: &'a Output,
    file: NamedTempFile,
}

impl Output {
    /// Fails unless the file can be written now. Cheap: before long work. What cannot be made again is
    /// not replaced.
    pub(crate) fn new(path: PathBuf, kind: FileKind) -> Result<Self, Failure> {
        let output = Self::replacing(path, kind)?;
        let lost = matches!(
            kind,
            FileKind::Secret | FileKind::Session | FileKind::Sessions
        );
        let found = fs::metadata(&output.path).is_ok_and(|found| found.len() > 0);
        if lost && found {
            let path = output.path.display();
            let what = format!("{path} exists and cannot be made again");
            return Err(
                Failure::new(what).remedy("choose another name, or remove it if it is not needed")
            );
        }
        Ok(output)
    }

    /// The same for a file of which the new one is the successor.
    pub(crate) fn replacing(path: PathBuf, kind: FileKind) -> Result<Self, Failure> {
        let secret = matches!(kind, FileKind::Secret | FileKind::Session);
        let output = Self { path, kind, secret };
        output.check()?;
        let directory = output.directory();
        if !directory.is_dir() {
            let directory = directory.display();
            return Err(
                Failure::new(format!("{directory} is not a directory")).remedy("create it first")
            );
        }
        output.temporary()?;
        Ok(output)
    }

    /// The same for a file that nobody else may read.
    pub(crate) fn kept_secret(self, secret: bool) -> Self {
        let secret = self.secret || secret;
        Self { secret, ..self }
    }

    /// Where the file will be.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        self.fill(bytes)?.publish()
    }

    fn directory(&self) -> &Path {
        let parent = self.path.parent();
        let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }

    /// Fails if there is something that must not be replaced.
    fn check(&self) -> Result<(), Failure> {
        let (path, kind) = (self.path.display(), kind_name(self.kind));
        let is_folder = self.path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if self.path.file_name().is_none() || is_folder {
            return Err(Failure::new(format!("`{path}` is not the name of a file")));
        }
        let found = match fs::symlink_metadata(&self.path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.cannot(&error)),
        };
        if !found.is_file() {
            let what = special(&found);
            return Err(
                Failure::new(format!("{path} is {what}, which is not replaced"))
                    .remedy("give the name of a file"),
            );
        }
        let mut start = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(16).read_to_end(&mut start));
        read.context(format_args!("{path} exists and cannot be read"))?;
        if start.is_empty() || file_kind(&start) == Some(self.kind) {
            return Ok(());
        }
        Err(Failure::new(format!("{path} exists and is not {kind}"))
            .remedy("remove it or choose another name"))
    }

    /// An empty file of a name that nothing else has.
    fn temporary(&self) -> Result<NamedTempFile, Failure> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".zkstrata-").suffix(".tmp");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Less the process's mask, as any other file; secrets are the user's alone.
            let mode = if self.secret { 0o600 } else { 0o666 };
            builder.permissions(fs::Permissions::from_mode(mode));
        }
        let file = builder.tempfile_in(self.directory());
        file.map_err(|error| self.cannot(&error))
    }

    fn fill(&self, bytes: &[u8]) -> Result<Written<'_>, Failure> {
        let mut file = self.temporary()?;
        let written = file
            .write_all(bytes)
            .and_then(|()| file.as_file().sync_all());
        written.map_err(|error| self.cannot(&error))?;
        Ok(Written { output: self, file })
    }

    fn cannot(&self, error: &std::io::Error) -> Failure {
        Failure::because(format_args!("cannot write {}", self.path.display()), error)
    }
}

impl Written<'_> {
    /// Gives the file its name.
    fn publish(self) -> Result<(), Failure> {
        let Self { output, file } = self;
        // Much may have happened since the work began.
        output.check()?;
        let named = file.persist(&output.path);
        named.map_err(|error| output.cannot(&error.error))?;
        if output.secret || output.kind == FileKind::Sessions {
            // Its name, too, must outlast a loss of power: a file of more uses must not come back.
            let folder = File::open(output.directory()).and_then(|folder| folder.sync_all());
            folder.map_err(|error| output.cannot(&error))?;
        }
        Ok(())
    }
}

/// Takes a use of what opens a commitment, which must be this one: the file has one less before anything
/// is proven, and no two processes take the same.
pub(crate) fn take_use(path: &Path, expected: &TensorCommitment) -> Result<TensorSecret, Failure> {
    let output = Output::replacing(path.into(), FileKind::Secret)?;
    alone(&output, || {
        let secret = files::secret(path)?;
        if secret.commitment() != expected {
            return Err(Failure::new(format!(
                "{} has changed meanwhile",
                path.display()
            )));
        }
        let Some(bytes) = secret.to_bytes_after(1) else {
            return Err(spent(path));
        };
        output.write(&bytes)?;
        Ok(secret)
    })
}

/// That a commitment has no use left.
pub(crate) fn spent(path: &Path) -> Failure {
    Failure::new(format!(
        "{}: the commitment has been used in all the proofs that it hides the input in",
        path.display()
    ))
    .remedy("commit anew with `zkstrata commit`")
}

/// Does something with a file while no other process does with those of its folder.
pub(crate) fn alone<T>(
    output: &Output,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    // The lock ends with the file.
    let folder = File::open(output.directory()).and_then(|folder| folder.lock().map(|()| folder));
    let what = format!("{} cannot be locked", output.directory().display());
    let _folder = folder.context(what)?;
    work()
}

/// Writes a verifying key and what belongs to it, so that the folder never holds two that do not: under
/// a lock of the folder, the old verifying key goes first and the new one comes last. Whoever is
/// interrupted in between leaves a folder without a verifying key.
///
/// Says in words if the folder could not be locked.
pub(crate) fn write_keys(
    others: &[(&Output, &[u8])],
    (vk, vk_bytes): (&Output, &[u8]),
) -> Result<Option<String>, Failure> {
    let others = others.iter().map(|(output, bytes)| output.fill(bytes));
    let others: Vec<Written<'_>> = others.collect::<Result<_, _>>()?;
    let new_vk = vk.fill(vk_bytes)?;
    // The lock ends with the file.
    let folder = File::open(vk.directory()).and_then(|folder| folder.lock().map(|()| folder));
    vk.check()?;
    match fs::remove_file(&vk.path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(vk.cannot(&error)),
        _ => {}
    }
    others.into_iter().try_for_each(Written::publish)?;
    new_vk.publish()?;
    let warning = |error| {
        let folder = vk.directory().display();
        format!("{folder} cannot be locked ({error}): run no other setup into it meanwhile")
    };
    Ok(folder.err().map(warning))
}

/// What something that is no regular file is.
fn special(found: &Metadata) -> &'static str {
    if found.is_dir() {
        "a directory"
    } else if found.is_symlink() {
        "a link"
    } else {
        "a device, pipe or socket"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    fn output(folder: &Path, name: &str, kind: FileKind) -> Output {
        Output::new(folder.join(name), kind).expect("can be written")
    }

    /// A file that looks like one of this kind, and says who wrote it.
    fn key(magic: [u8; 8], writer: u8) -> Vec<u8> {
        [&magic[..], &vec![writer; 100_000]].concat()
    }

    #[test]
    fn two_setups_leave_one_of_them_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let start = Barrier::new(4);
        for _ in 0..20 {
            thread::scope(|scope| {
                for writer in 0..4 {
                    let (folder, start) = (folder.path(), &start);
                    scope.spawn(move || {
                        let pk = output(folder, "a.zkpk", FileKind::ProvingKey);
                        let vk = output(folder, "a.zkvk", FileKind::VerifyingKey);
                        let (pk_bytes, vk_bytes) =
                            (key(*b"zkstr-pk", writer), key(*b"zkstr-vk", writer));
                        start.wait();
                        let warning = write_keys(&[(&pk, &pk_bytes)], (&vk, &vk_bytes));
                        assert_eq!(warning.expect("writes"), None);
                    });
                }
            });
            let read = |name: &str| fs::read(folder.path().join(name)).expect("written");
            let (pk, vk) = (read("a.zkpk"), read("a.zkvk"));
            assert_eq!((pk.len(), vk.len()), (100_008, 100_008));
            assert_eq!(pk[8..], vk[8..]);
        }
        let left = fs::read_dir(folder.path()).expect("lists").count();
        assert_eq!(left, 2, "no temporary files");
    }

    #[test]
    fn an_interrupted_setup_leaves_no_verifying_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let pk = output(folder.path(), "a.zkpk", FileKind::ProvingKey);
        let vk = output(folder.path(), "a.zkvk", FileKind::VerifyingKey);
        let (old, new) = (key(*b"zkstr-vk", 1), key(*b"zkstr-vk", 2));
        write_keys(&[(&pk, &key(*b"zkstr-pk", 1))], (&vk, &old)).expect("writes");
        // The new proving key cannot take its place.
        fs::remove_file(pk.path()).expect("removes");
        fs::create_dir(pk.path()).expect("creates");
        let interrupted = write_keys(&[(&pk, &key(*b"zkstr-pk", 2))], (&vk, &new));
        let error = interrupted.expect_err("a directory").to_string();
        assert!(error.contains("a.zkpk is a directory"), "{error}");
        assert!(!vk.path().exists());
        assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), 1);
    }
}
