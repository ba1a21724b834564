//! An integer model that is far from its float model is refused, unless it may be.

use crate::cases::{
    DENSE, DENSE_CALIBRATION, DENSE_INPUT, ROUNDED, ROUNDED_INPUT, ROUNDED_OUTPUT, WAVE, prove,
    with_keys,
};
use crate::tool::{Folder, Run};

/// What every refusal says.
fn assert_refused(run: &Run) {
    run.expect(3);
    for said in [
        "INACCURATE: output `y` is off by",
        "% of its range",
        "the error arises at node `wave`",
        "--profile accurate",
        "--calibration",
        "--allow-inaccurate",
    ] {
        assert!(run.stdout.contains(said), "{said}: {run:?}");
    }
}

#[test]
fn setup_makes_no_keys_of_an_inaccurate_model() {
    let folder = Folder::new("accuracy_setup");
    let setup = ["setup", WAVE, "--out", "keys"];
    assert_refused(&folder.run(&setup));
    assert!(!folder.path("keys").exists());
    let json = folder.run(&[&setup[..], &["--json"]].concat());
    let json = json.expect(3).json();
    assert_eq!(
        (&json["accurate"], &json["accepted"]),
        (&false.into(), &false.into())
    );
    assert!(
        json["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("`wave`")),
        "{json}"
    );
    assert_eq!(json["accuracy"]["outputs"][0]["origin"], "wave");
    assert!(json["model"].is_null(), "{json}");

    // A folder that was there stays there.
    std::fs::create_dir(folder.path("keys")).expect("creates");
    folder.run(&setup).expect(3);
    assert_eq!(folder.path("keys").read_dir().expect("is there").count(), 0);

    let allowed = folder.run(&[&setup[..], &["--allow-inaccurate"]].concat());
    allowed.expect(0);
    assert!(
        allowed
            .stderr
            .contains("the integer model is inaccurate: output `y`"),
        "{allowed:?}"
    );
    assert!(folder.path("keys/model.zkpk").exists());
    let json = [&setup[..], &["--allow-inaccurate", "--json"]].concat();
    let json = folder.run(&json).expect(0).json();
    assert_eq!(json["accurate"], false);
    assert!(
        json["warnings"].to_string().contains("inaccurate"),
        "{json}"
    );
}

#[test]
fn check_and_bench_refuse_as_well() {
    let folder = Folder::new("accuracy_check");
    let cells: Vec<String> = (0..16).map(|i| format!("{}", f64::from(i) / 7.0)).collect();
    folder.write("x.json", &format!("[[{}]]", cells.join(",")));
    let check = ["check", WAVE, "--input", "x.json"];
    assert_refused(&folder.run(&check));
    folder
        .run(&[&check[..], &["--allow-inaccurate"]].concat())
        .expect(0);
    let bench = ["bench", WAVE, "--runs", "1"];
    assert_refused(&folder.run(&bench));
    let measured = folder.run(&[&bench[..], &["--allow-inaccurate", "--json"]].concat());
    assert!(measured.expect(0).json()["prove_s"].is_number());
    // The first input that calibration does not represent is where errors arise.
    folder.write(
        "large.json",
        "[[90, -80, 70, 60, -50], [-900, 800, 700, -600, 500]]",
    );
    let clamped = [
        "check",
        DENSE,
        "--calibration",
        DENSE_CALIBRATION,
        "--input",
        "large.json",
    ];
    let clamped = folder.run(&clamped);
    assert!(
        clamped.expect(3).stdout.contains("at node `x`"),
        "{clamped:?}"
    );
}

/// What is proven is right, where floats are rounded the other way.
#[test]
fn check_goes_by_the_integers_where_the_model_rounds() {
    let folder = Folder::new("accuracy_rounded");
    let check = ["check", ROUNDED, "--input", ROUNDED_INPUT, "--expected"];
    let right = folder.run(&[&check[..], &[ROUNDED_OUTPUT, "--json"]].concat());
    let json = right.expect(0).json();
    assert_eq!(json["expected"][0]["max_error"], 1.0, "{json}");
    assert_eq!(json["accuracy_expected"]["outputs"][0]["max_error"], 0.0);
    let wrong = vec![vec![[7; 3]; 3]; 3];
    folder.write("y.json", &format!("{{\"y\": [{wrong:?}]}}"));
    let wrong = folder.run(&[&check[..], &["y.json"]].concat());
    assert!(wrong.expect(1).stdout.contains("--tolerance"), "{wrong:?}");
}

#[test]
fn check_compares_the_integers_with_expected_outputs() {
    let folder = Folder::new("accuracy_expected");
    let check = ["check", DENSE, "--input", DENSE_INPUT, "--json"];
    let json = folder.run(&check).expect(0).json();
    assert_eq!(json["accurate"], true);
    assert!(json["accuracy_expected"].is_null());
    // What float gives, up to a tolerance that lets everything pass.
    let expected = [[0.0_f32; 3]; 4];
    let rows: Vec<String> = expected.iter().map(|row| format!("{row:?}")).collect();
    folder.write("y.json", &format!("[{}]", rows.join(",")));
    let against = ["--expected", "y.json", "--tolerance", "100"];
    let run = folder.run(&[&check[..], &against].concat());
    let json = run.expect(3).json();
    assert_eq!(json["accepted"], false);
    assert!(
        json["accuracy_expected"]["outputs"][0]["max_error"].is_number(),
        "{json}"
    );
    // A rejection of the float model is a rejection.
    folder.run(&[&check[..], &against[..2]].concat()).expect(1);
}

/// The proof is about clamped inputs, and says so.
#[test]
fn clamped_inputs_are_counted_or_refused() {
    let folder = with_keys("accuracy_clamped");
    folder.write("large.json", "[[900, 0, 0, -900, 0]]");
    let proven = folder.run(&prove("large.json", "p.zkp"));
    proven.expect(0);
    assert!(
        proven.stderr.contains("2 input cells lie beyond"),
        "{proven:?}"
    );
    let json = [&prove("large.json", "p.zkp")[..], &["--json"]].concat();
    assert_eq!(folder.run(&json).expect(0).json()["clamped_inputs"], 2);
    let strict = [&prove("large.json", "q.zkp")[..], &["--strict-input"]].concat();
    let refused = folder.run(&strict);
    assert!(
        refused.expect(2).stderr.contains("--strict-input"),
        "{refused:?}"
    );
    assert!(!folder.path("q.zkp").exists());
    let fine = [
        &prove(DENSE_INPUT, "q.zkp")[..],
        &["--strict-input", "--json"],
    ]
    .concat();
    assert_eq!(folder.run(&fine).expect(0).json()["clamped_inputs"], 0);
}
