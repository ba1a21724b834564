//! Models whose weights lie in other files, reached by links.

use crate::cases::EXTERNAL;
use crate::tool::Folder;
use std::fs;
use std::os::unix::fs::symlink;

/// Model and weights as links into one folder, as in the cache of Hugging Face.
#[test]
fn linked_weights_are_read_beside_the_linked_model_only() {
    let folder = Folder::new("links");
    for name in ["snap", "blobs", "secrets"] {
        fs::create_dir(folder.path(name)).expect("creates");
    }
    fs::copy(EXTERNAL, folder.path("blobs/aa")).expect("copies");
    fs::write(folder.path("blobs/bb"), [0; 6400]).expect("writes");
    fs::write(folder.path("secrets/bb"), [0; 6400]).expect("writes");
    symlink("../blobs/aa", folder.path("snap/model.onnx")).expect("a link");
    symlink("../blobs/bb", folder.path("snap/weights.bin")).expect("a link");
    let inspect = ["inspect", "snap/model.onnx", "--json"];
    let json = folder.run(&inspect).expect(0).json();
    assert_eq!(json["supported"], true, "{json}");

    fs::remove_file(folder.path("snap/weights.bin")).expect("removes");
    symlink("../secrets/bb", folder.path("snap/weights.bin")).expect("a link");
    let json = folder.run(&inspect).expect(0).json();
    assert_eq!(json["supported"], false, "{json}");
    let setup = folder.run(&["setup", "snap/model.onnx", "--out", "k"]);
    let remedy = "copy the model and its data into one directory";
    assert!(setup.expect(2).stderr.contains(remedy), "{setup:?}");
}
