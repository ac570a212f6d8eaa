//! What fuzzing found once, and the inputs it begins with, tried by every run of the tests.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are not recognised as tests"
)]

use std::{fs, path::Path};

use highwater_foreign::{TARGETS, seeds, try_out};

/// Tries every file in the folders of the targets; how many there were.
fn try_all(folder: &Path) -> usize {
    let mut tried = 0;
    for target in TARGETS {
        let Ok(files) = fs::read_dir(folder.join(target.name)) else {
            continue;
        };
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            try_out(target.name, &fs::read(&path).unwrap());
            tried += 1;
        }
    }
    tried
}

#[test]
fn what_was_found_once_is_mended() {
    let findings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/findings");
    assert!(try_all(&findings) > 0);
    for folder in fs::read_dir(&findings).unwrap() {
        let name = folder.unwrap().file_name();
        let is_known = TARGETS.iter().any(|target| *target.name == *name);
        assert!(is_known, "{} is no target", name.display());
    }
}

#[test]
fn every_target_has_a_binary_and_inputs_to_begin_with_that_hold() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    seeds::make(folder.path()).unwrap();
    for target in TARGETS {
        let name = target.name;
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let seeds = fs::read_dir(folder.path().join(name));
        assert!(seeds.unwrap().count() > 0, "{name}");
    }
    try_all(folder.path());
}

#[test]
fn what_is_no_input_of_any_target_is_refused_by_each() {
    for target in TARGETS {
        for bytes in [&b""[..], b"\n%%\n", &[0xff; 64], &[0; 4096]] {
            try_out(target.name, bytes);
        }
    }
}
