//! Honest and dishonest openings of two columns.
//!
//! Every check of the library's verifier that a lie about a value can meet stands against some
//! prover here, and every byte of a proof matters.

use super::*;
use p3_challenger::fs::TranscriptField;
use p3_challenger::{FieldChallenger, GrindingChallenger};
use p3_sumcheck::layout::{LayoutStrategy, StackedClaims, Witness};
use p3_sumcheck::strategy::SumcheckProver;
use p3_sumcheck::{OpeningEvals, OpeningRequest, SumcheckData};
use zkstrata_mle::{PrimeCharacteristicRing, PrimeField64};

const STATEMENT: [u8; 32] = [9; 32];

fn columns_of(num_vars: usize) -> [Vec<F>; WIDTH] {
    [5, 77].map(|k| {
        let cell = |i: u64| F::from_u64(i * i + k) * F::from_u64(i + 1);
        (0..1 << num_vars).map(cell).collect()
    })
}

fn point(num_vars: usize) -> Point {
    let coordinate = |k: usize| E::from_usize(k + 3).exp_u64(99_999_999);
    Point::new((0..num_vars).map(coordinate).collect())
}

/// Sizes without and with rounds between the first and the last.
const SIZES: [(usize, Decoding); 3] = [
    (8, Decoding::Unique),
    (12, Decoding::Unique),
    (12, Decoding::List),
];

const DECODINGS: [Decoding; 2] = [Decoding::Unique, Decoding::List];

/// What is claimed of columns, and a tape.
struct Proven {
    root: Digest,
    decoding: Decoding,
    point: Point,
    values: [E; WIDTH],
    bytes: Vec<u8>,
}

/// Bytes before the blob: a root and the blob's length.
const HEAD: usize = size_of::<Digest>() + 4;

fn prove_honestly(num_vars: usize, decoding: Decoding) -> Proven {
    let committed = Committed::new(&columns_of(num_vars), decoding).expect("commits");
    let mut tape = ProverTape::new(&STATEMENT);
    committed.send(&mut tape);
    let (root, point) = (committed.root, point(num_vars));
    let values = committed.evaluate(&point);
    committed.open(&point, values, &mut tape).expect("true");
    Proven {
        root,
        decoding,
        point,
        values,
        bytes: tape.finish(),
    }
}

impl Proven {
    fn judge(&self) -> Result<(), Error> {
        self.judge_with(&self.bytes)
    }

    fn judge_with(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut tape = VerifierTape::new(&STATEMENT, bytes);
        let root = recv_root(&mut tape)?;
        verify((&root, self.decoding), &self.point, &self.values, &mut tape)?;
        Ok(tape.finish()?)
    }

    fn blob(&self) -> &[u8] {
        &self.bytes[HEAD..]
    }

    /// The tape with another blob, whose length is stated.
    fn judge_blob(&self, blob: &[u8]) -> Result<(), Error> {
        let len = u32::try_from(blob.len()).expect("short").to_le_bytes();
        self.judge_with(&[&self.root[..], &len, blob].concat())
    }
}

fn refuses(verdict: &Result<(), Error>) {
    assert!(matches!(verdict, Err(Error::Opening { .. })), "{verdict:?}");
}

fn is_opened_and_as_long_as_expected(num_vars: usize, decoding: Decoding) {
    let proven = prove_honestly(num_vars, decoding);
    assert_eq!(proven.judge(), Ok(()), "{num_vars} {decoding:?}");
    for (value, column) in proven.values.iter().zip(columns_of(num_vars)) {
        let eq = zkstrata_mle::eq_table(&proven.point, column.len(), E::ONE);
        let expected: E = eq.into_iter().zip(column).map(|(eq, f)| eq * f).sum();
        assert_eq!(*value, expected);
    }
    let expected = cost(num_vars, decoding).expect("parameters").bytes;
    let ratio = expected / proven.bytes.len() as f64;
    assert!((0.97..1.03).contains(&ratio), "{num_vars}: {ratio}");
}

#[test]
fn every_size_is_opened_and_as_long_as_expected() {
    for num_vars in MIN_VARS..=14 {
        is_opened_and_as_long_as_expected(num_vars, Decoding::Unique);
    }
    for num_vars in [MIN_VARS, 11, 13] {
        is_opened_and_as_long_as_expected(num_vars, Decoding::List);
    }
}

#[test]
fn every_size_has_parameters_and_reaches_the_level() {
    for decoding in DECODINGS {
        let least = match decoding {
            Decoding::Unique => 102.8,
            Decoding::List => 102.0,
        };
        for num_vars in MIN_VARS..27 {
            let term = soundness(num_vars, decoding).expect("parameters");
            assert!(term.bits >= least, "{term:?}");
        }
        let error = soundness(40, decoding).map(drop);
        assert!(matches!(error, Err(Error::Parameters { .. })), "{error:?}");
        let further = decoding.further_bits();
        let bits = decoding.candidates().log2();
        assert!(bits <= further as f64 && further as f64 <= bits + 1.0);
    }
}

/// A list asks for fewer rows and more work: the proof is shorter, and not one of the other kind.
#[test]
fn decodings_are_not_exchanged() {
    let [unique, list] = DECODINGS.map(|decoding| prove_honestly(12, decoding));
    assert!(list.bytes.len() * 3 < unique.bytes.len() * 2);
    for (mut proven, other) in [(unique, Decoding::List), (list, Decoding::Unique)] {
        proven.decoding = other;
        refuses(&proven.judge());
    }
}

#[test]
fn an_honest_prover_refuses_a_false_value() {
    let point = point(9);
    for (k, off) in [(0, E::ONE), (1, E::ONE), (0, -E::TWO)] {
        let committed = Committed::new(&columns_of(9), Decoding::Unique).expect("commits");
        let mut values = committed.evaluate(&point);
        values[k] += off;
        refuses(&committed.open(&point, values, &mut ProverTape::new(&STATEMENT)));
    }
}

#[test]
fn a_proof_is_of_its_root_point_and_values() {
    for num_vars in [8, 12] {
        let honest = || prove_honestly(num_vars, Decoding::Unique);
        for k in 0..WIDTH {
            let mut proven = honest();
            proven.values[k] += E::ONE;
            refuses(&proven.judge());
        }
        let mut proven = honest();
        proven.values.swap(0, 1);
        refuses(&proven.judge());
        for k in 0..num_vars {
            let mut proven = honest();
            let mut coordinates = proven.point.to_vec();
            coordinates[k] += E::ONE;
            proven.point = Point::new(coordinates);
            refuses(&proven.judge());
        }
        for k in 0..size_of::<Digest>() {
            let mut proven = honest();
            proven.bytes[k] ^= 1;
            refuses(&proven.judge());
        }
        let proven = honest();
        let other = [prove_honestly(9, Decoding::Unique).root, [0; 25]];
        for root in other {
            refuses(&proven.judge_with(&[&root[..], &proven.bytes[25..]].concat()));
        }
        let mut tape = VerifierTape::new(&STATEMENT, &proven.bytes);
        let root = recv_root(&mut tape).expect("a root");
        refuses(&verify(
            (&root, Decoding::Unique),
            &proven.point,
            &proven.values[..1],
            &mut tape,
        ));
    }
}

/// The claims are true of columns that are not those of the word.
#[test]
fn other_columns_than_the_committed_ones_are_refused() {
    for (num_vars, decoding) in SIZES {
        let committed = Committed::new(&columns_of(num_vars), decoding).expect("commits");
        let mut columns = columns_of(num_vars);
        for cell in columns[1].iter_mut().skip(7) {
            *cell += F::ONE;
        }
        let mut other = Committed::new(&columns, decoding).expect("commits");
        other.root = committed.root;
        other.word = committed.word;
        let point = point(num_vars);
        let mut tape = ProverTape::new(&STATEMENT);
        other.send(&mut tape);
        let (root, values) = (other.root, other.evaluate(&point));
        other.open(&point, values, &mut tape).expect("true of them");
        let proven = Proven {
            root,
            decoding,
            point,
            values,
            bytes: tape.finish(),
        };
        refuses(&proven.judge());
    }
}

/// An opening by a prover who does not care whether its claims are true: it absorbs them, and proves
/// what the columns' values are.
struct Indifferent(Prefix);

impl Layout<F, E> for Indifferent {
    fn strategy() -> LayoutStrategy {
        Prefix::strategy()
    }

    fn record_opening_known(
        &mut self,
        table: usize,
        batch: &OpeningRequest,
        point: &LibraryPoint<E>,
        _values: &OpeningEvals<E>,
    ) {
        self.0.record_opening(table, batch, point);
    }

    fn into_sumcheck<Challenger>(
        self,
        data: &mut SumcheckData<F, E>,
        work: usize,
        challenger: &mut Challenger,
    ) -> (SumcheckProver<F, E>, LibraryPoint<E>)
    where
        F: TranscriptField,
        Challenger: FieldChallenger<F> + GrindingChallenger<Witness = F>,
    {
        self.0.into_sumcheck(data, work, challenger)
    }

    fn claims(&self) -> &StackedClaims<F, E> {
        self.0.claims()
    }

    fn from_witness(witness: Witness<F>) -> Self {
        Self(Prefix::from_witness(witness))
    }

    fn new_witness(tables: Vec<Table<F>>, folding: usize) -> Witness<F> {
        Prefix::new_witness(tables, folding)
    }

    fn write_message(witness: &Witness<F>, folding: usize, message: &mut [F]) {
        Prefix::write_message(witness, folding, message);
    }

    fn record_opening(
        &mut self,
        table: usize,
        batch: &OpeningRequest,
        point: &LibraryPoint<E>,
    ) -> OpeningEvals<E> {
        self.0.record_opening(table, batch, point)
    }

    fn record_virtual(&mut self, point: &LibraryPoint<E>) -> E {
        self.0.record_virtual(point)
    }
}

fn prove_indifferently(num_vars: usize, decoding: Decoding, false_by: [E; WIDTH]) -> Proven {
    let committed = Committed::new(&columns_of(num_vars), decoding).expect("commits");
    let (root, point) = (committed.root, point(num_vars));
    let mut values = committed.evaluate(&point);
    for (value, by) in values.iter_mut().zip(false_by) {
        *value += by;
    }
    let mut tape = ProverTape::new(&STATEMENT);
    committed.send(&mut tape);
    tape.bind_bytes(ROOT, &root);
    tape.bind(CLAIMS, &transcribe(&point, &values));
    let proof = tape.blob(PROOF, |sponge| {
        let mut layout = Indifferent(committed.layout);
        let evals = OpeningBatch::new(values.to_vec(), vec![]);
        let at = LibraryPoint::new(point.to_vec());
        let samples = sample(&mut layout, decoding, sponge).expect("parameters");
        layout.eval_at_known(0, &columns(), &at, &evals, sponge);
        prove(layout, committed.word, decoding, samples, sponge)
    });
    proof.expect("a proof of something");
    Proven {
        root,
        decoding,
        point,
        values,
        bytes: tape.finish(),
    }
}

#[test]
fn a_proof_of_a_false_claim_is_refused_at_its_end() {
    for (num_vars, decoding) in SIZES {
        let judge = |false_by| prove_indifferently(num_vars, decoding, false_by).judge();
        assert_eq!(judge([E::ZERO; WIDTH]), Ok(()));
        for false_by in [[E::ONE, E::ZERO], [E::ZERO, E::ONE], [E::ONE, -E::ONE]] {
            refuses(&judge(false_by));
        }
    }
}

/// The beginning, with the root, the first rounds and the work, the end, and bytes of the long lists
/// between them.
#[test]
fn altered_bytes() {
    let sizes = SIZES.into_iter().zip([7, 67, 67]);
    for ((num_vars, decoding), step) in sizes {
        let proven = prove_honestly(num_vars, decoding);
        let len = proven.bytes.len();
        let ends = (0..600).chain(len - 600..len);
        for at in ends.chain((0..len).step_by(step)) {
            let mut bytes = proven.bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            assert!(proven.judge_with(&bytes).is_err(), "byte {at} of {len}");
        }
        // Extreme lengths and values.
        for k in 0..200 {
            let at = k * (len - 8) / 199;
            let word = [u64::MAX, 0, 1 << 32, F::ORDER_U64][k % 4];
            let mut bytes = proven.bytes.clone();
            bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            assert!(proven.judge_with(&bytes).is_err(), "bytes at {at} of {len}");
        }
    }
}

#[test]
fn a_proof_has_one_encoding() {
    for (num_vars, decoding) in SIZES {
        let proven = prove_honestly(num_vars, decoding);
        assert_eq!(proven.judge_blob(proven.blob()), Ok(()));
        for delta in [1, 4, 8, 16, 25, 4000] {
            let (short, _) = proven.blob().split_at(proven.blob().len() - delta);
            refuses(&proven.judge_blob(short));
            refuses(&proven.judge_blob(&[proven.blob(), &vec![0; delta]].concat()));
        }
        refuses(&proven.judge_blob(&[]));
        for len in (0..proven.bytes.len()).step_by(97) {
            assert!(proven.judge_with(&proven.bytes[..len]).is_err());
        }
        let longer = proven.judge_with(&[&proven.bytes[..], &[0]].concat());
        assert_eq!(longer, Err(TapeError::TrailingBytes { bytes: 1 }.into()));
    }
}

/// Proofs of work that one thread finds are small numbers: with the modulus added they still fit
/// 8 bytes.
#[test]
fn elements_beyond_the_modulus_are_refused() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let proven = pool
        .expect("a pool")
        .install(|| prove_honestly(8, Decoding::Unique));
    let blob = proven.blob();
    let mut refused = 0;
    for at in (0..blob.len() - 8).step_by(4) {
        let element = u64::from_le_bytes(*blob[at..].first_chunk().expect("8 bytes"));
        if let Some(other) = element.checked_add(F::ORDER_U64) {
            let mut blob = blob.to_vec();
            blob[at..at + 8].copy_from_slice(&other.to_le_bytes());
            match proven.judge_blob(&blob) {
                // Or 8 bytes across two elements.
                Err(Error::Opening { reason }) => {
                    refused += usize::from(reason.contains("not a proof"));
                }
                other => panic!("bytes at {at}: {other:?}"),
            }
        }
    }
    assert!(refused > 0, "a proof holds proofs of work");
}
