//! Where proofs and keys are written, and what is never replaced.

use crate::cases::{DENSE_INPUT, prove, setup, with_keys};
use std::fs::{self, File};
use std::thread;

#[cfg(unix)]
#[test]
fn only_regular_files_are_replaced() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    use std::process::Command;

    let folder = with_keys("out_special");
    let made = Command::new("mkfifo").arg(folder.path("pipe")).status();
    assert!(made.expect("mkfifo starts").success());
    folder.run(&prove(DENSE_INPUT, "p.zkp")).expect(0);
    let proof = fs::read(folder.path("p.zkp")).expect("written");
    for (target, name) in [("nowhere.zkp", "dangling"), ("p.zkp", "linked")] {
        symlink(target, folder.path(name)).expect("a link");
    }
    for (out, what) in [
        ("pipe", "is a device, pipe or socket"),
        ("dangling", "is a link"),
        ("linked", "is a link"),
        ("/dev/null", "is a device, pipe or socket"),
        ("..", "is not the name of a file"),
        ("q.zkp/", "is not the name of a file"),
    ] {
        // Said before anything else is looked at.
        let mut prove = prove("none.npy", out);
        prove[2] = "none.zkpk";
        let refused = folder.run(&prove);
        refused.expect(2);
        assert!(refused.stderr.contains(what), "{out}: {refused:?}");
    }
    let kind = |name: &str| {
        let found = fs::symlink_metadata(folder.path(name));
        found.expect("still there").file_type()
    };
    assert!(kind("pipe").is_fifo());
    assert!(kind("dangling").is_symlink() && !folder.path("nowhere.zkp").exists());
    assert!(kind("linked").is_symlink());
    assert_eq!(fs::read(folder.path("p.zkp")).expect("still there"), proof);

    fs::create_dir(folder.path("linked_keys")).expect("creates");
    symlink("../p.zkp", folder.path("linked_keys/model.zkvk")).expect("a link");
    let mut setup = setup("linked_keys");
    setup[1] = "none.onnx";
    let refused = folder.run(&setup);
    refused.expect(2);
    assert!(
        refused.stderr.contains("model.zkvk is a link"),
        "{refused:?}"
    );
}

#[test]
fn nothing_but_the_output_is_left() {
    let folder = with_keys("out_leftovers");
    // What an older version left when it was stopped.
    folder.write(".q.zkp.1.tmp", "");
    let names = || {
        let entries = fs::read_dir(folder.path(".")).expect("lists");
        let names = entries.map(|entry| entry.expect("lists").file_name());
        let mut names: Vec<_> = names
            .map(|name| name.into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    };
    folder.run(&prove("none.npy", "q.zkp")).expect(2);
    assert_eq!(names(), [".q.zkp.1.tmp", "k"]);
    for _ in 0..2 {
        folder.run(&prove(DENSE_INPUT, "q.zkp")).expect(0);
        assert_eq!(names(), [".q.zkp.1.tmp", "k", "q.zkp"]);
    }
}

#[cfg(unix)]
#[test]
fn files_can_be_read_by_whom_the_mask_lets() {
    use std::os::unix::fs::PermissionsExt;

    let folder = with_keys("out_mode");
    File::create(folder.path("other")).expect("creates");
    let mode = |name: &str| {
        let found = fs::metadata(folder.path(name)).expect("there");
        found.permissions().mode()
    };
    assert_eq!(mode("k/model.zkvk"), mode("other"));
}

/// Two setups into one folder at once leave a pair of keys that belong together.
#[test]
fn keys_of_two_setups_are_not_mixed() {
    let folder = with_keys("out_two_setups");
    for _ in 0..3 {
        thread::scope(|scope| {
            for profile in ["fast", "accurate"] {
                let folder = &folder;
                scope.spawn(move || {
                    let args = [&setup("k")[..], &["--profile", profile]].concat();
                    folder.run(&args).expect(0);
                });
            }
        });
        folder.run(&prove(DENSE_INPUT, "p.zkp")).expect(0);
        let verify = ["verify", "--vk", "k/model.zkvk", "--proof", "p.zkp"];
        folder.run(&verify).expect(0);
    }
}

/// The tool reads no more of a proof than what the decoder accepts.
#[test]
fn proofs_beyond_the_limit_are_not_read() {
    let folder = with_keys("out_huge_proof");
    let limit = zkstrata::FileKind::Proof.limit() as u64;
    folder.write("p.zkp", "zkstr-pf");
    let file = File::options().append(true).open(folder.path("p.zkp"));
    file.expect("opens")
        .set_len(limit + 1)
        .expect("a file of holes");
    let verify = ["verify", "--vk", "k/model.zkvk", "--proof", "p.zkp"];
    for args in [&verify[..], &["inspect", "p.zkp"]] {
        let refused = folder.run(args);
        refused.expect(2);
        let text = format!("larger than the limit of {limit} bytes");
        assert!(refused.stderr.contains(&text), "{refused:?}");
    }
}

/// Any flipped bit of a key is noticed before the key is used.
#[test]
fn damaged_keys_are_refused() {
    let folder = with_keys("out_damaged");
    let flip = |file: &str, at: usize| {
        let mut bytes = fs::read(folder.path(&format!("k/{file}"))).expect("written");
        let at = at * (bytes.len() - 1) / 100;
        bytes[at] ^= 1;
        fs::write(folder.path(file), bytes).expect("writes");
    };
    for at in [10, 50, 100] {
        flip("model.zkpk", at);
        flip("model.zkvk", at);
        let mut prove = prove(DENSE_INPUT, "q.zkp");
        prove[2] = "model.zkpk";
        for args in [
            &prove[..],
            &["inspect", "model.zkpk"],
            &["inspect", "model.zkvk"],
            &["security", "--vk", "model.zkvk"],
            &["verify", "--vk", "model.zkvk", "--proof", "q.zkp"],
        ] {
            let refused = folder.run(args);
            refused.expect(2);
            assert!(
                refused.stderr.contains("the file is damaged"),
                "{refused:?}"
            );
        }
    }
    assert!(!folder.path("q.zkp").exists());
}
