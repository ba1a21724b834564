//! Provers who depart from the protocol, each in one place and as well as can be done from there
//! on.
//!
//! For every check of the verifier there is one that only this check stands against: without it the
//! attack succeeds. Leaving out a check of `verify.rs` or of what it calls makes these tests fail,
//! some of which are in `bound.rs`:
//!
//! | check left out | fails |
//! |---|---|
//! | `h(r) B(r)` is the claim | `a_false_relation`, `a_claim_off_by_one`, all whose rows are honest |
//! | paths of rows of a source | `a_wrong_fold_with_rows_to_match`, `rows_of_other_positions` |
//! | paths of rows of the word of folded rows | `a_wrong_last_vector_with_rows_to_match` |
//! | rows of the sources are part of the claim | `a_wrong_fold`, `a_word_far_from_the_code` |
//! | rows of folded rows are part of the claim | `a_wrong_last_vector` |
//! | WHIR's opening of the last vector | `another_last_vector_is_opened` |
//! | proofs of work | `no_work` |
//! | roots, the relation are absorbed | `everything_is_absorbed`, `a_proof_is_of_its_relation` |
//! | sources in the clear are part of the relation | `a_false_cell_in_the_clear` |
//! | the sum, if all sources are in the clear | `nothing_to_open`, `both_schemes_judge_alike` |
//! | field elements are canonical | `elements_are_canonical` |
//! | a commitment is what its layout calls for | `commitments_of_another_form` |
//! | terms fit their columns; parameters agree | `commitments_of_another_form` |

use super::super::parameters::Code;
use super::super::prove::{Conduct, open_as};
use super::super::tail::Decoding;
use super::super::tree::Opened;
use super::super::weights::points;
use super::*;
use crate::transcript::TapeError;
use p3_matrix::dense::RowMajorMatrix;
use zkstrata_mle::{BasedVectorSpace, Field};

const SENT: Parameters = Parameters::tiny(1 << 20, 0);
pub(super) const MIDDLE: Parameters = Parameters::tiny(0, 1 << 20);
pub(super) const WHIR: Parameters = Parameters::tiny(0, 0);
/// With words of the tail that are decoded as lists.
const LISTS: Parameters = WHIR.decoded(Decoding::List);
pub(super) const FORMS: [Parameters; 3] = [SENT, MIDDLE, WHIR];

const WITNESS: [Table; 3] = [table(8, 200, 3), table(6, 64, 1), table(0, 1, 1)];
const KEY: [Table; 2] = [table(9, 400, 1), table(5, 30, 2)];

pub(super) fn case(parameters: Parameters) -> Case {
    let mut rng = Rng(11);
    let witness = Source::random(Word::Committed, parameters, &WITNESS, &mut rng);
    let key = Source::random(Word::Codeword, parameters, &KEY, &mut rng);
    Case::random(vec![witness, key], 1, &mut rng)
}

/// Nothing is hidden, the witness is, all is.
pub(super) fn cases(parameters: Parameters) -> [Case; 3] {
    let mut rng = Rng(15);
    let witness = |others: Others, rng: &mut Rng| {
        let word = (Word::Committed, 1);
        Source::hidden(word, parameters, &WITNESS, others, rng)
    };
    let key = Source::random(Word::Codeword, parameters, &KEY, &mut rng);
    let one = vec![witness(rows(100), &mut rng), key];
    let word = (Word::Codeword, 3);
    let key = Source::hidden(word, parameters, &KEY, rows(0), &mut rng);
    let both = vec![witness(Others::new(&[&key.layout]), &mut rng), key];
    let hidden = [one, both].map(|sources| Case::random(sources, 1, &mut rng));
    let [one, both] = hidden;
    [case(parameters), one, both]
}

/// Those in every form that an opening has.
pub(super) fn all_cases() -> impl Iterator<Item = Case> {
    FORMS.into_iter().flat_map(cases)
}

pub(super) fn rejected<T: std::fmt::Debug>(verdict: &Result<T, Error>) -> &'static str {
    match verdict {
        Err(Error::Tape(TapeError::Rejected { check })) => check,
        Err(Error::Opening { .. }) => "whir",
        other => panic!("{other:?}"),
    }
}

/// The verdict on what a prover sends who commits to what `commit` returns.
fn judge(
    case: &Case,
    conduct: &mut impl Conduct,
    commit: impl FnOnce(&Case, &mut ProverTape) -> (Vec<Commitment>, Vec<SourceData>),
) -> Result<E, Error> {
    let mut tape = ProverTape::new(&STATEMENT);
    let (commitments, data) = commit(case, &mut tape);
    let data: Vec<&SourceData> = data.iter().collect();
    open_as(conduct, &data, &case.relation, &[], &mut tape)?;
    verify(case, &commitments, &tape.finish())
}

fn dot(a: &[E], b: &[E]) -> E {
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

/// Changes the vector so that its product with the weights is the claim.
fn adjust(vector: &mut [E], weights: &[E], claim: E) {
    let k = weights.iter().position(|&w| w != E::ZERO).expect("weights");
    let missing = claim - dot(vector, weights);
    vector[k] += missing * weights[k].inverse();
}

/// Changes rows so that they fold to the values of a polynomial.
fn match_rows(rows: &mut [F], at: &[F], (eq, veil): (&[E], E), polynomial: &[E], extension: bool) {
    for (row, &x) in rows.chunks_mut(rows.len() / at.len()).zip(at) {
        let value = polynomial.iter().rev().fold(E::ZERO, |acc, &c| acc * x + c);
        if extension {
            let folded = super::super::verify::fold_row_extension(eq, row, veil);
            let c: E = (value - folded) * eq[0].inverse();
            let c: &[F] = c.as_basis_coefficients_slice();
            row[0] += c[0];
            row[1] += c[1];
        } else {
            // Two cells of F for the two coordinates of E.
            let folded = super::super::verify::fold_row(eq, row, veil);
            let gap = value - folded;
            let [g, a, b] = [gap, eq[0], eq[1]].map(|e| {
                let c: &[F] = e.as_basis_coefficients_slice();
                [c[0], c[1]]
            });
            let det = (a[0] * b[1] - a[1] * b[0]).inverse();
            row[0] += (g[0] * b[1] - g[1] * b[0]) * det;
            row[1] += (a[0] * g[1] - a[1] * g[0]) * det;
        }
    }
}

/// Goes on whatever the relation.
struct Liar;

impl Conduct for Liar {
    fn lies(&self) -> bool {
        true
    }
}

#[test]
fn a_false_relation() {
    for mut case in all_cases() {
        case.relation.target += E::ONE;
        let verdict = judge(&case, &mut Liar, commit);
        assert_eq!(rejected(&verdict), "end of the joint opening");
    }
}

#[test]
fn a_claim_off_by_one() {
    let mut rng = Rng(12);
    for honest in all_cases() {
        for source in 0..2 {
            for k in 0..honest.relation.terms[source].len() {
                let mut wrong = honest.clone();
                wrong.relation.terms[source][k].coefs_mut()[0] += E::ONE;
                let verdict = judge(&wrong, &mut Liar, commit);
                assert_eq!(rejected(&verdict), "end of the joint opening");
            }
        }
        let mut wrong = honest.clone();
        let point = first_point(&mut wrong.relation.terms[1]);
        *point = rng.point(point.len());
        let verdict = judge(&wrong, &mut Liar, commit);
        assert_eq!(rejected(&verdict), "end of the joint opening");
    }
}

/// Folded rows that make a false claim true; rows that match them, or not.
struct WrongFold {
    rows_to_match: bool,
    part: usize,
    codes: Vec<Code>,
}

impl WrongFold {
    fn new(case: &Case, rows_to_match: bool) -> Self {
        let codes = case.sources.iter().filter_map(|s| s.layout.code());
        Self {
            rows_to_match,
            part: 0,
            codes: codes.collect(),
        }
    }
}

impl Conduct for WrongFold {
    fn lies(&self) -> bool {
        true
    }

    fn folded(&mut self, folded: &mut [E], weights: &[E], claim: E) {
        adjust(folded, weights, claim);
    }

    fn rows(&mut self, opened: &mut Opened, positions: &[usize], eq: (&[E], E), folded: &[E]) {
        let code = self.codes[self.part];
        self.part += 1;
        if self.rows_to_match {
            let at = points(code, positions);
            match_rows(&mut opened.rows, &at, eq, folded, false);
        }
    }
}

#[test]
fn a_wrong_fold() {
    for mut case in all_cases() {
        case.relation.target += E::ONE;
        let mut conduct = WrongFold::new(&case, false);
        let verdict = judge(&case, &mut conduct, commit);
        assert_eq!(rejected(&verdict), "end of the joint opening");
    }
}

#[test]
fn a_wrong_fold_with_rows_to_match() {
    for mut case in all_cases() {
        case.relation.target += E::ONE;
        let mut conduct = WrongFold::new(&case, true);
        let verdict = judge(&case, &mut conduct, commit);
        assert_eq!(rejected(&verdict), "paths of opened rows");
    }
}

/// A last vector that makes a false claim true; rows that match it, or not.
struct WrongEnd {
    rows_to_match: bool,
    code: Code,
}

impl Conduct for WrongEnd {
    fn lies(&self) -> bool {
        true
    }

    fn end(&mut self, end: &mut [E], weights: &[E], claim: E) {
        adjust(end, weights, claim);
    }

    fn middle_rows(&mut self, opened: &mut Opened, positions: &[usize], eq: (&[E], E), end: &[E]) {
        if self.rows_to_match {
            let at = points(self.code, positions);
            match_rows(&mut opened.rows, &at, eq, end, true);
        }
    }
}

fn wrong_end(rows_to_match: bool, check: &str) {
    for mut case in [MIDDLE, WHIR, LISTS].into_iter().flat_map(cases) {
        case.relation.target += E::ONE;
        let layouts: Vec<&Layout> = case.sources.iter().map(|s| &s.layout).collect();
        let plan = super::super::layout::Plan::new(&layouts).expect("valid layouts");
        let code = plan.middle.expect("a word of folded rows").code;
        let mut conduct = WrongEnd {
            rows_to_match,
            code,
        };
        let verdict = judge(&case, &mut conduct, commit);
        assert_eq!(rejected(&verdict), check);
    }
}

#[test]
fn a_wrong_last_vector() {
    wrong_end(false, "end of the joint opening");
}

#[test]
fn a_wrong_last_vector_with_rows_to_match() {
    wrong_end(true, "paths of opened rows");
}

/// The last vector was committed to before the prover takes one that makes a false claim true.
struct OtherEnd;

impl Conduct for OtherEnd {
    fn lies(&self) -> bool {
        true
    }

    fn last(&mut self, end: &mut [E], weights: &[E], claim: E) {
        adjust(end, weights, claim);
    }

    fn opened(&mut self, values: &mut [E; 2], end: E) {
        // The values of another vector: the first takes all of the difference.
        *values = [end, E::ZERO];
    }
}

#[test]
fn another_last_vector_is_opened() {
    for mut case in [WHIR, LISTS].into_iter().flat_map(cases) {
        case.relation.target += E::ONE;
        let verdict = judge(&case, &mut OtherEnd, commit);
        assert_eq!(rejected(&verdict), "whir");
    }
}

/// The key's tail and the proof's are decoded alike, or the queries are not those of the verifier.
#[test]
fn a_tail_of_the_other_kind() {
    let (whir, lists) = (case(WHIR), case(LISTS));
    for (made, judged) in [(&whir, &lists), (&lists, &whir)] {
        let proven = prove(made).expect("a true relation");
        assert!(verify(made, &proven.commitments, &proven.bytes).is_ok());
        assert!(verify(judged, &proven.commitments, &proven.bytes).is_err());
    }
}

/// Commits to words that differ from the codewords in some rows.
fn commit_far(
    case: &Case,
    tape: &mut ProverTape,
    spoil: impl Fn(usize, &mut RowMajorMatrix<F>),
) -> (Vec<Commitment>, Vec<SourceData>) {
    let committed = case.sources.iter().enumerate().map(|(k, source)| {
        let columns = source.columns.clone();
        let (commitment, data) =
            SourceData::commit_to(&source.layout, columns, source.hiding(), |word| {
                spoil(k, word);
            });
        if source.layout.word() == Word::Committed {
            Joint::send_commitment(&commitment, tape);
        }
        (commitment, data)
    });
    committed.unzip()
}

#[test]
fn a_word_far_from_the_code() {
    for case in all_cases() {
        for source in 0..2 {
            let verdict = judge(&case, &mut Liar, |case, tape| {
                commit_far(case, tape, |k, word| {
                    if k == source {
                        let width = word.width;
                        for (x, row) in word.values.chunks_mut(width).enumerate() {
                            row[0] += F::from_usize(x * x % 5);
                        }
                    }
                })
            });
            assert_eq!(rejected(&verdict), "end of the joint opening");
        }
    }
}

/// One row of a word is wrong: the word still determines the columns, and a proof is refused if and
/// only if the row is opened.
#[test]
fn a_word_off_at_one_position() {
    let case = case(MIDDLE);
    let points = 1 << case.sources[0].layout.code().expect("encoded").log_points;
    let (mut accepted, mut refused) = (0, 0);
    for at in 0..points.min(40) {
        let verdict = judge(&case, &mut Liar, |case, tape| {
            commit_far(case, tape, |k, word| {
                if k == 0 {
                    let width = word.width;
                    word.values[at * width] += F::ONE;
                }
            })
        });
        if verdict.is_ok() {
            accepted += 1;
        } else {
            assert_eq!(rejected(&verdict), "end of the joint opening");
            refused += 1;
        }
    }
    assert!(refused > 0, "{accepted} accepted");
}

/// The word of folded rows is spoilt.
struct FarFolded;

impl Conduct for FarFolded {
    fn word(&mut self, word: &mut RowMajorMatrix<F>) {
        let width = word.width;
        for row in word.values.chunks_mut(width).step_by(2) {
            row[3] += F::ONE;
        }
    }
}

#[test]
fn folded_rows_far_from_the_code() {
    for case in [MIDDLE, WHIR, LISTS].into_iter().flat_map(cases) {
        let verdict = judge(&case, &mut FarFolded, commit);
        assert_eq!(rejected(&verdict), "end of the joint opening");
    }
}

/// Opens other rows than it was asked for.
struct OtherPositions {
    word: usize,
    wrong: usize,
}

impl Conduct for OtherPositions {
    fn positions(&mut self, positions: &mut Vec<usize>) {
        if self.word == self.wrong {
            // One position to a neighbour that was not asked for, so that as many siblings are
            // sent.
            let free = |p: usize| !positions.contains(&(p ^ 1));
            let k = (0..positions.len()).find(|&k| free(positions[k]));
            let k = k.expect("a leaf whose sibling was not asked for");
            positions[k] ^= 1;
        }
        self.word += 1;
    }
}

#[test]
fn rows_of_other_positions() {
    let mut seen = 0;
    for wrong in 0..3 {
        // Larger words, of which not every pair is opened.
        let mut rng = Rng(13);
        let witness = [table(13, 8192, 1)];
        let witness = Source::random(Word::Committed, MIDDLE, &witness, &mut rng);
        let key = [table(13, 8000, 1)];
        let key = Source::random(Word::Codeword, MIDDLE, &key, &mut rng);
        let case = Case::random(vec![witness, key], 1, &mut rng);
        let mut conduct = OtherPositions { word: 0, wrong };
        let verdict = judge(&case, &mut conduct, commit);
        assert_eq!(rejected(&verdict), "paths of opened rows");
        seen += 1;
    }
    assert_eq!(seen, 3);
}
