//! What whole proofs show of hidden inputs, outputs and weights: nothing.
//!
//! With fixed challenges, the proofs of one witness, an honest run, and another honest run of which the same
//! statement is true: there is randomness with which the prover of the other sends the very same messages, all but
//! roots and siblings. [`explain`] solves for it; one scalar anywhere that is sent without a pad of its own, or
//! a row that is not blinded, and there is none. Statements differ in nothing but roots of what is hidden.

use super::build::inputs;
use super::suite::{self, models};
use crate::setup::setup_seeded;
use crate::{
    Given, ProofProfile, ProvingKey, SetupOptions, Trust, Uses, VerifyingKey, Visibilities,
    Visibility, Weights, setup_scheme,
};
use std::num::NonZeroU16;
use zkstrata_model_ir::int::{Executor, Model, Trace};
use zkstrata_model_ir::quantise::Inputs;
use zkstrata_pcs::Seed;
use zkstrata_pcs::frozen::{Frozen, Record, Script, deal, explain, play};

pub(super) const PUBLIC: Visibility = Visibility::Public;
pub(super) const PRIVATE: Visibility = Visibility::Private;
pub(super) const COMMITTED: Visibility = Visibility::COMMITTED;

pub(super) fn options(weights: Weights, inputs: Visibility, outputs: Visibility) -> SetupOptions {
    SetupOptions {
        weights,
        inputs: Visibilities::all(inputs),
        outputs: Visibilities::all(outputs),
        ..SetupOptions::default()
    }
}

/// So many sessions of a key, and proofs of a session.
pub(super) fn hidden(sessions: u16, proofs: u16) -> Weights {
    let uses = |n| NonZeroU16::new(n).expect("some uses");
    Weights::Hidden(Uses {
        sessions: uses(sessions),
        proofs: uses(proofs),
    })
}

type Tensors = Vec<Vec<i64>>;

/// The public outputs of a run.
fn outputs(vk: &VerifyingKey<Frozen>, trace: &Trace) -> Tensors {
    let outputs = vk.graph().outputs.iter().zip(0..);
    let outputs = outputs.filter(|(_, k)| vk.output_visibilities().of(*k) == PUBLIC);
    let outputs = outputs.map(|(port, _)| trace.tensors[port.tensor.0].to_vec());
    outputs.collect()
}

/// Those of a run on inputs, if there is one.
fn shown(pk: &ProvingKey<Frozen>, inputs: &[Vec<i64>]) -> Option<Tensors> {
    Some(outputs(pk.verifying_key(), &pk.run(inputs).ok()?))
}

/// Other inputs with the same public outputs, if some are found: any inputs if there are no such outputs, else
/// inputs that differ in a cell.
pub(super) fn other_inputs(
    pk: &ProvingKey<Frozen>,
    own: &Tensors,
    batch: usize,
) -> Option<Tensors> {
    let wanted = shown(pk, own).expect("runs");
    let any = inputs(pk.model(), batch, 77);
    if shown(pk, &any).as_ref() == Some(&wanted) {
        return Some(any);
    }
    for (port, input) in pk.model().graph.inputs.iter().enumerate() {
        let interval = pk.model().graph.node(input.tensor).interval;
        for cell in 0..own[port].len() {
            for value in (interval.lo..=interval.hi).filter(|&x| x != own[port][cell]) {
                let mut other = own.clone();
                other[port][cell] = value;
                if shown(pk, &other).as_ref() == Some(&wanted) {
                    return Some(other);
                }
            }
        }
    }
    None
}

fn same(name: &str, first: &Record, again: &Record) {
    let [first, again] = [first, again].map(Record::shown);
    assert_eq!(first.len(), again.len());
    for (first, again) in first.iter().zip(&again) {
        assert_eq!(first.len(), again.len(), "{name}");
        for ((label, a), (_, b)) in first.iter().zip(again) {
            assert!(a == b, "{name}: {label}");
        }
    }
}

/// A proof, which a verifier with the same challenges accepts.
fn prove(
    (pk, vk): &(ProvingKey<Frozen>, VerifyingKey<Frozen>),
    inputs: &[Vec<i64>],
    script: &Script,
) -> Record {
    let ((), record) = play(script, || {
        deal(Some(1));
        let trace = pk.run(inputs).expect("runs");
        let proven = pk.prove_run(trace, &Given::default()).expect("proves");
        let verdict = vk.verify(&proven.statement, &proven.proof);
        verdict.expect("an honest proof");
    });
    record
}

/// Explains proofs of every model by other inputs; tells of which models there are others.
fn other_inputs_explain(options: &SetupOptions, batch: usize) -> Vec<&'static str> {
    let mut found = vec![];
    for (name, model) in models() {
        let keys = setup_scheme::<Frozen>(model, options).expect(name);
        let own = inputs(keys.0.model(), batch, 31);
        let Some(other) = other_inputs(&keys.0, &own, batch) else {
            continue;
        };
        let first = prove(&keys, &own, &Script::of_system([1; 32]));
        let script = explain(&first, |script| prove(&keys, &other, script));
        same(name, &first, &prove(&keys, &other, &script));
        found.push(name);
    }
    found
}

/// Of two models no other input has been found that gives the same outputs.
const INJECTIVE: [&str; 2] = ["linear only", "remainders of two and three limbs"];

/// Models that compute with their inputs alone.
const WEIGHTLESS: [&str; 5] = [
    "products of cells",
    "outer products",
    "products with itself",
    "dot products",
    "sums of sums",
];

fn all_but(names: &[&str]) -> Vec<&'static str> {
    let all = models().into_iter().map(|(name, _)| name);
    all.filter(|name| !names.contains(name)).collect()
}

#[test]
fn any_input_explains_a_proof_of_committed_outputs() {
    for (weights, inputs) in [
        (Weights::Public, PRIVATE),
        (Weights::Compact, PRIVATE),
        (Weights::Public, COMMITTED),
        (Weights::Compact, COMMITTED),
    ] {
        let found = other_inputs_explain(&options(weights, inputs, COMMITTED), 2);
        assert_eq!(found, all_but(&[]));
    }
}

#[test]
fn other_inputs_explain_a_proof_of_their_outputs() {
    for (weights, inputs) in [
        (Weights::Public, PRIVATE),
        (Weights::Compact, PRIVATE),
        (Weights::Public, COMMITTED),
        (Weights::Compact, COMMITTED),
    ] {
        let found = other_inputs_explain(&options(weights, inputs, PUBLIC), 2);
        assert_eq!(found, all_but(&INJECTIVE));
    }
}

/// A model whose openings have all forms: a word of folded rows, and a last vector that is committed to.
#[test]
fn any_input_explains_a_proof_of_a_larger_model() {
    for (proof, batch) in [(ProofProfile::Fast, 1), (ProofProfile::Small, 40)] {
        let options = SetupOptions {
            proof,
            ..options(Weights::Compact, PRIVATE, COMMITTED)
        };
        let keys = setup_scheme::<Frozen>(suite::wide(), &options).expect("sets up");
        let own = inputs(keys.0.model(), batch, 31);
        let other = other_inputs(&keys.0, &own, batch).expect("any inputs");
        let first = prove(&keys, &own, &Script::of_system([1; 32]));
        let script = explain(&first, |script| prove(&keys, &other, script));
        same("wide", &first, &prove(&keys, &other, &script));
    }
}

/// The certificates of a key and of a session, and two proofs of it, which a verifier with the same challenges
/// accepts.
fn prove_in_session(
    model: &Model,
    options: &SetupOptions,
    inputs: &[Tensors; 2],
    script: &Script,
) -> Record {
    let ((), record) = play(script, || {
        deal(Some(2));
        let seed = Some(Seed::new([3; 32]));
        let keys = setup_seeded::<Frozen>(model.clone(), options, seed);
        let (pk, mut vk) = keys.expect("sets up");
        if let Some(certificate) = pk.certificate().expect("a key") {
            vk.certify(&certificate).expect("an honest certificate");
        }
        deal(Some(3));
        let (session, certificate) = pk.session_of(&Seed::new([4; 32])).expect("a session");
        let accepted = vk.accept(&certificate).expect("an honest certificate");
        for (inputs, salt) in inputs.iter().zip(4..) {
            deal(Some(salt));
            let trace = session.run(inputs).expect("runs");
            let proven = session.prove_run(trace, &Given::default());
            let proven = proven.expect("proves");
            let verdict = accepted.verify(&proven.statement, &proven.proof);
            verdict.expect("an honest proof");
        }
    });
    record
}

/// Models of the same graph with other weights.
fn candidates<'a>(model: &'a Model, first: &'a [i64]) -> impl Iterator<Item = Model> + 'a {
    let negated = {
        let mut model = model.clone();
        for weights in &mut model.weights {
            *weights = weights.iter().map(|w| -w).collect();
        }
        let biases = model.biases.iter_mut().flatten();
        biases.for_each(|b| *b = -*b);
        model
    };
    let weights = model.weights.iter().enumerate();
    let weights = weights.flat_map(|(w, cells)| (0..cells.len()).map(move |k| (w, k)));
    let tweaked = weights.map(|(w, k)| {
        let mut model = model.clone();
        model.weights[w].update(|w| w[k] -= w[k].signum());
        model
    });
    let biases = model.biases.iter().enumerate();
    let biases = biases.flat_map(|(b, cells)| (0..cells.len()).map(move |k| (b, k)));
    let moved = biases.map(|(b, k)| {
        let mut model = model.clone();
        model.biases[b][k] -= model.biases[b][k].signum();
        model
    });
    // A weight of the first layer and the bias that makes up for it where the input has this cell.
    let dense = model.weights.first().zip(model.biases.first());
    let dense = dense.filter(|(w, b)| w.len() == b.len() * first.len());
    let dense = dense.into_iter().flat_map(|(weights, _)| 0..weights.len());
    let turned = dense.map(|k| {
        let mut model = model.clone();
        let step = model.weights[0].get(k).signum();
        model.weights[0].update(|w| w[k] -= step);
        model.biases[0][k / first.len()] += i64::from(step) * first[k % first.len()];
        model
    });
    std::iter::once(negated)
        .chain(tweaked)
        .chain(moved)
        .chain(turned)
}

/// Explains sessions of every model that has weights by other weights, and by other inputs if they are hidden;
/// tells of which models there are others.
fn other_weights_explain(options: &SetupOptions) -> Vec<&'static str> {
    let mut found = vec![];
    for (name, model) in models() {
        if model.weights.is_empty() && model.biases.is_empty() {
            continue;
        }
        let keys = setup_scheme::<Frozen>(model, options).expect(name);
        let (pk, vk, model) = (&keys.0, &keys.1, keys.0.model());
        // The second is like the first but for a cell.
        let one = inputs(model, 1, 31);
        let mut two = one.clone();
        let cell = two[0].last_mut().expect("a cell");
        *cell = if *cell > 0 { *cell - 1 } else { *cell + 1 };
        let own = [one, two];
        let wanted = own.each_ref().map(|inputs| shown(pk, inputs));
        let hides_inputs = options.inputs.of(0) != PUBLIC;
        let any = hides_inputs && options.outputs.of(0) != PUBLIC;
        let others = if any {
            [77, 78].map(|seed| inputs(model, 1, seed))
        } else {
            own.clone()
        };
        let explains = |other: &Model| {
            // Most are not set up.
            let runs = Executor::new(other).ok()?;
            let runs = others.each_ref().map(|x| {
                let x = Inputs::new(&other.graph, x).ok()?;
                Some(outputs(vk, &runs.run(&x.cells).ok()?))
            });
            let keys = (runs == wanted).then(|| setup_scheme::<Frozen>(other.clone(), options));
            let same = keys?.ok()?.0.model().graph == model.graph;
            (same && other != model).then_some(())
        };
        let mut all = candidates(model, &own[0][0]);
        let other = all.find(|other| explains(other).is_some());
        let Some(other) = other else { continue };
        let system = Script::of_system([1; 32]);
        let first = prove_in_session(model, options, &own, &system);
        // The session's certificate and its proofs, and that of a certified key, which shows sizes of weights.
        let certified = usize::from(options.trust == Trust::Certificate);
        assert_eq!(first.shown().len(), 3 + certified, "{name}");
        let mut again = |script: &Script| prove_in_session(&other, options, &others, script);
        let script = explain(&first, &mut again);
        same(name, &first, &again(&script));
        found.push(name);
    }
    found
}

/// One set of other weights, and of randomness, explains a session's certificate and all of its proofs.
#[test]
fn other_weights_explain_a_session() {
    let certified = SetupOptions {
        trust: Trust::Certificate,
        ..options(hidden(2, 2), PRIVATE, COMMITTED)
    };
    for (options, without) in [
        (options(hidden(2, 2), PUBLIC, COMMITTED), &WEIGHTLESS[..]),
        (
            options(hidden(2, 2), PUBLIC, PUBLIC),
            &[&WEIGHTLESS[..], &["attention"]].concat(),
        ),
        (certified, &WEIGHTLESS),
    ] {
        assert_eq!(other_weights_explain(&options), all_but(without));
    }
}
