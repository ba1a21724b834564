//! Proofs of every form, damaged: each is refused, with an error and not with a panic.

use super::attacks::all_cases;
use super::*;
use crate::transcript::TapeError;

/// Refuses the honest proof of each form with each of the changes.
fn refuses(seed: u64, changes: usize, change: impl Fn(usize, &Proven, &mut Rng) -> Vec<u8>) {
    let mut rng = Rng(seed);
    for case in all_cases() {
        let honest = prove(&case).expect("a true relation");
        for k in 0..changes {
            let bytes = change(k, &honest, &mut rng);
            if bytes != honest.bytes {
                let verdict = verify(&case, &honest.commitments, &bytes);
                assert!(verdict.is_err(), "change {k} of {} bytes", bytes.len());
            }
        }
    }
}

/// A bit of every hundredth of a proof, and of bytes that are drawn at random.
#[test]
fn altered_bytes() {
    refuses(15, 300, |k, honest, rng| {
        let mut bytes = honest.bytes.clone();
        let at = if k < 100 {
            k * bytes.len() / 100
        } else {
            rng.below(bytes.len())
        };
        bytes[at] ^= 1 << rng.below(8);
        bytes
    });
}

/// The beginning and the end of every message, where lengths and structure are.
#[test]
fn altered_ends_of_messages() {
    let ends = |honest: &Proven| -> Vec<usize> {
        let ends = honest.messages.iter().flat_map(|message| {
            let range = message.range.clone();
            range.clone().take(12).chain(range.rev().take(12))
        });
        ends.collect()
    };
    // No form has as many messages.
    refuses(17, 1500, |k, honest, rng| {
        let mut bytes = honest.bytes.clone();
        if let Some(&at) = ends(honest).get(k) {
            bytes[at] ^= 1 + rng.below(255) as u8;
        }
        bytes
    });
}

/// Extreme lengths and values at every alignment of a stretch of the proof.
#[test]
fn altered_words() {
    refuses(18, 200, |k, honest, rng| {
        let mut bytes = honest.bytes.clone();
        let at = rng.below(bytes.len() - 8);
        let word = [u64::MAX, 0, 1 << 32, 0xffff_ffff_0000_0001][k % 4];
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        bytes
    });
}

#[test]
fn exchanged_stretches() {
    refuses(19, 200, |_, honest, rng| {
        let mut bytes = honest.bytes.clone();
        let len = 1 + rng.below(300);
        let (a, b) = (rng.below(bytes.len() - len), rng.below(bytes.len() - len));
        bytes.copy_within(a..a + len, b);
        bytes
    });
}

#[test]
fn cut_and_extended() {
    refuses(20, 100, |k, honest, rng| {
        let len = [0, 24, 25, 100, honest.bytes.len() - 1].get(k).copied();
        let len = len.unwrap_or_else(|| rng.below(honest.bytes.len()));
        honest.bytes[..len].to_vec()
    });
    for case in all_cases() {
        let honest = prove(&case).expect("a true relation");
        for extra in [1, 4, 16, 1000] {
            let longer = [&honest.bytes[..], &vec![0; extra]].concat();
            let trailing = verify(&case, &honest.commitments, &longer);
            let expected = TapeError::TrailingBytes { bytes: extra };
            assert_eq!(trailing, Err(expected.into()));
        }
    }
}

/// Bytes of no meaning, and those of a proof in another order.
#[test]
fn any_bytes_are_refused_without_a_panic() {
    refuses(16, 60, |k, honest, rng| {
        let len = rng.below(2 * honest.bytes.len());
        match k % 3 {
            0 => (0..len).map(|_| rng.next() as u8).collect(),
            1 => vec![0; len],
            _ => {
                let mut bytes = honest.bytes.clone();
                bytes.rotate_left(1 + rng.below(honest.bytes.len() - 1));
                bytes
            }
        }
    });
}
