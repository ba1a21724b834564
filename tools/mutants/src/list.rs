//! Lists of mutations: what to break, and which tests must notice.
//!
//! ```text
//! # a comment
//! == one row short
//! test zkstrata-pcs joint::
//! in pcs/src/joint/hiding.rs
//! <<<<
//! let needed = shown.saturating_add(1);
//! ====
//! let needed = shown;
//! >>>>
//! ```
//!
//! A mutation has a package and filters of its unit tests, and one replacement or more: each of a text that
//! occurs once in the file named last. Lines of texts are trimmed at neither end, but the last newline of each is
//! not a part of it.

use std::fmt;
use std::fs;
use std::path::Path;

/// A change of the code that a test must notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mutation {
    /// What it is called.
    pub(crate) name: String,
    /// The package whose tests notice it.
    pub(crate) package: String,
    /// Which of them: any whose path contains one of these.
    pub(crate) filters: Vec<String>,
    /// What is replaced.
    pub(crate) changes: Vec<Change>,
}

/// A replacement in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The file, below the root.
    pub(crate) file: String,
    /// What stands there, once.
    pub(crate) old: String,
    /// What takes its place.
    pub(crate) new: String,
}

/// Why a list cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A line that means nothing where it stands.
    Line(usize, String),
    /// A file cannot be read.
    File(String, String),
    /// A text does not occur once.
    Text(String, String, usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line, text) => write!(f, "line {line}: `{text}`"),
            Self::File(file, error) => write!(f, "{file}: {error}"),
            Self::Text(name, file, count) => {
                write!(
                    f,
                    "`{name}`: its text occurs {count} times in {file}, not once"
                )
            }
        }
    }
}

impl std::error::Error for Fault {}

/// Reads a list.
///
/// # Errors
/// The first line that means nothing.
pub(crate) fn parse(text: &str) -> Result<Vec<Mutation>, Fault> {
    let mut mutations: Vec<Mutation> = vec![];
    let mut file = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let wrong = || Fault::Line(number + 1, line.into());
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            mutations.push(Mutation {
                name: name.into(),
                package: String::new(),
                filters: vec![],
                changes: vec![],
            });
            continue;
        }
        let mutation = mutations.last_mut().ok_or_else(wrong)?;
        if let Some(tests) = line.strip_prefix("test ") {
            let mut words = tests.split_whitespace().map(String::from);
            mutation.package = words.next().ok_or_else(wrong)?;
            mutation.filters = words.collect();
        } else if let Some(path) = line.strip_prefix("in ") {
            file = path.into();
        } else if line == "<<<<" {
            let mut block = |end: &str| {
                let own = lines.by_ref().map(|(_, line)| line);
                own.take_while(|line| *line != end)
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            let (old, new) = (block("===="), block(">>>>"));
            if old.is_empty() {
                return Err(wrong());
            }
            let file = file.clone();
            mutation.changes.push(Change { file, old, new });
        } else {
            return Err(wrong());
        }
    }
    for mutation in &mutations {
        if mutation.package.is_empty() || mutation.changes.is_empty() {
            return Err(Fault::Line(0, mutation.name.clone()));
        }
    }
    Ok(mutations)
}

impl Mutation {
    /// The files that it changes, and what they become.
    ///
    /// # Errors
    /// A text does not occur once.
    pub(crate) fn apply(&self, root: &Path) -> Result<Vec<(String, String)>, Fault> {
        let mut files: Vec<(String, String)> = vec![];
        for Change { file, old, new } in &self.changes {
            let at = if let Some(at) = files.iter().position(|(name, _)| name == file) {
                at
            } else {
                let text = fs::read_to_string(root.join(file));
                let text = text.map_err(|e| Fault::File(file.clone(), e.to_string()))?;
                files.push((file.clone(), text));
                files.len() - 1
            };
            let text = &mut files[at].1;
            let count = text.matches(old.as_str()).count();
            if count != 1 {
                return Err(Fault::Text(self.name.clone(), file.clone(), count));
            }
            *text = text.replacen(old.as_str(), new, 1);
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\
# a comment
== first
test some-package a b
in src/a.rs
<<<<
  old
text
====
new
>>>>

== second
test other
in src/b.rs
<<<<
x
====
>>>>
";

    #[test]
    fn lists_are_read() {
        let list = parse(LIST).expect("a list");
        let names: Vec<&str> = list.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["first", "second"]);
        assert_eq!(list[0].package, "some-package");
        assert_eq!(list[0].filters, ["a", "b"]);
        assert_eq!(list[0].changes[0].old, "  old\ntext");
        assert_eq!(list[0].changes[0].new, "new");
        assert_eq!(list[1].changes[0].new, "");
        for wrong in ["in file", "== name", "== name\ntest p", "== name\nwhat"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn texts_occur_once() {
        let root = std::env::temp_dir().join(format!("mutants-{}", std::process::id()));
        fs::create_dir_all(root.join("src")).expect("a folder");
        fs::write(root.join("src/a.rs"), "one\n  old\ntext\n").expect("a file");
        fs::write(root.join("src/b.rs"), "x x").expect("a file");
        let list = parse(LIST).expect("a list");
        let files = list[0].apply(&root).expect("its text");
        assert_eq!(files, [("src/a.rs".into(), "one\nnew\n".into())]);
        let twice = list[1].apply(&root).expect_err("twice");
        assert_eq!(twice, Fault::Text("second".into(), "src/b.rs".into(), 2));
        fs::remove_dir_all(root).expect("it is there");
    }
}
