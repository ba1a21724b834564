//! The cases of a folder.

use crate::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// How the files of a case are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `model.onnx`, `in_k.npy`, `out_k.npy`.
    Arrays,
    /// `model.onnx`, `test_data_set_0/input_k.pb`, `test_data_set_0/output_k.pb`.
    Messages,
    /// `network.onnx`, `input.json`, `ref_output.json`.
    Json,
}

/// A model with an input and the outputs it should give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The folder relative to the suite.
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) layout: Layout,
}

impl Entry {
    pub(crate) fn model(&self) -> PathBuf {
        self.folder.join(match self.layout {
            Layout::Arrays | Layout::Messages => "model.onnx",
            Layout::Json => "network.onnx",
        })
    }

    /// The row of the table that counts this case, given the operators of its model: the operator
    /// that is alone in it, or the folder that holds the case, or all its operators; in
    /// [`Layout::Json`] the case itself.
    pub(crate) fn row(&self, operators: &[String]) -> String {
        match (self.layout, operators, self.name.rsplit_once('/')) {
            (Layout::Json, _, _) => self.name.clone(),
            (_, [operator], _) => operator.clone(),
            (_, _, Some((folder, _))) => folder.rsplit('/').next().unwrap_or(folder).into(),
            (_, [], None) => "unknown".into(),
            (_, operators, None) => operators.join("+"),
        }
    }
}

/// The cases below a folder, or in it, in the order of their names. With `only`, those whose names
/// contain one of its strings.
pub(crate) fn find(directory: &Path, only: &[String]) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    walk(directory, String::new(), &mut entries)?;
    let wanted = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part));
    entries.retain(|entry| wanted(&entry.name));
    if entries.is_empty() {
        return Err(Error::NoCases {
            directory: directory.into(),
        });
    }
    Ok(entries)
}

fn walk(folder: &Path, name: String, entries: &mut Vec<Entry>) -> Result<(), Error> {
    let cannot = |source| Error::Folder {
        folder: folder.into(),
        source,
    };
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        // Links are not followed: they may lead round in circles.
        if entry.file_type().map_err(cannot)?.is_dir() {
            folders.push(entry.file_name());
        }
    }
    if let Some(layout) = layout(folder) {
        let folder = folder.to_owned();
        entries.push(Entry {
            name,
            folder,
            layout,
        });
        return Ok(());
    }
    folders.sort();
    for inner in folders {
        let inner_name = inner.to_string_lossy();
        let inner_name = if name.is_empty() {
            inner_name.into_owned()
        } else {
            format!("{name}/{inner_name}")
        };
        walk(&folder.join(&inner), inner_name, entries)?;
    }
    Ok(())
}

fn layout(folder: &Path) -> Option<Layout> {
    let has = |name: &str| folder.join(name).is_file();
    if has("network.onnx") && has("ref_output.json") {
        return Some(Layout::Json);
    }
    if has("model.onnx") && has("out_0.npy") {
        return Some(Layout::Arrays);
    }
    let messages = has("model.onnx") && has("test_data_set_0/output_0.pb");
    messages.then_some(Layout::Messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_operators() {
        let row = |layout, name: &str, operators: &[&str]| {
            let entry = Entry {
                name: name.into(),
                folder: PathBuf::new(),
                layout,
            };
            let operators: Vec<String> = operators.iter().map(|op| (*op).into()).collect();
            entry.row(&operators)
        };
        assert_eq!(row(Layout::Arrays, "node/a", &["Add"]), "Add");
        assert_eq!(row(Layout::Arrays, "x/Add/a", &["Add", "Mul"]), "Add");
        assert_eq!(row(Layout::Messages, "a", &["Add", "Mul"]), "Add+Mul");
        assert_eq!(row(Layout::Arrays, "Add/a", &[]), "Add");
        assert_eq!(row(Layout::Arrays, "a", &[]), "unknown");
        assert_eq!(row(Layout::Json, "x/mlp", &["Add"]), "x/mlp");
    }
}
