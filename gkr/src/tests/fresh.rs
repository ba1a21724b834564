//! Randomness of proofs: drawn anew for each, of everything that a proof is about, and uniform; and nothing
//! of what is hidden stands in a file.

use super::build::{Builder, inputs};
use super::equivocation::{COMMITTED, PRIVATE, PUBLIC, hidden, options};
use super::suite::{self, models};
use crate::{
    Given, Proven, ProvingKey, SetupOptions, Visibility, Weights, encode_proof, setup_scheme,
};
use std::collections::BTreeSet;
use std::num::NonZeroU16;
use zkstrata_mle::{F, PrimeCharacteristicRing, PrimeField64};
use zkstrata_model_ir::int::Model;
use zkstrata_pcs::frozen::{Frozen, Record, Script, deal, play};
use zkstrata_pcs::joint::Joint;

type Messages = Vec<(&'static str, Vec<u8>)>;

/// A proof with real challenges where the system gives these bytes, or what it likes.
fn prove(
    pk: &ProvingKey<Frozen>,
    inputs: &[Vec<i64>],
    system: Option<[u8; 32]>,
) -> (Proven, Record) {
    let script = system.map_or_else(Script::default, Script::of_system);
    let run = || {
        let trace = pk.run(inputs).expect("runs");
        pk.prove_run(trace, &Given::default()).expect("proves")
    };
    play(&script, run)
}

fn keys(model: Model, options: &SetupOptions) -> ProvingKey<Frozen> {
    let (pk, _) = setup_scheme::<Frozen>(model, options).expect("sets up");
    if pk.left().is_some() {
        let (session, _) = pk.session().expect("a session");
        return ProvingKey::clone(&session);
    }
    pk
}

/// Words of 8 bytes that stand in messages, those of proofs of work aside.
fn words(messages: &Messages) -> Vec<[u8; 8]> {
    let random = messages
        .iter()
        .filter(|(label, _)| !label.ends_with("work"));
    let words = random.flat_map(|(_, bytes)| bytes.as_chunks::<8>().0);
    words.copied().collect()
}

fn common(a: &[[u8; 8]], b: &[[u8; 8]]) -> usize {
    let all: BTreeSet<_> = a.iter().collect();
    b.iter().filter(|word| all.contains(word)).count()
}

fn elements(record: &Record) -> Vec<[u8; 8]> {
    let elements = record.randomness().into_iter();
    let elements = elements.map(|x| x.as_canonical_u64().to_le_bytes());
    elements.collect()
}

const SYSTEM: Option<[u8; 32]> = Some([6; 32]);

/// No message of a proof is one of another proof of the same run, in whole or in part.
#[test]
fn no_message_repeats() {
    for (name, model) in models() {
        for options in [
            options(Weights::Public, PRIVATE, PUBLIC),
            options(Weights::Public, COMMITTED, COMMITTED),
        ] {
            let pk = keys(model.clone(), &options);
            let x = inputs(pk.model(), 2, 51);
            let [(a, first), (b, second)] = [(); 2].map(|()| prove(&pk, &x, None));
            let [a_words, b_words] = [&first, &second].map(|record| words(&record.shown()[0]));
            assert!(a_words.len() > 1000, "{name}");
            assert_eq!(common(&a_words, &b_words), 0, "{name}");
            assert_eq!(common(&elements(&first), &elements(&second)), 0, "{name}");
            let roots = |proven: &Proven| {
                let values = proven
                    .statement
                    .inputs
                    .iter()
                    .chain(&proven.statement.outputs);
                let roots: Vec<_> = values
                    .filter_map(|value| value.commitment().cloned())
                    .collect();
                roots
            };
            for (a, b) in roots(&a).iter().zip(roots(&b)) {
                assert_ne!(*a, b, "{name}");
            }
        }
    }
}

/// Where the system repeats itself, the same run has the same proof, and any other takes nothing that hides
/// the first: another input, another context, another key.
#[test]
fn what_the_system_repeats_is_hedged() {
    for options in [
        options(Weights::Compact, PRIVATE, PUBLIC),
        options(Weights::Public, COMMITTED, COMMITTED),
        options(hidden(1, 40), PUBLIC, PUBLIC),
    ] {
        let pk = keys(suite::mlp(), &options);
        let x = inputs(pk.model(), 1, 52);
        let (proven, first) = prove(&pk, &x, SYSTEM);
        for _ in 0..8 {
            // Threads look for proofs of work: whichever finds one first.
            let (again, second) = prove(&pk, &x, SYSTEM);
            assert_eq!(again.proof, proven.proof);
            assert_eq!(again.statement, proven.statement);
            assert_eq!(elements(&first), elements(&second));
        }
        let own = elements(&first);
        assert!(own.len() > 2000);
        for cell in 0..x[0].len() {
            let mut other = x.clone();
            other[0][cell] ^= 1;
            let (_, second) = prove(&pk, &other, SYSTEM);
            assert_eq!(common(&own, &elements(&second)), 0);
        }
        let script = Script::of_system([6; 32]);
        let (_, second) = play(&script, || {
            let given = Given {
                context: [1; 32],
                ..Given::default()
            };
            pk.prove_run(pk.run(&x).expect("runs"), &given)
                .expect("proves")
        });
        assert_eq!(common(&own, &elements(&second)), 0);
        let other = keys(suite::conv(), &options);
        let (_, second) = prove(&other, &inputs(other.model(), 1, 52), SYSTEM);
        assert_eq!(common(&own, &elements(&second)), 0);
    }
}

/// What a word of 8 bytes may be that a file of cells consists of.
fn windows(cells: &[i64]) -> BTreeSet<Vec<u8>> {
    let mut windows = BTreeSet::new();
    for &x in cells {
        windows.insert(x.to_le_bytes().to_vec());
        windows.insert(F::from_i64(x).as_canonical_u64().to_le_bytes().to_vec());
    }
    let encoded = postcard::to_allocvec(cells).expect("encodes");
    windows.extend(encoded.windows(8).map(<[u8]>::to_vec));
    windows
}

/// A file of a proof of hidden inputs or outputs has no 8 bytes of any encoding of them.
#[test]
fn nothing_in_clear() {
    let mut b = Builder::new(53);
    let x = b.input(&[40], -500_000, 500_000);
    let y = b.dense(x, &[40], &[30]);
    b.output(y);
    let model = b.finish();
    // Large numbers: small ones stand anywhere.
    let x: Vec<i64> = (0..40)
        .map(|k| (k * k * 7919 + 54_321) % 400_000 - 200_123)
        .collect();
    for (inputs, outputs) in [
        (PUBLIC, PUBLIC),
        (PUBLIC, COMMITTED),
        (PRIVATE, PUBLIC),
        (PRIVATE, COMMITTED),
        (COMMITTED, PUBLIC),
        (COMMITTED, COMMITTED),
    ] {
        let options = options(Weights::Compact, inputs, outputs);
        let (pk, _) = setup_scheme::<Joint>(model.clone(), &options).expect("sets up");
        let trace = pk.run(std::slice::from_ref(&x)).expect("runs");
        let y = trace.tensors[pk.model().graph.outputs[0].tensor.0].to_vec();
        let proven = pk.prove_run(trace, &Given::default()).expect("proves");
        let file = encode_proof(&proven.statement, &proven.proof);
        for (cells, visibility) in [(&x, inputs), (&y, outputs)] {
            let all = windows(cells);
            let found = file
                .windows(8)
                .filter(|window| all.contains(*window))
                .count();
            let shown = visibility == Visibility::Public;
            assert_eq!(found > 0, shown, "{inputs:?} {outputs:?}: {found}");
        }
    }
}

/// A statement says of a private input nothing: those of two inputs with the same outputs are the same.
#[test]
fn statements_do_not_depend_on_private_inputs() {
    let pk = keys(suite::mlp(), &options(Weights::Compact, PRIVATE, PUBLIC));
    let x = inputs(pk.model(), 1, 31);
    let other = super::equivocation::other_inputs(&pk, &x, 1).expect("other inputs");
    assert_ne!(x, other);
    let [(a, _), (b, _)] = [&x, &other].map(|x| prove(&pk, x, None));
    assert_eq!(a.statement, b.statement);
    assert_eq!(a.statement.digest(1), b.statement.digest(1));
    assert_ne!(a.proof, b.proof);
}

/// A model of one cell.
fn tiny() -> Model {
    let mut b = Builder::new(54);
    let x = b.input(&[], 0, 1);
    let y = b.dense(x, &[], &[]);
    b.output(y);
    b.finish()
}

/// Proofs of each of two inputs.
const PROOFS: u64 = 5000;

/// What scalars are counted by.
const RESIDUES: usize = 251;

/// Every scalar of a proof is uniform whichever the input, as far as its residue tells, and none is sent twice.
#[test]
fn scalars_are_uniform() {
    let uses = NonZeroU16::MIN;
    let committed = Visibility::Committed { uses };
    let pk = keys(tiny(), &options(Weights::Public, PRIVATE, committed));
    let mut all: Vec<u64> = vec![];
    for x in [0, 1] {
        let half = |first: u64| {
            let pk = pk.clone();
            move || -> Vec<Vec<u64>> {
                let prove = |salt: u64| {
                    let mut system = [0; 32];
                    system[..8].copy_from_slice(&salt.to_le_bytes());
                    let (_, record) = play(&Script::of_system(system), || {
                        deal(Some(salt));
                        let trace = pk.run(&[vec![x]]).expect("runs");
                        pk.prove_run(trace, &Given::default()).expect("proves")
                    });
                    let scalars = record.shown().remove(0).into_iter();
                    let scalars = scalars
                        .filter(|(label, _)| *label != "joint rows" && !label.ends_with("work"));
                    let words = scalars.flat_map(|(_, bytes)| bytes.as_chunks::<8>().0.to_vec());
                    words.map(u64::from_le_bytes).collect()
                };
                (first..first + PROOFS / 2).map(prove).collect()
            }
        };
        let first = x as u64 * PROOFS;
        let proofs: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let halves = [first, first + PROOFS / 2].map(|first| scope.spawn(half(first)));
            halves.map(|half| half.join().expect("no panic")).concat()
        });
        let scalars = proofs[0].len();
        for k in 0..scalars {
            let mut counts = [0.0; RESIDUES];
            for proof in &proofs {
                counts[(proof[k] % RESIDUES as u64) as usize] += 1.0;
            }
            let expected = PROOFS as f64 / RESIDUES as f64;
            let squares = counts.iter().map(|count: &f64| (count - expected).powi(2));
            let chi: f64 = squares.sum::<f64>() / expected;
            // Seven standard deviations of sqrt(2 * 250).
            assert!((chi - 250.0).abs() < 157.0, "input {x}, word {k}: {chi}");
        }
        all.extend(proofs.into_iter().flatten());
    }
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}
