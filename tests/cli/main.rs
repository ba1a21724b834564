//! The tool from end to end, on the checked-in digit classifiers: exit status, JSON keys, and what
//! happens to bad input.

mod accuracy;
mod arrays;
mod cases;
mod committed;
mod conformance;
mod estimate;
#[cfg(unix)]
mod links;
mod operators;
mod output;
mod private;
mod sessions;
mod tool;
mod usage;

use serde_json::Value;
use std::fs;
use tool::{Folder, model};

/// A folder with keys and a proof of the first four test images.
fn proven(name: &str) -> Folder {
    let folder = Folder::new(name);
    let [onnx, calibration] = ["model.onnx", "calib.npz"].map(|f| model("digits_mlp", f));
    let setup = folder.run(&[
        "setup",
        &onnx,
        "--calibration",
        &calibration,
        "--out",
        "keys",
    ]);
    setup.expect(0);
    let input = model("digits_mlp", "test.npz");
    let prove = [
        "prove",
        "--pk",
        "keys/model.zkpk",
        "--input",
        &input,
        "--batch",
        "4",
    ];
    folder
        .run(&[&prove[..], &["--out", "p.zkp"]].concat())
        .expect(0);
    folder
}

const VERIFY: [&str; 5] = ["verify", "--vk", "keys/model.zkvk", "--proof", "p.zkp"];

#[test]
fn setup_prove_verify() {
    let folder = proven("setup_prove_verify");
    let input = model("digits_mlp", "test.npz");
    let verified = folder.run(&VERIFY);
    verified.expect(0);
    assert!(verified.stdout.starts_with("ACCEPTED"), "{verified:?}");
    let given = [&VERIFY[..], &["--input", &input, "--batch", "4", "--json"]].concat();
    let json = folder.run(&given).expect(0).json();
    assert_eq!(json["accepted"], true);
    assert_eq!(json["batch"], 4);
    assert_eq!(
        json["outputs"][0]["values"][0].as_array().map(Vec::len),
        Some(10)
    );
    let classes = &json["outputs"][0]["argmax"];
    assert_eq!(*classes, serde_json::json!([2, 0, 4, 9]));

    // Setup is deterministic, and replaces keys.
    let vk = fs::read(folder.path("keys/model.zkvk")).expect("written");
    let again = proven("setup_prove_verify_again");
    assert_eq!(
        fs::read(again.path("keys/model.zkvk")).expect("written"),
        vk
    );
    let calibration = model("digits_mlp", "calib.npz");
    let onnx = model("digits_mlp", "model.onnx");
    let setup = [
        "setup",
        &onnx,
        "--out",
        "keys",
        "--profile",
        "accurate",
        "--json",
    ];
    let json = folder.run(&[&setup[..], &["--calibration", &calibration]].concat());
    let json = json.expect(0).json();
    for key in [
        "model",
        "bits",
        "shift",
        "parameters",
        "macs",
        "accuracy",
        "soundness_bits",
    ] {
        assert!(!json[key].is_null(), "{key}: {json}");
    }
    assert_eq!(json["bits"], 12);
    // The old proof is about another model now.
    let other = folder.run(&VERIFY);
    other.expect(1);
    assert!(other.stdout.contains("about model"), "{other:?}");
}

#[test]
fn keys_with_a_certificate() {
    let folder = Folder::new("keys_with_a_certificate");
    let [onnx, calibration, input] =
        ["model.onnx", "calib.npz", "test.npz"].map(|f| model("digits_mlp", f));
    let setup = [
        "setup",
        &onnx,
        "--calibration",
        &calibration,
        "--out",
        "keys",
    ];
    let setup = [&setup[..], &["--certificate", "--json"]].concat();
    let public = folder.run(&[&setup[..], &["--weights", "public"]].concat());
    let public = public.expect(2);
    assert!(
        public.stdout.contains("leave out --certificate"),
        "{public:?}"
    );
    let json = folder.run(&setup).expect(0).json();
    assert_eq!(json["trust"], "the certificate of the key");
    let length = fs::metadata(folder.path("keys/model.zkct"))
        .expect("written")
        .len();
    assert_eq!(json["certificate_bytes"], length);
    let prove = ["prove", "--pk", "keys/model.zkpk", "--input", &input];
    let prove = [&prove[..], &["--batch", "1", "--out", "p.zkp"]].concat();
    folder.run(&prove).expect(0);

    // Without the certificate no proof is judged, and another file is none.
    let verify = ["verify", "--vk", "keys/model.zkvk", "--proof", "p.zkp"];
    let bare = folder.run(&verify);
    let bare = bare.expect(2);
    assert!(bare.stderr.contains("give --certificate FILE"), "{bare:?}");
    let with = |file: &str| folder.run(&[&verify[..], &["--certificate", file]].concat());
    with("keys/model.zkct").expect(0);
    let other = with("p.zkp");
    let other = other.expect(2);
    assert!(other.stderr.contains("not a certificate"), "{other:?}");
    let inspected = folder.run(&["inspect", "keys/model.zkct", "--json"]);
    assert_eq!(inspected.expect(0).json()["model"], json["model"]);
    let security = folder.run(&["security", "--vk", "keys/model.zkvk", "--json"]);
    let security = security.expect(0).json();
    let bits = security["certificate_security"]["total_bits"].as_f64();
    assert!(bits.is_some_and(|bits| bits >= 100.0), "{security}");

    // A key that asks for trust in its maker cannot pass for one that has a certificate.
    let trusted = [
        "setup",
        &onnx,
        "--calibration",
        &calibration,
        "--out",
        "trusted",
    ];
    folder.run(&trusted).expect(0);
    let verify_trusted = ["verify", "--vk", "trusted/model.zkvk", "--proof", "p.zkp"];
    let shown = ["--certificate", "keys/model.zkct"];
    let refused = folder.run(&[&verify_trusted[..], &shown].concat());
    let refused = refused.expect(1);
    assert!(
        refused.stdout.contains("its maker is trusted"),
        "{refused:?}"
    );

    // A doctored one.
    let mut bytes = fs::read(folder.path("keys/model.zkct")).expect("written");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(folder.path("doctored.zkct"), bytes).expect("writes");
    let doctored = with("doctored.zkct");
    let doctored = doctored.expect(1);
    assert!(doctored.stdout.contains("REJECTED"), "{doctored:?}");
}

#[test]
fn public_weights() {
    let folder = proven("public_weights");
    let old = fs::read(folder.path("p.zkp")).expect("written");
    let [onnx, calibration, input] =
        ["model.onnx", "calib.npz", "test.npz"].map(|f| model("digits_mlp", f));
    let setup = ["setup", &onnx, "--calibration", &calibration];
    let setup = [&setup[..], &["--out", "keys", "--weights", "public"]].concat();
    let json = folder
        .run(&[&setup[..], &["--json"]].concat())
        .expect(0)
        .json();
    assert_eq!(json["weights"], "public");
    let inspected = folder.run(&["inspect", "keys/model.zkvk", "--json"]);
    assert_eq!(inspected.expect(0).json()["weights"], "public");
    // It is another key.
    folder.run(&VERIFY).expect(1);
    let prove = ["prove", "--pk", "keys/model.zkpk", "--input", &input];
    let prove = [&prove[..], &["--batch", "4", "--out", "p.zkp"]].concat();
    folder.run(&prove).expect(0);
    folder.run(&VERIFY).expect(0);
    let new = fs::read(folder.path("p.zkp")).expect("written");
    assert_ne!(new, old);
}

#[test]
fn changed_proofs_and_other_inputs_are_rejected() {
    let folder = proven("changed_proofs");
    let proof = fs::read(folder.path("p.zkp")).expect("written");
    let change = |at: usize| {
        let mut bytes = proof.clone();
        bytes[at] ^= 1;
        bytes
    };
    let files = [
        change(proof.len() - 1),
        change(proof.len() / 2),
        change(60),
        change(9),
        proof[..proof.len() - 1].to_vec(),
        proof[..100].to_vec(),
        proof[..4].to_vec(),
        [&proof[..], &[0]].concat(),
        b"not a proof".to_vec(),
        vec![],
    ];
    for (i, bytes) in files.iter().enumerate() {
        fs::write(folder.path("p.zkp"), bytes).expect("writes");
        let text = folder.run(&VERIFY);
        text.expect(1);
        assert!(text.stdout.starts_with("REJECTED: "), "{i}: {text:?}");
        let json = folder.run(&[&VERIFY[..], &["--json"]].concat());
        let json = json.expect(1).json();
        assert_eq!(json["accepted"], false);
        assert!(json["reason"].is_string(), "{i}: {json}");
    }
    fs::write(folder.path("p.zkp"), proof).expect("writes");
    let input = model("digits_mlp", "calib.npz");
    for batch in ["3", "4"] {
        let other = [&VERIFY[..], &["--input", &input, "--batch", batch]].concat();
        let other = folder.run(&other);
        other.expect(1);
        assert!(other.stdout.contains("another input"), "{other:?}");
    }
}

#[test]
fn bad_usage_and_bad_files_are_errors() {
    let folder = proven("bad_usage");
    let cells = |x: &str| format!(r#"{{"input_data": [[{}]]}}"#, vec![x; 64].join(","));
    folder.write("short.json", r#"{"input_data": [[1, 2, 3]]}"#);
    folder.write("nan.json", &cells("NaN"));
    folder.write("infinite.json", &cells("1e300"));
    folder.write("text.json", &cells("\"1\""));
    folder.write("fine.json", &cells("0.5"));
    folder.write("broken.npz", "PK\u{3}\u{4} and no more");
    folder.write("nan.npy", "");
    fs::write(folder.path("nan.npy"), tool::npy(&[f32::NAN; 64])).expect("writes");
    folder.write("empty.onnx", "");
    folder.write("precious.txt", "do not overwrite me");
    let onnx = model("digits_mlp", "model.onnx");
    let prove = |input: &str, out: &str| {
        let args = [
            "prove",
            "--pk",
            "keys/model.zkpk",
            "--input",
            input,
            "--out",
            out,
        ];
        args.map(str::to_owned).to_vec()
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let cases = [
        (
            words("verify --vk keys/model.zkpk --proof p.zkp"),
            "is a proving key",
        ),
        (
            words("verify --vk p.zkp --proof p.zkp"),
            "is a proof (.zkp), not a verifying key",
        ),
        (
            words("verify --vk keys/model.zkvk --proof keys/model.zkvk"),
            "not a proof",
        ),
        (
            words("verify --vk keys/model.zkvk --proof none.zkp"),
            "cannot read none.zkp",
        ),
        (
            words("verify --vk precious.txt --proof p.zkp"),
            "zkstrata setup",
        ),
        (
            words("verify --vk keys/model.zkvk --proof p.zkp --input nan.npy"),
            "NaN",
        ),
        (words("verify --vk keys/model.zkvk"), "--proof"),
        (prove("none.json", "q.zkp"), "cannot read none.json"),
        (prove("short.json", "q.zkp"), "shape [3], expected [1, 64]"),
        (prove("nan.json", "q.zkp"), "nan.json"),
        (prove("nan.npy", "q.zkp"), "is NaN"),
        (prove("infinite.json", "q.zkp"), "is inf"),
        (prove("text.json", "q.zkp"), "where a number should be"),
        (prove("broken.npz", "q.zkp"), ".npz"),
        (prove("fine.json", "precious.txt"), "is not a proof"),
        (
            prove("fine.json", "nowhere/q.zkp"),
            "nowhere is not a directory",
        ),
        (prove("fine.json", "keys"), "is a directory"),
        (words("setup empty.onnx --out k"), "empty.onnx"),
        (words("setup none.onnx --out k"), "none.onnx"),
        (
            vec!["setup".into(), onnx, "--out".into(), "precious.txt".into()],
            "precious.txt",
        ),
        (words("inspect precious.txt"), "precious.txt"),
        (
            words("security --vk keys/model.zkvk --batch 100000"),
            "at most",
        ),
        (words("frobnicate"), "frobnicate"),
    ];
    for (args, message) in cases {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let text = folder.run(&args);
        text.expect(2);
        assert!(text.stdout.is_empty(), "{text:?}");
        assert!(text.stderr.contains(message), "{message}: {text:?}");
        assert!(text.stderr.contains("error: "), "{text:?}");
        assert!(!text.stderr.contains("panicked"), "{text:?}");
        let json = folder.run(&[&args[..], &["--json"]].concat());
        let error = json.expect(2).json()["error"].to_string();
        assert!(
            error.contains(message) || args[0] == "frobnicate",
            "{message}: {error}"
        );
    }
    assert!(!folder.path("q.zkp").exists());
    let precious = fs::read_to_string(folder.path("precious.txt")).expect("still there");
    assert_eq!(precious, "do not overwrite me");
}

#[test]
fn inputs_of_other_tools_are_accepted() {
    let folder = proven("inputs");
    folder.write(
        "ezkl.json",
        &format!(r#"{{"input_data": [[{}]]}}"#, ["0.5"; 64].join(",")),
    );
    fs::write(folder.path("x.npy"), tool::npy(&[0.5; 64])).expect("writes");
    let prove = [
        "prove",
        "--pk",
        "keys/model.zkpk",
        "--input",
        "ezkl.json",
        "--out",
        "p.zkp",
    ];
    let json = folder
        .run(&[&prove[..], &["--json"]].concat())
        .expect(0)
        .json();
    for key in ["model", "outputs", "prove_s", "proof_bytes"] {
        assert!(!json[key].is_null(), "{key}: {json}");
    }
    folder
        .run(&[&VERIFY[..], &["--input", "x.npy"]].concat())
        .expect(0);
    // Without calibration data, the warning is loud and the keys work.
    let onnx = model("digits_mlp", "model.onnx");
    let setup = folder.run(&["setup", &onnx, "--out", "keys"]);
    setup.expect(0);
    assert!(setup.stderr.contains("NO CALIBRATION DATA"), "{setup:?}");
}

#[test]
fn check_bench_inspect_security() {
    let folder = proven("others");
    let [onnx, input] = ["model.onnx", "test.npz"].map(|file| model("digits_cnn", file));
    let check = folder
        .run(&["check", &onnx, "--input", &input, "--json"])
        .expect(0)
        .json();
    assert_eq!(check["accuracy"]["samples"], 450);
    let agreement = check["accuracy"]["outputs"][0]["argmax_agreement"].as_f64();
    assert!(
        agreement.is_some_and(|agreement| agreement > 0.99),
        "{check}"
    );
    folder.write(
        "wrong.json",
        r#"{"output_data": [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]}"#,
    );
    folder.write(
        "one.json",
        &format!(r#"{{"input_data": [[{}]]}}"#, ["0.5"; 64].join(",")),
    );
    let check = [
        "check",
        &onnx,
        "--input",
        "one.json",
        "--expected",
        "wrong.json",
    ];
    folder.run(&check).expect(1);

    let bench = [
        "bench", &onnx, "--input", &input, "--batch", "2", "--runs", "2", "--json",
    ];
    let bench = folder
        .run(&[&bench[..], &["--threads", "1"]].concat())
        .expect(0)
        .json();
    let keys = [
        "model",
        "parameters",
        "macs",
        "batch",
        "threads",
        "setup_s",
        "witness_s",
        "prove_s",
        "verify_s",
        "proof_bytes",
        "vk_bytes",
        "max_abs_err",
        "argmax_agrees",
    ];
    for key in keys {
        assert!(!bench[key].is_null(), "{key}: {bench}");
    }
    assert!(bench.get("peak_rss_bytes").is_some());
    assert_eq!((&bench["batch"], &bench["threads"]), (&2.into(), &1.into()));
    for stage in ["run", "witness", "commit", "lookup", "linear", "open"] {
        let seconds = bench["stages"][stage].as_f64();
        assert!(seconds.is_some_and(|s| s > 0.0), "{stage}: {bench}");
    }

    for (file, kind) in [
        ("keys/model.zkpk", "proving key"),
        ("keys/model.zkvk", "verifying key"),
        ("p.zkp", "proof"),
        (&onnx, "model"),
    ] {
        let json = folder.run(&["inspect", file, "--json"]).expect(0).json();
        assert_eq!(json["kind"], kind);
        folder.run(&["inspect", file]).expect(0);
    }
    let args = ["security", "--vk", "keys/model.zkvk", "--json"];
    let json = folder.run(&args).expect(0).json();
    let bits = json["security"]["total_bits"].as_f64();
    assert!(bits.is_some_and(|bits| bits >= 100.0), "{json}");
    assert!(
        json["security"]["terms"]
            .as_array()
            .is_some_and(|terms| terms.len() > 3)
    );
}

#[test]
fn help_and_version() {
    let folder = Folder::new("help");
    for args in [&["--help"][..], &["--version"], &["bench", "--help"]] {
        folder.run(args).expect(0);
    }
    folder.run(&[]).expect(2);
    let json: Value = folder.run(&["verify", "--json"]).expect(2).json();
    assert!(json["error"].is_string());
}
