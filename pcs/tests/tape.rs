//! The tape: what one end sends the other receives, both draw the same challenges, and nothing
//! on the wire can be changed, cut or extended without being noticed.
#![allow(clippy::unwrap_used)]

use zkstrata_mle::{E, PrimeCharacteristicRing};
use zkstrata_pcs::{Channel, Counting, Counts, ProverTape, TapeError, VerifierTape};

const STATEMENT: [u8; 32] = [7; 32];

/// A tape with one message of each kind, and the challenge after them.
fn sent() -> (Vec<u8>, E) {
    let mut tape = ProverTape::new(&STATEMENT);
    tape.send("scalars", &[E::from_u64(3), E::from_u64(4)]);
    tape.send_bytes("bytes", b"a commitment");
    tape.work("work", 5);
    tape.work("no work", 0);
    let challenge = tape.sample();
    assert_eq!(
        tape.messages()
            .iter()
            .map(|m| (m.label, m.range.clone()))
            .collect::<Vec<_>>(),
        [("scalars", 0..32), ("bytes", 32..44), ("work", 44..52)]
    );
    (tape.finish(), challenge)
}

fn received(statement: &[u8; 32], bytes: &[u8], labels: [&'static str; 2]) -> Result<E, TapeError> {
    let mut tape = VerifierTape::new(statement, bytes);
    tape.recv(labels[0], 2)?;
    tape.recv_bytes(labels[1], 12)?;
    tape.check_work("work", 5)?;
    tape.check_work("no work", 0)?;
    let challenge = tape.sample();
    tape.finish()?;
    Ok(challenge)
}

const LABELS: [&str; 2] = ["scalars", "bytes"];

#[test]
fn both_ends_draw_the_same_challenge() {
    let (bytes, challenge) = sent();
    assert_eq!(received(&STATEMENT, &bytes, LABELS), Ok(challenge));
}

#[test]
fn every_byte_reaches_the_challenge() {
    let (bytes, challenge) = sent();
    for k in 0..bytes.len() {
        let mut other = bytes.clone();
        other[k] ^= 1;
        assert_ne!(
            received(&STATEMENT, &other, LABELS),
            Ok(challenge),
            "byte {k}"
        );
    }
}

#[test]
fn statement_and_labels_reach_the_challenge() {
    let (bytes, challenge) = sent();
    assert_ne!(received(&[8; 32], &bytes, LABELS), Ok(challenge));
    assert_ne!(
        received(&STATEMENT, &bytes, ["scalar", "bytes"]),
        Ok(challenge)
    );
    assert_ne!(
        received(&STATEMENT, &bytes, ["scalars", "byte"]),
        Ok(challenge)
    );
}

#[test]
fn boundaries_between_messages_reach_the_challenge() {
    let draw = |parts: &[&[E]]| {
        let mut tape = ProverTape::new(&STATEMENT);
        for part in parts {
            tape.send("m", part);
        }
        tape.sample()
    };
    let (a, b) = (E::from_u64(1), E::from_u64(2));
    assert_ne!(draw(&[&[a], &[b]]), draw(&[&[a, b]]));
    assert_ne!(draw(&[&[a, b], &[]]), draw(&[&[a, b]]));
}

#[test]
fn every_prefix_is_truncated() {
    let (bytes, _) = sent();
    for len in 0..bytes.len() {
        assert!(matches!(
            received(&STATEMENT, &bytes[..len], LABELS),
            Err(TapeError::Truncated { .. } | TapeError::Rejected { check: "work" })
        ));
    }
}

#[test]
fn trailing_bytes_are_counted() {
    let (mut bytes, _) = sent();
    bytes.extend([0; 3]);
    assert_eq!(
        received(&STATEMENT, &bytes, LABELS),
        Err(TapeError::TrailingBytes { bytes: 3 })
    );
}

#[test]
fn elements_are_canonical() {
    let (mut bytes, _) = sent();
    bytes[..8].copy_from_slice(&0xffff_ffff_0000_0001u64.to_le_bytes());
    assert_eq!(
        received(&STATEMENT, &bytes, LABELS),
        Err(TapeError::NonCanonical { label: "scalars" })
    );
}

#[test]
fn a_length_beyond_the_tape_allocates_nothing() {
    let mut tape = VerifierTape::new(&STATEMENT, &[0; 64]);
    assert_eq!(
        tape.recv("huge", usize::MAX / 32),
        Err(TapeError::Truncated { label: "huge" })
    );
    assert_eq!(
        tape.recv_bytes("huge", usize::MAX),
        Err(TapeError::Truncated { label: "huge" })
    );
}

#[test]
fn checks_name_themselves() {
    let mut tape = VerifierTape::new(&STATEMENT, &[]);
    assert_eq!(
        tape.assert_zero(E::ONE, "zero"),
        Err(TapeError::Rejected { check: "zero" })
    );
    assert_eq!(
        tape.assert_nonzero(E::ZERO, "nonzero"),
        Err(TapeError::Rejected { check: "nonzero" })
    );
    assert_eq!(tape.assert_zero(E::ZERO, "zero"), Ok(()));
    assert_eq!(tape.assert_nonzero(E::ONE, "nonzero"), Ok(()));
}

#[test]
fn a_verification_is_counted() {
    let mut tape = ProverTape::new(&STATEMENT);
    tape.send("a", &[E::from_u64(2), E::from_u64(3), E::from_u64(6)]);
    tape.send_bytes("b", &[1, 2]);
    let expected = tape.sample();
    tape.work("w", 3);
    let bytes = tape.finish();

    let mut channel = Counting::new(VerifierTape::new(&STATEMENT, &bytes));
    let values = channel.recv("a", 3).unwrap();
    channel.recv_bytes("b", 2).unwrap();
    assert_eq!(channel.sample(), expected);
    let product = channel.mul(&values[0], &values[1]);
    let one = channel.constant(E::ONE);
    channel
        .assert_zero(product.clone() - values[2].clone(), "product")
        .unwrap();
    channel
        .assert_nonzero(product * E::TWO + one, "odd")
        .unwrap();
    channel.check_work("w", 3).unwrap();
    assert_eq!(
        channel.counts(),
        Counts {
            scalars: 3,
            bytes: 2,
            challenges: 1,
            constants: 1,
            additions: 2,
            public_multiplications: 1,
            multiplications: 1,
            assertions: 1,
            inverses: 1,
            works: 1,
        }
    );
    channel.into_inner().finish().unwrap();
}
