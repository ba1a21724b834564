//! Inputs of all formats: what is read, what is not looked at, and what is refused.

use crate::cases::{DENSE, IDS, IDS_CALIBRATION, LABELS, prove, setup, with_keys};
use crate::tool::Folder;
use std::fs;
use std::io::{Cursor, Write};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A `.npy` file.
fn npy(descr: &str, shape: &str, cells: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).expect("short").to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), cells].concat()
}

/// A compressed `.npz` file.
fn npz(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut file = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        file.start_file(*name, SimpleFileOptions::default())
            .expect("starts");
        file.write_all(bytes).expect("writes");
    }
    file.finish().expect("ends").into_inner()
}

#[test]
fn other_members_are_not_looked_at() {
    let folder = with_keys("arrays_others");
    folder.run(&prove(LABELS, "q.zkp")).expect(0);
    let input = npy("<f4", "(1, 5)", &[0; 20]);
    let members = [
        ("labels.npy", npy("<U8", "(1000000000,)", &[])),
        ("notes.txt", b"no array".to_vec()),
        ("broken.npy", b"no array either".to_vec()),
        ("x.npy", input),
    ];
    fs::write(folder.path("x.npz"), npz(&members)).expect("writes");
    folder.run(&prove("x.npz", "q.zkp")).expect(0);
    fs::write(folder.path("x.npz"), npz(&members[..3])).expect("writes");
    let refused = folder.run(&prove("x.npz", "q.zkp"));
    assert!(
        refused.expect(2).stderr.contains("no array `in_x`"),
        "{refused:?}"
    );
    let text = [("x.npy", npy("<U8", "(1, 5)", &[0; 160]))];
    fs::write(folder.path("x.npz"), npz(&text)).expect("writes");
    let refused = folder.run(&prove("x.npz", "q.zkp"));
    assert!(
        refused.expect(2).stderr.contains("number type `<U8`"),
        "{refused:?}"
    );
}

/// A header is judged before its data: the data of these would end too early.
#[test]
fn bombs_are_refused_by_their_headers() {
    let folder = with_keys("arrays_bombs");
    let zeros = vec![0; 1 << 20];
    let bomb = |shape: &str| npz(&[("x.npy", npy("<f4", shape, &zeros))]);
    for (shape, why) in [
        ("(100000000, 5)", "100000000 samples"),
        ("(5, 100000000)", "shape [5, 100000000]"),
        ("(18446744073709551615, 5)", "18446744073709551615 samples"),
        ("(4294967296, 4294967296, 5)", "shape"),
    ] {
        fs::write(folder.path("b.npz"), bomb(shape)).expect("writes");
        let mut setup = setup("k");
        setup[3] = "b.npz";
        for args in [&prove("b.npz", "q.zkp")[..], &setup] {
            let refused = folder.run(args);
            assert!(refused.expect(2).stderr.contains(why), "{why}: {refused:?}");
        }
    }
    // Of a batch, no more than its samples are read.
    fs::write(folder.path("b.npz"), bomb("(100000000, 5)")).expect("writes");
    let first = [&prove("b.npz", "q.zkp")[..], &["--batch", "2"]].concat();
    folder.run(&first).expect(0);
}

/// The same numbers, in every type that holds them.
#[test]
fn all_number_types_are_read() {
    let folder = with_keys("arrays_types");
    folder.write("x.json", "[[1, 0, 1, 1, 0]]");
    folder.run(&prove("x.json", "p.zkp")).expect(0);
    let one: [(&str, &[u8]); 14] = [
        ("<f2", &[0, 0x3c]),
        (">f2", &[0x3c, 0]),
        ("<f4", &[0, 0, 0x80, 0x3f]),
        ("<f8", &[0, 0, 0, 0, 0, 0, 0xf0, 0x3f]),
        (">f8", &[0x3f, 0xf0, 0, 0, 0, 0, 0, 0]),
        ("|i1", &[1]),
        ("<i2", &[1, 0]),
        ("<i4", &[1, 0, 0, 0]),
        ("<i8", &[1, 0, 0, 0, 0, 0, 0, 0]),
        ("|u1", &[1]),
        ("<u2", &[1, 0]),
        ("<u4", &[1, 0, 0, 0]),
        (">u8", &[0, 0, 0, 0, 0, 0, 0, 1]),
        ("|b1", &[1]),
    ];
    let verify = [
        "verify",
        "--vk",
        "k/model.zkvk",
        "--proof",
        "p.zkp",
        "--input",
    ];
    for (descr, one) in one {
        let zero = vec![0; one.len()];
        let cells = [one, &zero, one, one, &zero].concat();
        let array = npy(descr, "(1, 5)", &cells);
        fs::write(folder.path("x.npz"), npz(&[("x.npy", array.clone())])).expect("writes");
        fs::write(folder.path("x.npy"), array).expect("writes");
        for file in ["x.npz", "x.npy"] {
            folder.run(&[&verify[..], &[file]].concat()).expect(0);
        }
        // As references, too.
        let check = ["check", DENSE, "--input", "x.npy", "--expected", "y.npy"];
        let three = npy(descr, "(1, 3)", &[one, one, one].concat());
        fs::write(folder.path("y.npy"), three).expect("writes");
        let differs = folder.run(&check);
        assert!(
            differs.expect(1).stdout.contains("REJECTED"),
            "{descr}: {differs:?}"
        );
    }
    // 2^24 + 1 is no number of single precision.
    let large: Vec<u8> = [(1_i64 << 24) + 1, 0, 0, 0, 0]
        .iter()
        .flat_map(|x| x.to_le_bytes())
        .collect();
    fs::write(folder.path("x.npy"), npy("<i8", "(1, 5)", &large)).expect("writes");
    let refused = folder.run(&[&verify[..], &["x.npy"]].concat());
    assert!(
        refused.expect(2).stderr.contains("16777217 is not exact"),
        "{refused:?}"
    );
}

#[test]
fn texts_of_python_and_windows() {
    let folder = with_keys("arrays_texts");
    for (text, why) in [
        ("[[1, 2, NaN, 4, 5]]", "NaN at line 1"),
        ("[[1, 2, 3,\n -Infinity, 5]]", "Infinity at line 2"),
        ("", "the file is empty"),
    ] {
        folder.write("x.json", text);
        let refused = folder.run(&prove("x.json", "q.zkp"));
        assert!(refused.expect(2).stderr.contains(why), "{why}: {refused:?}");
    }
    folder.write("x.json", "\u{feff}[[1, 2, 3, 4, 5]]");
    folder.run(&prove("x.json", "q.zkp")).expect(0);
}

/// Indices are neither rounded nor clamped.
#[test]
fn ids_are_taken_as_they_are() {
    let folder = Folder::new("arrays_ids");
    let mut setup = setup("k");
    (setup[1], setup[3]) = (IDS, IDS_CALIBRATION);
    folder.run(&setup).expect(0);
    folder.write("x.json", "[[7, 1, 2]]");
    folder.run(&prove("x.json", "p.zkp")).expect(0);
    let verify = [
        "verify",
        "--vk",
        "k/model.zkvk",
        "--proof",
        "p.zkp",
        "--input",
        "x.json",
    ];
    folder.run(&verify).expect(0);
    for (ids, why) in [
        (
            "[[7.25, 1, 2]]",
            "input `x`: cell 0 is 7.25, but this input takes integers",
        ),
        (
            "[[7, 1, 5000]]",
            "input `x`: cell 2 is 5000, but the quantised model takes",
        ),
        (
            "[[16777217, 1, 2]]",
            "cell 0: the integer 16777217 is not exact",
        ),
        ("[[7, 1, 1e30]]", "not exact"),
    ] {
        folder.write("x.json", ids);
        for args in [&prove("x.json", "q.zkp")[..], &verify] {
            let refused = folder.run(args);
            assert!(refused.expect(2).stderr.contains(why), "{why}: {refused:?}");
        }
    }
    // Without calibration data and inputs, made-up ones are integers.
    folder.run(&["bench", IDS, "--runs", "1"]).expect(0);
    let bench = ["bench", IDS, "--runs", "1", "--calibration"];
    folder
        .run(&[&bench[..], &[IDS_CALIBRATION]].concat())
        .expect(0);
}
