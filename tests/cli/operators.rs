//! `zkstrata operators`, and the README's table of them.

use crate::tool::Folder;

#[test]
fn the_readme_lists_the_operators() {
    let folder = Folder::new("operators");
    let printed = folder.run(&["operators", "--markdown"]);
    printed.expect(0);
    let readme = include_str!("../../README.md");
    let (begin, end) = ("<!-- operators:begin -->\n\n", "\n<!-- operators:end -->");
    let block = readme
        .split_once(begin)
        .and_then(|(_, rest)| rest.split_once(end));
    let (block, _) = block.expect("the README has both markers");
    assert!(
        block == printed.stdout,
        "put what `zkstrata operators --markdown` prints between the markers in the README:\n{}",
        printed.stdout
    );
}

#[test]
fn every_operator_is_listed_once() {
    let folder = Folder::new("operators_listed");
    let text = folder.run(&["operators"]);
    let lines: Vec<&str> = text.expect(0).stdout.lines().collect();
    assert!(lines.iter().any(|line| line.ends_with(" Conv")), "{text:?}");
    let json = folder.run(&["operators", "--json"]).expect(0).json();
    assert_eq!(
        json["operators"].as_array().map(Vec::len),
        Some(lines.len())
    );
    assert_eq!(json["operators"][0]["domain"], "ai.onnx");
}
