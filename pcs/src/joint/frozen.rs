//! The joint opening on a stage ([`crate::frozen`]): a scheme that is [`Joint`](super::Joint) to a verifier, whose
//! prover takes the noise that a script says and records what it has done.

pub(super) mod explain;
mod simulate;

use super::hiding::Noise;
use super::layout::{Layout, Plan};
use super::prove::{Conduct, certify_as, open_as};
use super::source::{Column, Hidden, SourceData};
use super::tail::PROOF;
use super::{
    Commitment, HiddenLeaves, Joint, MIDDLE, Partial, ROOT, Relation, RelationProver,
    RelationScheme, SourceRef, WORK,
};
use crate::claim::{Error, SoundnessTerm};
use crate::frozen::{Challenges, on_stage};
use crate::random::Seed;
use crate::seal::ENDS;
use crate::transcript::{ProverTape, Reader, VerifierTape};
use zkstrata_mle::{BasedVectorSpace, E, F};

pub use simulate::Kind;

/// Cells or their weights by rows, of `2^f` elements each.
pub(super) type Matrix = Vec<Vec<E>>;

/// A hidden word that was committed to.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    pub(super) layout: Layout,
    pub(super) columns: Vec<Column>,
    pub(super) noise: Noise,
}

impl Word {
    /// The random elements that hide it.
    pub(crate) fn randomness(&self) -> Vec<F> {
        randomness(&self.noise)
    }
}

fn randomness(noise: &Noise) -> Vec<F> {
    let veil = noise.veil.iter().flat_map(|x| {
        let c: &[F] = x.as_basis_coefficients_slice();
        [c[0], c[1]]
    });
    noise.rows.iter().copied().chain(veil).collect()
}

/// An opening, as its prover knows it.
#[derive(Debug)]
pub(crate) struct Opening {
    /// The layouts of the sources.
    layouts: Vec<Layout>,
    /// Which of the record's words they are, if they are hidden.
    words: Vec<Option<usize>>,
    relation: Relation,
    /// The challenges from its beginning on, if they were fixed.
    challenges: Option<Challenges>,
    noted: Noted,
    /// What stands on the tape.
    sent: Vec<(&'static str, Vec<u8>)>,
}

/// Opens honestly, with given noise, and notes what it is asked for.
#[derive(Debug, Default)]
struct Noted {
    /// The positions of every word.
    positions: Vec<Vec<usize>>,
    /// The weights of the folded rows before any row is opened.
    weights: Vec<E>,
    /// What hides the word of folded rows.
    noise: Option<Noise>,
    /// What takes its place.
    other: Option<Noise>,
}

impl Conduct for Noted {
    fn folded(&mut self, _: &mut [E], weights: &[E], _: E) {
        self.weights = weights.to_vec();
    }

    fn noise(&mut self, noise: &mut Noise) {
        if let Some(other) = self.other.take() {
            *noise = other;
        }
        self.noise = Some(noise.clone());
    }

    fn positions(&mut self, positions: &mut Vec<usize>) {
        self.positions.push(positions.clone());
    }
}

/// The noise of every word that is committed to, and of every opening's word of folded rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noises {
    pub(super) words: Vec<Noise>,
    pub(super) folded: Vec<Option<Noise>>,
}

#[cfg(test)]
impl Noises {
    /// The noise that was taken.
    pub(super) fn of(record: &crate::frozen::Record) -> Self {
        let words = record.words.iter().map(|word| word.noise.clone());
        let folded = record.openings.iter().map(|o| o.noted.noise.clone());
        Self {
            words: words.collect(),
            folded: folded.collect(),
        }
    }
}

impl Opening {
    /// All messages but hashes of what is hidden, and but the proof of the last vector, which draws challenges
    /// of its own and is about what is shown.
    pub(crate) fn shown(&self) -> Vec<(&'static str, Vec<u8>)> {
        let unlike = [ROOT, MIDDLE, WORK, PROOF, "joint paths"];
        let shown = self
            .sent
            .iter()
            .filter(|(label, _)| !unlike.contains(label));
        shown.cloned().collect()
    }

    /// The sealed scalars of its tape, and the ends of products; nothing if nothing is sealed.
    pub(crate) fn sealed(&self) -> Option<(Vec<E>, [E; 2])> {
        let end = self.sent.iter().position(|(label, _)| *label == ENDS)?;
        let scalars = |bytes: &[u8]| {
            let scalars = Reader::new(bytes).take_scalars(ENDS, bytes.len() / 16);
            scalars.expect("scalars")
        };
        let sealed = self.sent[..end].iter();
        let sealed = sealed.filter(|(label, _)| *label != ROOT && !label.ends_with("work"));
        let sealed = sealed.flat_map(|(_, bytes)| scalars(bytes)).collect();
        let ends = scalars(&self.sent[end].1);
        Some((sealed, [ends[0], ends[1]]))
    }

    /// The random elements of its word of folded rows.
    pub(crate) fn randomness(&self) -> Vec<F> {
        self.noted.noise.as_ref().map_or(vec![], randomness)
    }

    /// What is drawn of it: `eps`, `rho`, and what comes then.
    fn challenges(&self, plan: &Plan) -> (E, Vec<E>, Vec<E>) {
        let challenges = self.challenges.clone();
        let mut challenges = challenges.expect("challenges are fixed");
        let mut draw = |n: usize| (0..n).map(|_| challenges.next()).collect::<Vec<E>>();
        (draw(1)[0], draw(plan.fold), draw(32))
    }

    fn plan(&self) -> Plan {
        Plan::new(&self.layouts.iter().collect::<Vec<_>>()).expect("a plan")
    }
}

/// [`Joint`](super::Joint), on a stage.
#[derive(Clone, Copy, Debug)]
pub struct Frozen;

/// What its prover keeps of a commitment.
pub struct FrozenData {
    data: SourceData,
    /// Which of the record's words it is, if it is hidden.
    word: Option<usize>,
}

impl Frozen {
    fn open_as(
        sources: &[&FrozenData],
        relation: &Relation,
        tape: &mut ProverTape,
        open: impl FnOnce(&mut Noted, &[&SourceData], &mut ProverTape) -> Result<Vec<Layout>, Error>,
    ) -> Result<(), Error> {
        let other = on_stage(|stage| {
            let opening = stage.record().openings.len();
            stage.noises().folded.get(opening).cloned().flatten()
        });
        let mut noted = Noted {
            other: other.flatten(),
            ..Noted::default()
        };
        let challenges = tape.frozen().cloned();
        let data: Vec<&SourceData> = sources.iter().map(|source| &source.data).collect();
        let layouts = open(&mut noted, &data, tape)?;
        on_stage(|stage| {
            stage.record().openings.push(Opening {
                layouts,
                words: sources.iter().map(|source| source.word).collect(),
                relation: relation.clone(),
                challenges,
                noted,
                sent: tape.sent(),
            });
        });
        Ok(())
    }
}

impl RelationScheme for Frozen {
    type Commitment = Commitment;

    const NAME: &'static str = "frozen";

    const PARAMETERS: u32 = Joint::PARAMETERS;

    fn recv_commitment(layout: &Layout, tape: &mut VerifierTape<'_>) -> Result<Commitment, Error> {
        Joint::recv_commitment(layout, tape)
    }

    fn check_commitment(commitment: &Commitment, layout: &Layout) -> Result<(), Error> {
        Joint::check_commitment(commitment, layout)
    }

    fn verify(
        sources: &[SourceRef<'_, Commitment>],
        relation: &Relation,
        tape: &mut VerifierTape<'_>,
    ) -> Result<(), Error> {
        Joint::verify(sources, relation, tape)
    }

    fn soundness(sources: &[&Layout]) -> Result<Vec<SoundnessTerm>, Error> {
        Joint::soundness(sources)
    }

    fn hidden_leaves(sources: &[&Layout]) -> Result<Option<HiddenLeaves>, Error> {
        Joint::hidden_leaves(sources)
    }
}

impl RelationProver for Frozen {
    type Data = FrozenData;

    fn commit(layout: &Layout, columns: Vec<Column>) -> Result<(Commitment, FrozenData), Error> {
        let (commitment, data) = Joint::commit(layout, columns)?;
        Ok((commitment, FrozenData { data, word: None }))
    }

    fn commit_hidden(
        layout: &Layout,
        columns: Vec<Column>,
        seed: &Seed,
    ) -> Result<(Commitment, FrozenData), Error> {
        let mut hidden = Hidden::new(layout, seed).expect("a hidden layout");
        let word = on_stage(|stage| {
            let word = stage.record().words.len();
            if let Some(noise) = stage.noises().words.get(word) {
                hidden.noise = noise.clone();
            }
            stage.record().words.push(Word {
                layout: layout.clone(),
                columns: columns.clone(),
                noise: hidden.noise.clone(),
            });
            word
        });
        let (commitment, data) = SourceData::commit_to(layout, columns, Some(hidden), |_| ());
        Ok((commitment, FrozenData { data, word }))
    }

    fn send_commitment(commitment: &Commitment, tape: &mut ProverTape) {
        Joint::send_commitment(commitment, tape);
    }

    fn open(
        sources: &[&FrozenData],
        relation: &Relation,
        known: &[Vec<Option<Partial>>],
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        Self::open_as(sources, relation, tape, |noted, data, tape| {
            open_as(noted, data, relation, known, tape)?;
            Ok(data.iter().map(|data| data.layout().clone()).collect())
        })
    }

    fn spend(data: &FrozenData, uses: usize) -> Result<(), Error> {
        Joint::spend(&data.data, uses)
    }

    fn restore(data: &FrozenData, left: usize) -> Result<(), Error> {
        Joint::restore(&data.data, left)
    }

    fn left(data: &FrozenData) -> Option<usize> {
        Joint::left(&data.data)
    }

    fn certify(
        sources: &[&FrozenData],
        certified: usize,
        relation: &Relation,
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        Self::open_as(sources, relation, tape, |noted, data, tape| {
            certify_as(noted, data, certified, relation, tape)?;
            let layouts: Vec<&Layout> = data.iter().map(|data| data.layout()).collect();
            Ok(Layout::certifying(&layouts, certified))
        })
    }
}
