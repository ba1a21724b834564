//! Real proofs, damaged: every one is refused, with an error and not with a panic.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Case, Proven, Rng, accepts, table, verify};
use zkstrata_pcs::{Place, Whir};

/// A key in two parts and a witness that ends in the clear.
fn cases() -> Vec<Case> {
    let mut rng = Rng(11);
    vec![
        Case::random(Place::Key, &[table(14, 2), table(9, 1)], 2, &mut rng),
        Case::random(
            Place::Proof,
            &[table(13, 2), table(4, 2), table(0, 1)],
            2,
            &mut rng,
        ),
    ]
}

fn check(cases: &[Case], proven: &Proven<Whir>, bytes: &[u8]) {
    match verify::<Whir>(cases, &proven.keys, bytes) {
        Err(_) => {}
        // A changed byte that no check concerns, a column without claims, changes the transcript.
        Ok(after) => assert_ne!(after, proven.after),
    }
}

#[test]
fn changed_bytes() {
    let cases = cases();
    let proven = accepts::<Whir>(&cases);
    let mut rng = Rng(12);
    let mut positions: Vec<usize> = (0..400).map(|_| rng.below(proven.bytes.len())).collect();
    // The beginning and the end of every message, where lengths and structure are.
    for message in &proven.messages {
        let range = message.range.clone();
        positions.extend(range.clone().take(40));
        positions.extend(range.rev().take(40));
    }
    for position in positions {
        let mut bytes = proven.bytes.clone();
        let change = (rng.next() % 255) as u8 + 1;
        bytes[position] ^= change;
        check(&cases, &proven, &bytes);
    }
}

#[test]
fn changed_words() {
    // Extreme lengths and values at every alignment of a stretch of the proof.
    let cases = cases();
    let proven = accepts::<Whir>(&cases);
    let mut rng = Rng(13);
    for k in 0..300 {
        let at = rng.below(proven.bytes.len() - 8);
        let mut bytes = proven.bytes.clone();
        let word = [u64::MAX, 0, 1 << 32, 0xffff_ffff_0000_0001][k % 4];
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        if bytes != proven.bytes {
            check(&cases, &proven, &bytes);
        }
    }
}

#[test]
fn cut_and_extended() {
    let cases = cases();
    let proven = accepts::<Whir>(&cases);
    let mut rng = Rng(14);
    for _ in 0..200 {
        let len = rng.below(proven.bytes.len());
        assert!(verify::<Whir>(&cases, &proven.keys, &proven.bytes[..len]).is_err());
    }
    for extra in [1, 4, 16, 1000] {
        let bytes = [&proven.bytes[..], &vec![0; extra]].concat();
        assert!(verify::<Whir>(&cases, &proven.keys, &bytes).is_err());
    }
}

#[test]
fn exchanged_stretches() {
    let cases = cases();
    let proven = accepts::<Whir>(&cases);
    let mut rng = Rng(15);
    for _ in 0..200 {
        let mut bytes = proven.bytes.clone();
        let len = 1 + rng.below(300);
        let (a, b) = (rng.below(bytes.len() - len), rng.below(bytes.len() - len));
        let stretch = bytes[a..a + len].to_vec();
        bytes[b..b + len].copy_from_slice(&stretch);
        if bytes != proven.bytes {
            check(&cases, &proven, &bytes);
        }
    }
}
