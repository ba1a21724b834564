//! Proofs whose coins are chosen beforehand, for tests alone: **such a proof is worth nothing.**
//!
//! That a proof hides its witness is shown by *equivocation*. With challenges that nothing changes, one prover's
//! messages are fixed, and any other witness of the same statement has randomness with which its prover sends
//! the very same, all but hashes of what is hidden: [`explain`] solves for it. And by a *simulator*
//! ([`Frozen::simulate`]), who knows challenges beforehand and no witness, and is believed by a verifier who
//! draws the same.
//!
//! All of it happens on a *stage*, which a thread sets up with [`play`]. There, tapes draw what [`deal`]
//! says, provers take the randomness of a [`Script`], and what they did is the stage's [`Record`].

use crate::joint::frozen::{Noises, Opening, Word};
use crate::random::Seed;
use crate::seal::{Pads, SealPlan};
use std::cell::RefCell;
use zkstrata_mle::{BasedVectorSpace, E, F, Field, PrimeCharacteristicRing};

pub use crate::joint::frozen::{Frozen, FrozenData, Kind};

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

/// What happens on a thread.
pub(crate) struct Stage {
    script: Script,
    record: Record,
    salt: Option<u64>,
}

/// What provers draw, in the order in which they ask; what it does not say is drawn as ever.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What the system gives.
    pub system: Option<[u8; 32]>,
    /// The pads of each proof, but for the last of the triple.
    pub(crate) pads: Vec<Vec<E>>,
    /// What hides words.
    pub(crate) noises: Noises,
}

impl Script {
    /// What the system gives, and nothing else.
    pub fn of_system(system: [u8; 32]) -> Self {
        Self {
            system: Some(system),
            ..Self::default()
        }
    }
}

/// What provers did.
#[derive(Debug, Default)]
pub struct Record {
    /// The pads of each proof.
    pub pads: Vec<Vec<E>>,
    /// The hidden words that were committed to.
    pub(crate) words: Vec<Word>,
    /// The openings.
    pub(crate) openings: Vec<Opening>,
}

impl Record {
    /// What every opening's tape shows: all messages but hashes of what is hidden, and the proof of the last
    /// vector, which is itself shown.
    pub fn shown(&self) -> Vec<Vec<(&'static str, Vec<u8>)>> {
        self.openings.iter().map(Opening::shown).collect()
    }

    /// All random elements that provers took.
    pub fn randomness(&self) -> Vec<F> {
        let pads = self.pads.iter().flatten();
        let pads = pads.flat_map(|x| {
            let c: &[F] = x.as_basis_coefficients_slice();
            [c[0], c[1]]
        });
        let words = self.words.iter().flat_map(Word::randomness);
        let folded = self.openings.iter().flat_map(Opening::randomness);
        pads.chain(words).chain(folded).collect()
    }
}

/// Runs something on a stage of this thread.
///
/// # Panics
/// If the thread is on one.
pub fn play<R>(script: &Script, run: impl FnOnce() -> R) -> (R, Record) {
    let stage = Stage {
        script: script.clone(),
        record: Record::default(),
        salt: None,
    };
    let before = STAGE.replace(Some(stage));
    assert!(before.is_none(), "one stage a thread");
    let result = run();
    let stage = STAGE.take().expect("the stage of this thread");
    (result, stage.record)
}

/// From now on tapes of this thread draw the challenges of this number, which nothing changes, and their proofs
/// of work pass; or real ones. A verifier must be dealt what its prover was.
///
/// # Panics
/// If the thread is on no stage.
pub fn deal(salt: Option<u64>) {
    on_stage(|stage| stage.salt = salt).expect("a stage");
}

pub(crate) fn on_stage<R>(act: impl FnOnce(&mut Stage) -> R) -> Option<R> {
    STAGE.with_borrow_mut(|stage| stage.as_mut().map(act))
}

impl Stage {
    pub(crate) fn record(&mut self) -> &mut Record {
        &mut self.record
    }

    pub(crate) fn noises(&self) -> &Noises {
        &self.script.noises
    }
}

/// What the system gives on this stage.
pub(crate) fn system() -> Option<Seed> {
    on_stage(|stage| stage.script.system.map(Seed::new)).flatten()
}

/// The pads of the next proof on this stage, if the script says them.
pub(crate) fn pads(plan: SealPlan, drawn: impl FnOnce() -> Pads) -> Pads {
    let said = on_stage(|stage| stage.script.pads.get(stage.record.pads.len()).cloned());
    let pads = match said.flatten() {
        None => drawn(),
        Some(pads) => {
            let mut pads = pads.into_iter();
            Pads::new(plan, || pads.next().expect("as many as are planned"))
        }
    };
    on_stage(|stage| {
        let cells = pads.cells();
        let pads = cells.as_chunks::<2>().0.iter();
        let pads = pads.map(|&[c0, c1]| E::from_basis_coefficients_fn(|k| [c0, c1][k]));
        stage.record.pads.push(pads.collect());
    });
    pads
}

/// splitmix64
pub(crate) fn mix(x: u64) -> u64 {
    let mut z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Challenges that do not depend on anything that is sent.
#[derive(Clone, Debug)]
pub(crate) struct Challenges {
    chosen: std::vec::IntoIter<E>,
    salt: u64,
    drawn: u64,
    words: u64,
}

impl Challenges {
    /// Those that tapes of this thread draw.
    pub(crate) fn of_thread() -> Option<Self> {
        let salt = on_stage(|stage| stage.salt).flatten()?;
        Some(Self {
            chosen: vec![].into_iter(),
            salt: mix(salt),
            drawn: 0,
            words: 0,
        })
    }

    /// These, and then others.
    #[cfg(test)]
    pub(crate) fn chosen(challenges: Vec<E>) -> Self {
        Self {
            chosen: challenges.into_iter(),
            salt: 0,
            drawn: 0,
            words: 0,
        }
    }

    pub(crate) fn next(&mut self) -> E {
        self.chosen.next().unwrap_or_else(|| {
            self.drawn += 1;
            let at = self.salt.wrapping_add(self.drawn << 1);
            E::from_basis_coefficients_fn(|k| F::from_u64(mix(at ^ k as u64)))
        })
    }

    pub(crate) fn positions(&mut self, bits: usize, n: usize) -> Vec<usize> {
        self.words += 1;
        let first = mix(self.salt ^ (self.words << 32));
        let position = |k: usize| mix(first.wrapping_add(k as u64)) as usize & ((1 << bits) - 1);
        let mut positions: Vec<usize> = (0..n).map(position).collect();
        positions.sort_unstable();
        positions.dedup();
        positions
    }
}

/// The script with which another prover shows what the first has shown. `run` is the other one: it does what
/// the first did, with another witness of the same statements, on a stage of this script.
///
/// # Panics
/// If there is none: something is not hidden, or its witness is none.
pub fn explain(first: &Record, mut run: impl FnMut(&Script) -> Record) -> Script {
    let clear = |triples: &[[E; 2]]| {
        let pads = first.pads.iter().zip(triples).map(|(pads, &triple)| {
            let mut clear = vec![E::ZERO; pads.len() - 3];
            clear.extend(triple);
            clear
        });
        Script {
            pads: pads.collect(),
            ..Script::of_system([7; 32])
        }
    };
    let sealed = |record: &Record| -> Vec<(Vec<E>, [E; 2])> {
        record.openings.iter().filter_map(Opening::sealed).collect()
    };
    // What the two ends are is affine in the first two of the triple, and no other pad is a part of what
    // pads hide.
    let none = vec![[E::ZERO; 2]; first.pads.len()];
    let ones = vec![[E::ONE; 2]; first.pads.len()];
    let [zero, one] = [none, ones].map(|triples| sealed(&run(&clear(&triples))));
    let wanted = sealed(first);
    assert_eq!(wanted.len(), first.pads.len(), "pads are for sealed proofs");
    let triples = wanted.iter().zip(zero.iter().zip(&one));
    let triples: Vec<[E; 2]> = triples
        .map(|((_, end), ((_, zero), (_, one)))| {
            std::array::from_fn(|k| (end[k] - zero[k]) * (one[k] - zero[k]).inverse())
        })
        .collect();
    let mut script = clear(&triples);
    let bare = sealed(&run(&script));
    for (pads, ((wanted, ends), (bare, own))) in
        script.pads.iter_mut().zip(wanted.iter().zip(&bare))
    {
        assert_eq!(
            (ends, wanted.len()),
            (own, bare.len()),
            "the ends of products"
        );
        for (pad, (&wanted, &bare)) in pads.iter_mut().zip(wanted.iter().zip(bare)) {
            *pad = wanted - bare;
        }
    }
    script.noises = Noises::explaining(first, &run(&script));
    script
}
