//! Private inputs: what the files and the tool show of them, and what is refused.

use super::tool::{Folder, model};
use std::fs;

/// Keys of the digit classifier with these options, and the input's name.
fn setup(folder: &Folder, options: &[&str]) -> super::tool::Run {
    folder.setup("keys", options)
}

#[test]
fn an_input_stays_with_the_prover() {
    let folder = Folder::new("an_input_stays_with_the_prover");
    let made = setup(&folder, &["--zk", "--json"]);
    let names = made.expect(0).json()["private_inputs"].clone();
    assert_eq!(names.as_array().map(Vec::len), Some(1));
    let input = model("digits_mlp", "test.npz");
    let prove = |out: &str| {
        let prove = [
            "prove",
            "--pk",
            "keys/model.zkpk",
            "--input",
            &input,
            "--batch",
            "2",
        ];
        folder
            .run(&[&prove[..], &["--out", out]].concat())
            .expect(0);
        fs::read(folder.path(out)).expect("the proof that was written")
    };
    let (a, b) = (prove("a.zkp"), prove("b.zkp"));
    // Proofs of one input: the head of the file with the outputs is the same, the proof is another.
    assert_ne!(a, b);
    assert!(a.len().abs_diff(b.len()) < 4096);

    let verify = ["verify", "--vk", "keys/model.zkvk", "--proof", "a.zkp"];
    let verified = folder.run(&verify);
    verified.expect(0);
    let text = &verified.stdout;
    assert!(text.contains("on an input that the prover knows"), "{text}");
    assert_eq!(
        folder
            .run(&[&verify[..], &["--json"]].concat())
            .expect(0)
            .json()["hides_inputs"],
        true
    );
    // There is nothing to compare with.
    let compared = folder.run(&[&verify[..], &["--input", &input, "--batch", "2"]].concat());
    compared.expect(2);
    assert!(
        compared.stderr.contains("leave out --input"),
        "{compared:?}"
    );

    let inspected = folder.run(&["inspect", "a.zkp"]);
    inspected.expect(0);
    assert!(inspected.stdout.contains("[private]"), "{inspected:?}");
    for key in ["keys/model.zkvk", "keys/model.zkpk"] {
        let inspected = folder.run(&["inspect", key]);
        inspected.expect(0);
        assert!(
            inspected
                .stdout
                .contains("all activations; not the outputs"),
            "{inspected:?}"
        );
    }
    let security = folder.run(&["security", "--vk", "keys/model.zkvk"]);
    security.expect(0);
    assert!(security.stdout.contains("sealing"), "{security:?}");

    // A key that shows the input refuses the proof, and the other way round.
    fs::rename(folder.path("keys"), folder.path("hidden")).expect("renamed");
    setup(&folder, &[]).expect(0);
    folder.run(&verify).expect(1);
    // Whoever wants to hide the input is told that this key does not.
    let prove_hidden = [
        "prove",
        "--pk",
        "keys/model.zkpk",
        "--input",
        &input,
        "--zk",
        "--out",
        "d.zkp",
    ];
    let refused = folder.run(&prove_hidden);
    refused.expect(2);
    assert!(refused.stderr.contains("set up with --zk"), "{refused:?}");
    prove("c.zkp");
    let shown = ["verify", "--vk", "hidden/model.zkvk", "--proof", "c.zkp"];
    folder.run(&shown).expect(1);
}

#[test]
fn visibilities_are_said_by_name() {
    let folder = Folder::new("visibilities_are_said_by_name");
    let name = setup(&folder, &["--input-visibility", "private", "--json"]);
    let name = name.expect(0).json()["private_inputs"][0].clone();
    let name = name.as_str().expect("a name").to_owned();
    let private = |options: &[&str]| {
        let made = setup(&folder, &[options, &["--json"]].concat());
        made.expect(0).json()["private_inputs"] == serde_json::json!([name])
    };
    assert!(private(&["--input-visibility", &format!("{name}=private")]));
    assert!(!private(&[
        "--zk",
        "--input-visibility",
        &format!("{name}=public")
    ]));
    let both = setup(&folder, &["--zk", "--input-visibility", "public"]);
    both.expect(2);
    assert!(both.stderr.contains("NAME=public"), "{both:?}");
    assert!(!private(&[]));
    let other = setup(&folder, &["--input-visibility", "picture=private"]);
    other.expect(2);
    assert!(
        other.stderr.contains("no input `picture`") && other.stderr.contains(&name),
        "{other:?}"
    );
    let unknown = setup(&folder, &["--input-visibility", "secret"]);
    unknown.expect(2);
    assert!(
        unknown
            .stderr
            .contains("none of `public`, `private` and `committed`"),
        "{unknown:?}"
    );
}

/// A proof for one audience is not one for another.
#[test]
fn a_proof_answers_a_nonce() {
    let folder = Folder::new("a_proof_answers_a_nonce");
    setup(&folder, &[]).expect(0);
    let input = model("digits_mlp", "test.npz");
    let prove = |context: &str| {
        let prove = [
            "prove",
            "--pk",
            "keys/model.zkpk",
            "--input",
            &input,
            "--out",
            "p.zkp",
        ];
        folder.run(&[&prove[..], &["--batch", "1", "--context", context]].concat())
    };
    let (nonce, other) = ("0f".repeat(32), "f0".repeat(32));
    prove(&nonce).expect(0);
    let verify = |options: &[&str]| {
        let verify = ["verify", "--vk", "keys/model.zkvk", "--proof", "p.zkp"];
        folder.run(&[&verify[..], options].concat())
    };
    let said = verify(&["--json"]);
    assert_eq!(said.expect(0).json()["context"], nonce);
    verify(&["--context", &nonce]).expect(0);
    let refused = verify(&["--context", &other]);
    assert!(
        refused.expect(1).stdout.contains("bound to 0f0f"),
        "{refused:?}"
    );
    let short = prove(&nonce[2..]);
    assert!(
        short.expect(2).stderr.contains("64 hexadecimal digits"),
        "{short:?}"
    );
}
