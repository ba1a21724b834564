//! Hidden weights: sessions, their files, and what is refused.

use super::tool::{Folder, Run, model};
use std::fs;

/// Keys of the digit classifier, whose weights are hidden.
fn keys(folder: &Folder, options: &[&str]) -> Run {
    let hidden = [
        "--weights",
        "hidden",
        "--uses",
        "2",
        "--sessions",
        "2",
        "--json",
    ];
    folder.setup("keys", &[&hidden[..], options].concat())
}

fn session(folder: &Folder, name: &str) -> Run {
    let [out, certificate] = ["zkses", "zksc"].map(|kind| format!("{name}.{kind}"));
    let session = [
        "session",
        "--pk",
        "keys/model.zkpk",
        "--json",
        "--out",
        &out,
    ];
    folder.run(&[&session[..], &["--session-certificate", &certificate]].concat())
}

fn prove(folder: &Folder, options: &[&str]) -> Run {
    let input = model("digits_mlp", "test.npz");
    let prove = ["prove", "--pk", "keys/model.zkpk", "--input", &input];
    let rest = ["--batch", "2", "--out", "p.zkp", "--json"];
    folder.run(&[&prove[..], &rest, options].concat())
}

fn refused(run: &Run, status: i32, reason: &str) {
    run.expect(status);
    let said = format!("{}{}", run.stdout, run.stderr);
    assert!(said.contains(reason), "{reason}: {said}");
}

fn verify(folder: &Folder, options: &[&str]) -> Run {
    let verify = ["verify", "--vk", "keys/model.zkvk", "--proof", "p.zkp"];
    folder.run(&[&verify[..], &["--json"], options].concat())
}

#[test]
fn sessions_prove_as_often_as_they_may() {
    let folder = Folder::new("sessions_prove_as_often_as_they_may");
    let made = keys(&folder, &[]).expect(0).json();
    assert_eq!(made["weights"], "hidden");
    assert_eq!(
        (&made["sessions"], &made["proofs_of_a_session"]),
        (&2.into(), &2.into())
    );
    let started = session(&folder, "a").expect(0).json();
    assert_eq!(
        (&started["proofs"], &started["sessions_left"]),
        (&2.into(), &1.into())
    );
    #[cfg(unix)]
    for file in ["keys/model.zkpk", "a.zkses"] {
        use std::os::unix::fs::PermissionsExt;
        let found = fs::metadata(folder.path(file)).expect("written");
        assert_eq!(found.permissions().mode() & 0o077, 0, "{file} is a secret");
    }
    let inspected = |file: &str, key: &str| {
        let json = folder.run(&["inspect", file, "--json"]).expect(0).json();
        assert_eq!(json["model"], made["model"], "{file}");
        json[key].clone()
    };
    assert_eq!(inspected("a.zksc", "session"), started["session"]);
    assert_eq!(inspected("keys/model.zkuse", "sessions_used"), 1);

    refused(&prove(&folder, &[]), 2, "give --session FILE");
    for left in [1, 0] {
        let proven = prove(&folder, &["--session", "a.zkses"]).expect(0).json();
        assert_eq!(proven["proofs_left"], left);
        assert_eq!(inspected("a.zkses", "proofs_left"), left);
    }
    refused(
        &prove(&folder, &["--session", "a.zkses"]),
        2,
        "has made all its proofs",
    );
    refused(&verify(&folder, &[]), 2, "give --session FILE");
    let verified = verify(&folder, &["--session", "a.zksc"]).expect(0).json();
    assert_eq!(verified["session"], started["session"]);

    // Another session's certificate is not that of the proof; and there are two sessions.
    session(&folder, "b").expect(0);
    refused(
        &verify(&folder, &["--session", "b.zksc"]),
        1,
        "accept that of the proof's session",
    );
    refused(&session(&folder, "c"), 2, "all sessions of the key");
    fs::remove_file(folder.path("keys/model.zkuse")).expect("removes");
    refused(&session(&folder, "c"), 2, "counts the key's sessions");
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = Folder::new("what_does_not_fit_a_session");
    keys(&folder, &["--certificate"]).expect(0);
    session(&folder, "a").expect(0);
    prove(&folder, &["--session", "a.zkses"]).expect(0);
    refused(
        &verify(&folder, &["--session", "a.zksc"]),
        2,
        "--certificate FILE",
    );
    let both = ["--certificate", "keys/model.zkct", "--session", "a.zksc"];
    verify(&folder, &both).expect(0);
    let security = folder.run(&["security", "--vk", "keys/model.zkvk", "--json"]);
    let security = security.expect(0).json();
    for part in ["security", "certificate_security", "session_security"] {
        assert!(
            security[part]["total_bits"].as_f64() > Some(100.0),
            "{part}"
        );
    }
    refused(
        &prove(&folder, &["--session", "a.zksc"]),
        2,
        "not a session (.zkses)",
    );

    // What cannot be made again is not replaced.
    refused(&keys(&folder, &[]), 2, "cannot be made again");
    refused(&session(&folder, "a"), 2, "cannot be made again");
    refused(
        &prove(&folder, &["--session", "a.zkses", "--strict-input"]),
        0,
        "proofs_left",
    );

    // A key that hides nothing has no sessions, and another key none of this one's.
    fs::rename(folder.path("keys"), folder.path("old")).expect("renames");
    folder.setup("keys", &[]).expect(0);
    refused(&session(&folder, "b"), 2, "does not hide its weights");
    refused(
        &prove(&folder, &["--session", "a.zkses"]),
        2,
        "has no sessions",
    );
    keys(&folder, &[]).expect(0);
    refused(
        &prove(&folder, &["--session", "a.zkses"]),
        2,
        "use the file of this key",
    );
}
