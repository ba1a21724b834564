//! What the documents name exists: the tests that SECURITY.md relies on, and the files that it and
//! ARCHITECTURE.md point to.

use std::path::{Path, PathBuf};

/// The folders of the workspace with Rust sources.
const FOLDERS: [&str; 8] = [
    "benches",
    "gkr",
    "mle",
    "model-ir",
    "onnx-import",
    "pcs",
    "src",
    "tests",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of every Rust source below a folder.
fn sources(folder: &Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path: PathBuf = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push_str(&std::fs::read_to_string(&path).expect("a text"));
        }
    }
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// `a/{b,c}.rs` as `a/b.rs` and `a/c.rs`.
fn paths(name: &str) -> Vec<String> {
    let Some((head, rest)) = name.split_once('{') else {
        return vec![name.into()];
    };
    let (names, tail) = rest.split_once('}').expect("a closed brace");
    let path = |name| format!("{head}{name}{tail}");
    names.split(',').map(path).collect()
}

#[test]
fn the_tests_of_the_security_page_exist() {
    let page = std::fs::read_to_string(root().join("SECURITY.md")).expect("the page");
    let mut code = String::new();
    for folder in FOLDERS {
        sources(&root().join(folder), &mut code);
    }
    let (_, table) = page.split_once("| bug | test |").expect("the table");
    let snake = |name: &&str| {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        name.matches('_').count() > 1 && name.chars().all(letters)
    };
    let names: Vec<&str> = quoted(table).filter(snake).collect();
    assert!(names.len() > 40, "{names:?}");
    for name in names {
        assert!(code.contains(&format!("fn {name}(")), "no test `{name}`");
    }
}

#[test]
fn the_files_that_the_documents_point_to_exist() {
    for document in ["SECURITY.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let page = std::fs::read_to_string(root().join(document)).expect("the page");
        let is_file = |name: &&str| {
            let is_rust = Path::new(name).extension().is_some_and(|e| e == "rs");
            let is_path = name.contains('/') && is_rust;
            is_path && FOLDERS.iter().any(|folder| name.starts_with(folder))
        };
        for path in quoted(&page).filter(is_file).flat_map(paths) {
            assert!(root().join(&path).exists(), "{document} names `{path}`");
        }
    }
}
