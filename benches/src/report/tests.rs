use super::{group, html, text};
use crate::journal;
use crate::record::Record;
use std::path::Path;

fn records() -> Vec<Record> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/records.jsonl");
    journal::read(Path::new(path)).expect("readable records")
}

#[test]
fn the_report_is_made_of_records() {
    insta::assert_snapshot!(text::markdown(&group::sections(&records())));
}

#[test]
fn the_page_is_whole_and_well_formed() {
    let page = html::page(&group::sections(&records()));
    for plot in [
        "Proving time against model size",
        "Ratio to plain inference",
        "Stages of proving",
        "Proof size",
        "Verification time",
        "Peak memory",
    ] {
        assert!(page.contains(&format!("aria-label=\"{plot}\"")), "{plot}");
    }
    assert!(page.contains("EZKL: out of memory at 8 GiB, setup"));
    for elsewhere in ["<script", "<link", "src=", "@import", "url(", "http"] {
        assert!(!page.contains(elsewhere), "{elsewhere}");
    }
    well_formed(&page);
}

#[test]
fn names_are_text() {
    let mut records = records();
    for record in &mut records {
        record.model.name = "<b>&\"x".into();
        record.machine.cpu = "</p>".into();
    }
    let page = html::page(&group::sections(&records));
    assert!(!page.contains("<b>&\"x") && page.contains("&lt;b&gt;&amp;&quot;x"));
    well_formed(&page);
}

#[test]
fn a_median_is_over_one_build() {
    let mut records = records();
    let template = records
        .iter()
        .find(|record| record.profile.is_some())
        .expect("a record of zkstrata")
        .clone();
    records.clear();
    for (time, version, prove) in [("1", "old", 9.0), ("2", "new", 1.0), ("3", "new", 2.0)] {
        let mut record = template.clone();
        record.time = time.into();
        record.system.version = Some(version.into());
        record.figures.seconds.prove = Some(prove);
        records.push(record);
    }
    let sections = group::sections(&records);
    let row = &sections[0].models[0].rows[0];
    assert_eq!((row.prove, row.runs), (Some(1.5), 2));
}

/// Every element is closed, in order.
fn well_formed(page: &str) {
    let page = page.strip_prefix("<!DOCTYPE html>").expect("HTML");
    let mut open = Vec::new();
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag ends");
        let name = tag.split([' ', '/']).next().expect("a name");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
    }
    assert!(open.is_empty(), "{open:?}");
}
