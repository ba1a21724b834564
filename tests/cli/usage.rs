//! Misuse, and streams that cannot be written.

use crate::cases::DENSE;
use crate::tool::Folder;

/// Lists of words.
fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn numbers_are_bounded_before_any_work() {
    let folder = Folder::new("usage_bounds");
    for command in [
        "prove --pk none --input none --out q.zkp --batch",
        "verify --vk none --proof none --input none --batch",
        "bench none --batch",
        "estimate none --batch",
        "security --vk none --batch",
        "operators --threads",
        "check none --input none --threads",
    ] {
        for number in [
            " 0",
            " 1025",
            " 999999999999",
            " 99999999999999999999",
            "=-1",
            " x",
        ] {
            let line = format!("{command}{number}");
            let refused = folder.run(&words(&line));
            refused.expect(2);
            assert!(
                refused.stderr.contains("at most 1024"),
                "{line}: {refused:?}"
            );
        }
    }
    folder.run(&words("operators --threads 1024")).expect(0);
    // The largest batch that is allowed is looked at with the key.
    let refused = folder.run(&words("security --vk none --batch 1024"));
    assert!(
        refused.expect(2).stderr.contains("cannot read none"),
        "{refused:?}"
    );
}

#[test]
fn misuse_is_told_in_json() {
    let folder = Folder::new("usage_json");
    for (line, message) in [
        ("--json", "requires a subcommand"),
        ("verify --json", "--proof"),
        ("--json=yes operators", "--json"),
        ("frobnicate --json", "frobnicate"),
        ("inspect --json --frobnicate x", "--frobnicate"),
        ("inspect --json", "<FILE>"),
        ("--json inspect none", "cannot read none"),
        ("--json bench none --batch 999999999999", "at most 1024"),
        ("--json operators --threads 0", "at most 1024"),
        ("--json bench none --profile slow", "slow"),
    ] {
        let misused = folder.run(&words(line));
        let json = misused.expect(2).json();
        let error = json["error"].as_str().expect("a text");
        assert!(error.contains(message), "{line}: {error}");
        assert!(
            !error.starts_with("error:") && !error.contains("Usage:"),
            "{error}"
        );
        assert!(misused.stderr.is_empty(), "{misused:?}");
    }
}

/// Statuses of the tool when nobody can read what it says.
#[cfg(unix)]
#[test]
fn streams_that_cannot_be_written_are_no_panic() {
    use std::fs::File;
    use std::io::pipe;
    use std::process::Stdio;

    let folder = Folder::new("usage_streams");
    let names: &[&str] = if cfg!(target_os = "linux") {
        &["closed", "full"]
    } else {
        &["closed"]
    };
    let stream = |name: &str| match name {
        "full" => Stdio::from(
            File::options()
                .write(true)
                .open("/dev/full")
                .expect("opens"),
        ),
        _ => Stdio::from(pipe().expect("a pipe").1),
    };
    // Without calibration data, there is a warning.
    let setup = ["setup", DENSE, "--out", "k"];
    for name in names {
        for (args, status) in [
            (&setup[..], 0),
            (&["check", "none.onnx", "--input", "x.npy"], 2),
            (&["frobnicate"], 2),
            (&[], 2),
        ] {
            let run = folder.run_with(args, |command| command.stderr(stream(name)));
            assert_eq!(run, Some(status), "{args:?} with {name} stderr");
        }
        for args in [
            &setup[..],
            &["operators", "--json"],
            &["--help"],
            &["--version"],
            &["inspect", "none", "--json"],
        ] {
            let run = folder.run_with(args, |command| command.stdout(stream(name)));
            assert_eq!(run, Some(2), "{args:?} with {name} stdout");
            let run = folder.run_with(args, |c| c.stdout(stream(name)).stderr(stream(name)));
            assert_eq!(run, Some(2), "{args:?} with {name} streams");
        }
    }
}
