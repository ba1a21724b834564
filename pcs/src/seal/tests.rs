//! Sealed proofs of a toy protocol: whoever knows a witness proves, nobody else does, and a tape
//! says nothing about which witness it was.

mod toy;

use super::{
    ANSWERS, Book, ENDS, Known, Pads, Replay, SUM, SealError, SealPlan, SealedTape, Settled, TRIPLE,
};
use crate::channel::Channel;
use crate::counting::Counts;
use crate::transcript::{ProverTape, TapeError, VerifierTape};
use zkstrata_mle::{E, F, Field, PrimeCharacteristicRing, PrimeField64, selector};

use toy::*;

#[test]
fn honest_proofs_are_accepted() {
    for seed in 0..20 {
        let (toy, pads) = (Toy::new(seed), pads(1000 + seed));
        let values = values_of(&pads);
        let (bytes, settled) = prove(&toy, pads);
        let relation = verify(toy.y, &bytes).expect("an honest proof");
        assert_eq!(relation.1, settled, "both ends have one relation");
        assert!(holds(&relation, &toy, &values));
        // Of the columns of another run it does not hold.
        assert!(!holds(&relation, &toy.another(77), &values));
    }
}

#[test]
fn the_dry_run_tells_the_number_of_pads() {
    let counts = counts();
    assert_eq!((counts.multiplications, counts.inverses), (5, 2));
    let plan = SealPlan::new(&counts);
    // Eight rows.
    assert_eq!((plan.rows(), plan.vars()), (8, 3));
    assert_eq!(plan.pads(), counts.scalars + 5 + 2 + 1 + 3 * 3 + 3);
    let (bytes, settled) = prove(&Toy::new(5), pads(6));
    assert_eq!(scalars(&bytes).len(), plan.pads() - TRIPLE + 2);
    assert_eq!(settled.pads.len(), plan.pads());
    let bits = plan.soundness(3, counts.assertions).map(|term| term.bits);
    let [products, checks] = bits.map(|bits| 2f64.powf(127.999_999 - bits).round());
    assert_eq!((products, checks), (13.0, 3.0 + 5.0 + 3.0 - 1.0));
}

#[test]
fn a_false_statement_is_rejected() {
    let mut toy = Toy::new(1);
    toy.y += E::ONE;
    let pads = pads(2);
    let values = values_of(&pads);
    let (bytes, _) = prove(&toy, pads);
    let relation = verify(toy.y, &bytes).expect("nothing but the relation is wrong");
    assert!(!holds(&relation, &toy, &values));
}

#[test]
fn every_altered_scalar_is_rejected() {
    let (toy, pads) = (Toy::new(1), pads(2));
    let values = values_of(&pads);
    let (bytes, _) = prove(&toy, pads);
    assert!(accepts(&toy, &bytes, &values));
    for k in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[k] ^= 1;
        assert!(!accepts(&toy, &bytes, &values), "byte {k}");
    }
    let longer = [&bytes[..], &[0]].concat();
    for bytes in [&bytes[1..], &bytes[..bytes.len() - 1], &longer] {
        assert!(!accepts(&toy, bytes, &values));
    }
}

/// Challenges that are fixed let through what is altered after the last of them only: so it is the
/// relation that rejects, and not that other challenges were drawn.
#[test]
fn every_altered_scalar_makes_the_relation_false() {
    let (toy, pads) = (Toy::new(1), pads(2));
    let values = values_of(&pads);
    let proven = prove_with(&toy, pads, Some(frozen()), |_| ());
    let (bytes, _) = proven.expect("an honest prover proves");
    let work = SCALAR * (plan().messages() - 1);
    for i in (0..bytes.len()).step_by(8).filter(|&i| i != work) {
        let mut bytes = bytes.clone();
        bytes[i] ^= 1;
        let relation = verify_with(plan(), toy.y, &bytes, Some(frozen()));
        let relation = relation.expect("a tape of the right form");
        assert!(!holds(&relation, &toy, &values), "byte {i}");
    }
}

#[test]
fn a_tape_is_about_the_pads_that_were_committed_to() {
    let (toy, pads) = (Toy::new(1), pads(2));
    let values = values_of(&pads);
    let (bytes, _) = prove(&toy, pads);
    let relation = verify(toy.y, &bytes).expect("an honest proof");
    // Every pad counts, the triple's as well.
    for i in 0..values.len() {
        let mut other = values.clone();
        other[i] += E::ONE;
        assert!(!holds(&relation, &toy, &other), "pad {i}");
        // The prover used a pad twice, and none of the next one.
        let mut twice = values.clone();
        twice[i] = values[(i + 1) % values.len()];
        assert!(!holds(&relation, &toy, &twice), "pad {i}");
    }
    for by in [1, values.len() - 1] {
        let mut shifted = values.clone();
        shifted.rotate_left(by);
        assert!(!holds(&relation, &toy, &shifted), "by {by}");
    }
    // Cells are pads in this order.
    let mut swapped = values;
    swapped[0] = element(to_words(swapped[0])[1], to_words(swapped[0])[0]);
    assert!(!holds(&relation, &toy, &swapped));
}

#[test]
fn false_products_and_inverses_are_rejected() {
    let toy = Toy::new(1);
    let values = values_of(&pads(2));
    for j in 0..plan().answers() {
        // Another answer, another cell of its row, both, and rows that are true of other operands.
        for lie in 0..7 {
            let proven = prove_with(&toy, pads(2), None, |values| {
                let (answer, row) = (&mut values.answers[j], &mut values.rows[j]);
                let is_inverse = *answer == row[1];
                match lie {
                    0 => *answer += E::ONE,
                    1..=3 => row[lie - 1] += E::ONE,
                    4 => {
                        *answer += E::ONE;
                        row[if is_inverse { 1 } else { 2 }] += E::ONE;
                    }
                    _ if is_inverse => {
                        row[0] += E::ONE;
                        row[1] = row[0].inverse();
                        *answer = row[1];
                    }
                    _ => {
                        row[lie - 5] += E::ONE;
                        row[2] = row[0] * row[1];
                        *answer = row[2];
                    }
                }
            });
            let (bytes, _) = proven.expect("a tape of the right form");
            let relation = verify(toy.y, &bytes).expect("a tape of the right form");
            assert!(!holds(&relation, &toy, &values), "answer {j}, lie {lie}");
        }
    }
}

#[test]
fn a_false_triple_is_rejected() {
    let toy = Toy::new(1);
    let mut values = values_of(&pads(2));
    *values.last_mut().expect("a triple") += E::ONE;
    let (bytes, _) = prove(&toy, pads_of(plan(), &values));
    let relation = verify(toy.y, &bytes).expect("a tape of the right form");
    assert!(!holds(&relation, &toy, &values));
}

/// A replay that says of zero that it has this inverse.
struct Zero<'r, 'b>(Replay<'r, 'b>, E);

impl<'b> Channel for Zero<'_, 'b> {
    type S = Known<'b>;

    fn recv(&mut self, label: &'static str, n: usize) -> Result<Vec<Known<'b>>, TapeError> {
        self.0.recv(label, n)
    }

    fn recv_bytes(&mut self, label: &'static str, len: usize) -> Result<Vec<u8>, TapeError> {
        self.0.recv_bytes(label, len)
    }

    fn constant(&mut self, value: E) -> Known<'b> {
        self.0.constant(value)
    }

    fn mul(&mut self, a: &Known<'b>, b: &Known<'b>) -> Known<'b> {
        self.0.mul(a, b)
    }

    fn assert_zero(&mut self, value: Known<'b>, what: &'static str) -> Result<(), TapeError> {
        self.0.assert_zero(value, what)
    }

    fn assert_nonzero(&mut self, value: Known<'b>, what: &'static str) -> Result<(), TapeError> {
        let Self(replay, inverse) = self;
        if value.value != E::ZERO {
            return replay.assert_nonzero(value, what);
        }
        replay.values.answers.push(*inverse);
        let zero = inverse.try_inverse().unwrap_or(E::ZERO);
        replay.values.rows.push([zero, *inverse, E::ONE]);
        replay.sealed.assert_nonzero(value.sealed(), what)
    }

    fn sample(&mut self) -> E {
        self.0.sample()
    }

    fn check_work(&mut self, label: &'static str, bits: usize) -> Result<(), TapeError> {
        self.0.check_work(label, bits)
    }
}

#[test]
fn zero_is_not_proven_to_be_something_else() {
    let mut toy = Toy::new(1);
    toy.f.fill(F::ZERO);
    toy.y = E::ZERO;
    let values = values_of(&pads(2));
    let refused = prove_with(&toy, pads(2), None, |_| ()).expect_err("zero has no inverse");
    let check = "f is zero";
    assert_eq!(refused, TapeError::Rejected { check }.into());
    for inverse in [E::ZERO, E::ONE, E::from_u64(12345)] {
        let mut tape = ProverTape::new(&STATEMENT);
        let book = Book::new(plan());
        tape.seal(pads(2));
        send(&toy, &mut tape);
        let mut replay = Zero(Replay::new(&tape, &book), inverse);
        let _ = receive(toy.y, &mut replay).expect("a tape of the right form");
        let products = replay.0.finish().expect("all is read");
        let _ = products.prove(&mut tape).expect("a tape of the right form");
        let bytes = tape.finish();
        let relation = verify(toy.y, &bytes).expect("a tape of the right form");
        assert!(!holds(&relation, &toy, &values));
    }
}

/// Perfect hiding: whatever witness a tape was made with, for fixed challenges another witness of
/// the same statement has pads with which it gives the same bytes.
#[test]
fn a_tape_is_explained_by_any_witness() {
    for seed in 0..20 {
        let toy = Toy::new(seed);
        let other = toy.another(seed + 500);
        let prove = |toy: &Toy, values: &[E]| {
            let pads = pads_of(plan(), values);
            let proven = prove_with(toy, pads, Some(frozen()), |_| ());
            scalars(&proven.expect("an honest prover proves").0)
        };
        let goal = prove(&toy, &values_of(&pads(seed)));
        // What is sent changes with a pad by as much as the pad, once what it depends on is right:
        // first messages and answers, and the triple by what is clear; then the rest.
        let mut values = values_of(&pads(seed + 300));
        let (first, n) = (plan().messages() + plan().answers(), plan().sent());
        let sent = prove(&other, &values);
        for i in 0..first {
            values[i] += goal[i] - sent[i];
        }
        let end = last_weight();
        for k in 0..2 {
            values[n + k] += (goal[n + k] - sent[n + k]) / end;
        }
        values[n + 2] = values[n] * values[n + 1];
        let sent = prove(&other, &values);
        for i in first..n {
            values[i] += goal[i] - sent[i];
        }
        let pads = pads_of(plan(), &values);
        let proven = prove_with(&other, pads, Some(frozen()), |_| ());
        let (bytes, _) = proven.expect("an honest prover proves");
        assert_eq!(scalars(&bytes), goal, "seed {seed}");
        let relation = verify_with(plan(), toy.y, &bytes, Some(frozen()));
        let relation = relation.expect("an honest proof");
        assert!(holds(&relation, &other, &values), "seed {seed}");
        assert!(!holds(&relation, &toy, &values), "seed {seed}");
    }
}

/// Where the rounds of the sumcheck of products are among the challenges.
fn rounds() -> std::ops::Range<usize> {
    let first = counts().challenges + plan().vars() + 1;
    first..first + plan().vars()
}

/// `eq(s, R - 1)` for the fixed challenges.
fn last_weight() -> E {
    selector(&frozen()[rounds()], plan().rows() - 1)
}

#[test]
fn challenges_that_hide_nothing_end_a_proof() {
    let mut challenges = frozen();
    // The last row is the last of eight: `eq(s, 7)` is the product of the coordinates.
    challenges[rounds().end - 1] = E::ZERO;
    let proven = prove_with(&Toy::new(1), pads(2), Some(challenges), |_| ());
    assert_eq!(proven.expect_err("an end"), SealError::Challenge);
}

/// Over many proofs of one run with the same challenges, every scalar takes all values.
#[test]
fn scalars_are_uniform() {
    const PROOFS: usize = 1024;
    let toy = Toy::new(1);
    let tapes: Vec<Vec<E>> = (0..PROOFS)
        .map(|k| {
            let proven = prove_with(&toy, pads(k as u64), Some(frozen()), |_| ());
            scalars(&proven.expect("an honest prover proves").0)
        })
        .collect();
    for i in 0..tapes[0].len() {
        for (word, shift) in [(0, 0), (0, 60), (1, 0), (1, 60)] {
            let mut seen = [0usize; 8];
            for tape in &tapes {
                let value = to_words(tape[i])[word].as_canonical_u64();
                seen[(value >> shift & 7) as usize] += 1;
            }
            // Six standard deviations of a bin of 128.
            let uniform = seen.iter().all(|&n| n.abs_diff(PROOFS / 8) < 64);
            assert!(uniform, "scalar {i}, word {word}, bits {shift}: {seen:?}");
        }
    }
}

/// Another number of anything than planned is an error at both ends, and what has no pad is not
/// sent.
#[test]
fn another_number_than_planned_is_an_error() {
    let (toy, honest) = (Toy::new(1), counts());
    let (bytes, _) = prove(&toy, pads(2));
    for (k, (at_prover, at_verifier)) in [
        ("pads", "messages"),
        ("pads", "messages"),
        ("answers", "answers"),
        ("answers", "answers"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut counts = honest;
        match k {
            0 => counts.scalars -= 1,
            1 => counts.scalars += 1,
            2 => counts.multiplications -= 1,
            _ => counts.inverses += 1,
        }
        let plan = SealPlan::new(&counts);
        let mut stream = Stream(1);
        let pads = Pads::new(plan, || stream.element());
        let fault = |error: SealError| match error {
            SealError::Plan { what, .. } => what,
            other => panic!("{other}"),
        };
        let proven = prove_with(&toy, pads, None, |_| ());
        assert_eq!(fault(proven.expect_err("not as planned")), at_prover, "{k}");
        let verified = verify_with(plan, toy.y, &bytes, None);
        assert_eq!(
            fault(verified.expect_err("not as planned")),
            at_verifier,
            "{k}"
        );
    }

    let none = SealPlan::new(&Counts::default());
    let mut tape = ProverTape::new(&STATEMENT);
    tape.seal(Pads::new(none, || E::TWO));
    tape.send("secret", &[E::from_u64(5), E::from_u64(6)]);
    assert_eq!(
        tape.unseal(),
        Err(SealError::Plan {
            what: "pads",
            planned: 1,
            found: 2
        })
    );
    assert_eq!(scalar(&tape.finish(), 1), E::ZERO);
}

/// A verifier that does not read what was sent, or draws less, is another one.
#[test]
fn a_replay_reads_and_draws_everything() {
    let (toy, book) = (Toy::new(1), Book::new(plan()));
    let mut tape = ProverTape::new(&STATEMENT);
    tape.seal(pads(2));
    send(&toy, &mut tape);
    let finish = |tape: &ProverTape| {
        let mut replay = Replay::new(tape, &book);
        let _ = receive(toy.y, &mut replay).expect("a tape of the right form");
        replay.finish().map(|_| ())
    };
    finish(&tape).expect("all is read");
    let _ = tape.sample();
    let (what, planned, found) = ("challenges", 0, 1);
    let drawn = SealError::Plan {
        what,
        planned,
        found,
    };
    assert_eq!(finish(&tape), Err(drawn));
    tape.send_bytes("bytes", &[1, 2]);
    assert_eq!(
        finish(&tape),
        Err(TapeError::TrailingBytes { bytes: 2 }.into())
    );
}

/// What the book says of a form is what the prover knows of it, whatever was done with it.
#[test]
fn a_book_and_the_values_agree() {
    let mut stream = Stream(8);
    let (n, products) = (40, 10);
    let counts = Counts {
        scalars: n,
        multiplications: products,
        ..Counts::default()
    };
    let plan = SealPlan::new(&counts);
    let pads = Pads::new(plan, || stream.element());
    let values = values_of(&pads);
    let mut tape = ProverTape::new(&STATEMENT);
    tape.seal(pads);
    let mut stream = Stream(9);
    let messages = stream.elements(n);
    tape.send("messages", &messages);
    let book = Book::new(plan);
    let mut replay = Replay::new(&tape, &book);
    let mut known = replay.recv("messages", n).expect("messages");
    for (known, &message) in known.iter().zip(&messages) {
        assert_eq!(known.value, message);
    }
    let mut pick = |n: usize| stream.word().as_canonical_u64() as usize % n;
    for step in 0..500 {
        let (a, b) = (known[pick(known.len())], known[pick(known.len())]);
        let factor = E::from_u64(pick(5) as u64);
        let new = match step % 5 {
            0 => a + b,
            1 => a - b,
            2 => a * factor,
            3 if step < 5 * products => replay.mul(&a, &b),
            _ => a + replay.constant(factor),
        };
        known.push(new);
    }
    let mut unknowns = values.clone();
    unknowns[..n].copy_from_slice(&messages);
    unknowns[n..n + products].copy_from_slice(&replay.values.answers);
    let agree = |forms: &[Known<'_>]| {
        let weights = E::TWO.powers();
        let weighted = forms.iter().zip(weights.clone());
        let weighted = weighted.map(|(known, weight)| (known.sealed(), weight));
        let (constant, coefficients) = book.combine(weighted);
        let terms = coefficients.iter().zip(&unknowns).map(|(&w, &x)| w * x);
        let values = forms
            .iter()
            .zip(weights)
            .map(|(known, weight)| known.value * weight);
        assert_eq!(constant + terms.sum::<E>(), values.sum());
    };
    for k in 0..known.len() {
        agree(&known[k..=k]);
    }
    agree(&known);
}

/// Two claims, an assertion, and those of a proof of no products: their weights are the powers of the
/// challenge, so that none can make up for another.
#[test]
fn claims_and_assertions_have_powers_of_their_own() {
    let counts = Counts {
        scalars: 3,
        assertions: 1,
        ..Counts::default()
    };
    let plan = SealPlan::new(&counts);
    let mut stream = Stream(4);
    let [gamma, delta, a, b] = [0; 4].map(|_| stream.element());
    let sent = stream.elements(4);
    let mut tape = ProverTape::new(&STATEMENT);
    tape.send("messages", &sent[..3]);
    tape.send(ANSWERS, &[]);
    tape.send(SUM, &sent[3..]);
    tape.send(ENDS, &[a, b]);
    let bytes = tape.finish();
    let mut tape = VerifierTape::new(&STATEMENT, &bytes);
    tape.freeze(vec![gamma]);
    let book = Book::new(plan);
    let mut channel = SealedTape::new(tape, &book);
    let messages = channel.recv("messages", 3).expect("messages");
    channel.assert_zero(messages[0], "zero").expect("recorded");
    let (_, assertions) = channel.check().expect("a tape of the right form");
    let settled = assertions.settle(messages[1..].iter().copied(), delta);
    let power = |k: u64| delta.exp_u64(k);
    let end = power(5) * (E::ONE + gamma);
    let pads = vec![
        -power(2),
        E::ONE,
        delta,
        -end,
        power(3),
        power(4),
        -power(5) * gamma,
    ];
    let received = [power(2), E::NEG_ONE, -delta, end];
    let received = received.iter().zip(&sent).map(|(&w, &m)| w * m);
    let clear = power(3) * a + power(4) * b + power(5) * a * b;
    let expected = Settled {
        claims: vec![E::ONE, delta],
        pads,
        target: clear - received.sum::<E>(),
    };
    assert_eq!(settled, expected);
}
