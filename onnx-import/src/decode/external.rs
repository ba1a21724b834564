//! Tensor data in files beside the model.
//!
//! A location is a path relative to the model's directory and may not leave it by its components.
//! Through links it may leave it for the directory of the file that the model's own name links to,
//! as in the cache of Hugging Face, where model and weights are links into one folder. No other file
//! is ever read. Offset and length are compared with the file's size before anything is read.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use crate::Error;
use crate::proto::TensorProto;

/// Where external data may be read from.
pub(crate) enum External {
    /// Nowhere: the model came as bytes.
    Nowhere,
    /// From these directories, in this order.
    Directories(Vec<PathBuf>),
}

impl External {
    /// Beside the model in this file: in its directory, and in that of the file that it links to.
    pub(crate) fn beside(model: &Path) -> Self {
        // The directory of a bare file name is the current one.
        let parent = |path: &Path| {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            parent.unwrap_or(Path::new(".")).to_owned()
        };
        let linked = model.canonicalize().ok();
        let linked = linked.as_deref().map(parent);
        Self::Directories([parent(model)].into_iter().chain(linked).collect())
    }

    /// Reads the `count` elements of `width` bytes of a tensor.
    pub(crate) fn read(
        &self,
        proto: &TensorProto,
        name: &str,
        count: usize,
        width: usize,
    ) -> Result<Vec<u8>, Error> {
        let bad = |reason: String| Error::ExternalData {
            tensor: name.into(),
            reason,
        };
        let Self::Directories(directories) = self else {
            return Err(bad(
                "the model was given as bytes, so there is no directory to read from: use \
                 import_file, or save the model with its weights inside"
                    .into(),
            ));
        };
        let needed = (count as u64)
            .checked_mul(width as u64)
            .ok_or_else(|| bad(format!("{count} elements of {width} bytes overflow")))?;
        let (location, offset, length) = entries(proto).map_err(bad)?;
        if length.is_some_and(|length| length != needed) {
            let length = length.unwrap_or(0);
            return Err(bad(format!(
                "declares {length} bytes, but its shape and type take {needed}"
            )));
        }
        let path = resolve(directories, &location).map_err(bad)?;
        let io = |e: std::io::Error| bad(format!("cannot read `{location}`: {e}"));
        let mut file = File::open(path).map_err(io)?;
        let meta = file.metadata().map_err(io)?;
        if !meta.is_file() {
            return Err(bad(format!("`{location}` is not a regular file")));
        }
        if offset
            .checked_add(needed)
            .is_none_or(|end| end > meta.len())
        {
            return Err(bad(format!(
                "bytes {offset}..{offset}+{needed} exceed `{location}` of {} bytes",
                meta.len()
            )));
        }
        file.seek(SeekFrom::Start(offset)).map_err(io)?;
        let mut data = Vec::new();
        file.take(needed).read_to_end(&mut data).map_err(io)?;
        Ok(data)
    }
}

/// Location, offset and length of a tensor's data.
fn entries(proto: &TensorProto) -> Result<(String, u64, Option<u64>), String> {
    let (mut location, mut offset, mut length) = (None, None, None);
    for entry in &proto.external_data {
        let number = || {
            let number = entry.value.parse::<u64>();
            number.map_err(|_| format!("{} `{}` is not a number", entry.key, entry.value))
        };
        let repeated = match entry.key.as_str() {
            "location" => location.replace(entry.value.clone()).is_some(),
            "offset" => offset.replace(number()?).is_some(),
            "length" => length.replace(number()?).is_some(),
            // A digest of the whole file, which is not needed to read it.
            "checksum" => false,
            key => return Err(format!("unknown key `{key}`")),
        };
        if repeated {
            return Err(format!("`{}` is given twice", entry.key));
        }
    }
    let location = location.ok_or("has no location")?;
    Ok((location, offset.unwrap_or(0), length))
}

/// The file at `location` inside one of the directories.
fn resolve(directories: &[PathBuf], location: &str) -> Result<PathBuf, String> {
    let relative = Path::new(location);
    let inside = |c: Component| matches!(c, Component::Normal(_) | Component::CurDir);
    if location.is_empty() || !relative.components().all(inside) {
        return Err(format!(
            "location `{location}` is not a path inside the model's directory"
        ));
    }
    let real = |path: &Path| {
        path.canonicalize()
            .map_err(|e| format!("cannot read `{location}`: {e}"))
    };
    let found = directories
        .iter()
        .map(|directory| real(&directory.join(relative)));
    let path = found.reduce(Result::or).unwrap_or_else(|| real(relative))?;
    for directory in directories {
        if path.starts_with(real(directory)?) {
            return Ok(path);
        }
    }
    Err(format!(
        "location `{location}` links to a file outside the model's directory, and outside that of \
         the file that the model links to: copy the model and its data into one directory without \
         links, or save the model with its weights inside"
    ))
}
