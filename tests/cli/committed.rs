//! Committed inputs and outputs: their files, what proofs say of them, and what is refused.

use super::tool::{Folder, Run, model};
use std::fs;

/// Keys of the digit classifier, whose input and output are committed.
fn keys(folder: &Folder) {
    let committed = [
        "--input-visibility",
        "committed",
        "--output-visibility",
        "committed",
        "--commitment-uses",
        "2",
        "--json",
    ];
    let made = folder.setup("keys", &committed);
    let json = made.expect(0).json();
    for key in ["committed_inputs", "committed_outputs"] {
        assert_eq!(json[key].as_array().map(Vec::len), Some(1), "{json}");
    }
}

fn commit(folder: &Folder, options: &[&str]) -> Run {
    let input = model("digits_mlp", "test.npz");
    let commit = ["commit", "--vk", "keys/model.zkvk", "--input", &input];
    let rest = ["--batch", "1", "--out", "x.zkc", "--secret", "x.zko"];
    folder.run(&[&commit[..], &rest, options].concat())
}

const PROVE: [&str; 5] = ["prove", "--pk", "keys/model.zkpk", "--out", "p.zkp"];
const VERIFY: [&str; 5] = ["verify", "--vk", "keys/model.zkvk", "--proof", "p.zkp"];

#[test]
fn commitments_link_files() {
    let folder = Folder::new("commitments_link_files");
    keys(&folder);
    let made = commit(&folder, &["--json"]).expect(0).json();
    let inspected = |file: &str| folder.run(&["inspect", file, "--json"]).expect(0).json();
    assert_eq!(inspected("x.zkc")["commitment"], made["commitment"]);
    assert_eq!(inspected("x.zko")["uses_left"], 2);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |file: &str| {
            let found = fs::metadata(folder.path(file)).expect("written");
            found.permissions().mode() & 0o077
        };
        assert_eq!(mode("x.zko"), 0, "nobody else reads a secret");
    }

    // The commitment is that of the proof, and the file has a use less.
    let secrets = ["--input-secret", "x.zko", "--output-secret", "y.zko"];
    let outputs = ["--output-commitment", "y.zkc"];
    let prove = [&PROVE[..], &secrets, &outputs].concat();
    folder.run(&prove).expect(0);
    assert_eq!(inspected("x.zko")["uses_left"], 1);
    assert_eq!(inspected("y.zko")["uses_left"], 1);
    let expected = [
        "--input-commitment",
        "x.zkc",
        "--output-commitment",
        "y.zkc",
    ];
    let verified = folder.run(&[&VERIFY[..], &expected, &["--json"]].concat());
    let verified = verified.expect(0).json();
    let inputs = verified["input_commitments"]
        .as_object()
        .expect("an object");
    assert_eq!(inputs.values().next(), Some(&made["commitment"]));
    let said = folder.run(&VERIFY);
    assert!(
        said.expect(0)
            .stdout
            .contains("the model has outputs that are committed"),
        "{said:?}"
    );
    let bytes = fs::read(folder.path("p.zkp")).expect("the proof");
    let text = folder.run(&["inspect", "p.zkp"]);
    assert!(text.expect(0).stdout.contains("[committed "), "{text:?}");

    // Another commitment to the same input.
    commit(&folder, &["--out", "z.zkc"]).expect(2);
    let other = ["--out", "z.zkc", "--secret", "z.zko"];
    let input = model("digits_mlp", "test.npz");
    let start = [
        "commit",
        "--vk",
        "keys/model.zkvk",
        "--input",
        &input,
        "--batch",
        "1",
    ];
    folder.run(&[&start[..], &other].concat()).expect(0);
    let refused = folder.run(&[&VERIFY[..], &["--input-commitment", "z.zkc"]].concat());
    assert!(
        refused.expect(1).stdout.contains("has the commitment"),
        "{refused:?}"
    );

    // What opens a commitment is not replaced.
    let lost = folder.run(&prove);
    assert!(
        lost.expect(2).stderr.contains("cannot be made again"),
        "{lost:?}"
    );
    assert_eq!(inspected("x.zko")["uses_left"], 1);

    // The last use, and none: there is no proof, and the old one stays.
    fs::remove_file(folder.path("y.zko")).expect("removes");
    folder.run(&prove).expect(0);
    fs::remove_file(folder.path("y.zko")).expect("removes");
    assert_ne!(fs::read(folder.path("p.zkp")).expect("the proof"), bytes);
    let spent = folder.run(&prove);
    assert!(spent.expect(2).stderr.contains("commit anew"), "{spent:?}");
    assert_eq!(inspected("x.zko")["uses_left"], 0);
}

#[test]
fn hashes_are_the_same_for_everybody() {
    let folder = Folder::new("hashes_are_the_same_for_everybody");
    keys(&folder);
    let commit = |options: &[&str]| {
        let _ = fs::remove_file(folder.path("x.zko"));
        commit(&folder, options)
    };
    let hash = || commit(&["--hashed"]);
    let said = hash();
    assert!(said.expect(0).stdout.contains("does NOT hide"), "{said:?}");
    let first = fs::read(folder.path("x.zkc")).expect("written");
    hash().expect(0);
    assert_eq!(fs::read(folder.path("x.zkc")).expect("written"), first);
    let inspected = folder.run(&["inspect", "x.zko", "--json"]);
    assert_eq!(inspected.expect(0).json()["hides"], false);
    let zk = [&PROVE[..], &["--zk", "--input-secret", "x.zko"]].concat();
    let refused = folder.run(&zk);
    assert!(
        refused.expect(2).stderr.contains("it is a hash"),
        "{refused:?}"
    );
    let shown = [&PROVE[..], &["--input-secret", "x.zko", "--json"]].concat();
    let made = folder.run(&shown);
    assert_eq!(made.expect(0).json()["hides_inputs"], false);
    commit(&[]).expect(0);
    assert_ne!(fs::read(folder.path("x.zkc")).expect("written"), first);
}

#[test]
fn what_is_refused() {
    let folder = Folder::new("what_is_refused");
    keys(&folder);
    commit(&folder, &[]).expect(0);
    let fails = |arguments: &[&str], text: &str| {
        let run = folder.run(arguments);
        assert!(run.expect(2).stderr.contains(text), "{run:?}");
    };
    let input = model("digits_mlp", "test.npz");
    let prove = |options: &[&'static str]| [&PROVE[..], options].concat();
    fails(&prove(&[]), "--input");
    fails(
        &prove(&["--input-secret", "x.zkc"]),
        "not an opening of a commitment",
    );
    let twice = ["--input-secret", "x.zko", "--input-secret", "x.zko"];
    fails(&prove(&twice), "2 are given, 1 inputs are committed");
    let none = [
        "--input-secret",
        "x.zko",
        "--output-secret",
        "keys/model.zkpk",
    ];
    fails(&prove(&none), "exists and is not");
    let named = [
        "commit",
        "--vk",
        "keys/model.zkvk",
        "--input",
        &input,
        "--name",
        "z",
    ];
    let rest = ["--out", "z.zkc", "--secret", "z.zko"];
    fails(&[&named[..], &rest].concat(), "no committed input `z`");
    let private = folder.setup("other", &["--output-visibility", "private"]);
    assert!(
        private.expect(2).stderr.contains("commit to it instead"),
        "{private:?}"
    );
    folder.setup("other", &[]).expect(0);
    let open = ["commit", "--vk", "other/model.zkvk", "--input", &input];
    fails(&[&open[..], &rest].concat(), "--input-visibility committed");
    // None of it has cost a use.
    let left = folder.run(&["inspect", "x.zko", "--json"]).expect(0).json();
    assert_eq!(left["uses_left"], 2);
}
