//! Cheating provers: whatever an adversary commits to, only the executor's statement is accepted. Each cheats
//! in the clear, and behind the seal of a proof that hides its inputs.

use super::build::{SHIFT, inputs, plan};
use super::field_run::{Tamper, run};
use super::suite::public;
use super::suite::{self, models};
use crate::PortValue;
use crate::plan::Plan;
use crate::proof::Proof;
use crate::statement::Statement;
use crate::witness::{Evidence, Witness};
use crate::{
    ProvingKey, SetupError, SetupOptions, VerifyError, VerifyingKey, Visibilities, Visibility,
    Weights, setup_scheme,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use zkstrata_mle::{F, PrimeCharacteristicRing};
use zkstrata_model_ir::int::{Model, Op};
use zkstrata_pcs::joint::RelationProver;
use zkstrata_pcs::{Clear, Seed};

/// A model with its keys and an honest run of a batch. The model is that of the keys: one whose inputs are
/// hidden has their range checks.
pub(super) struct Case<C: RelationProver> {
    pub(super) model: Model,
    pub(super) pk: ProvingKey<C>,
    pub(super) vk: VerifyingKey<C>,
    pub(super) inputs: Vec<Vec<i64>>,
    pub(super) honest: Statement,
    pub(super) batch: usize,
}

impl<C: RelationProver> Case<C> {
    pub(super) fn new(model: Model, batch: usize) -> Self {
        let inputs = inputs(&model, batch, 77);
        Self::of(model, inputs, batch, Weights::Compact)
    }

    /// With these inputs.
    pub(super) fn of(model: Model, inputs: Vec<Vec<i64>>, batch: usize, weights: Weights) -> Self {
        Self::with(model, inputs, batch, weights, Visibility::Public).expect("sets up")
    }

    /// In the clear, and with hidden inputs.
    pub(super) fn both(model: &Model, batch: usize) -> [Self; 2] {
        Self::both_of(model, &inputs(model, batch, 77), batch, Weights::Compact)
    }

    /// The same with these inputs.
    pub(super) fn both_of(
        model: &Model,
        inputs: &[Vec<i64>],
        batch: usize,
        weights: Weights,
    ) -> [Self; 2] {
        [Visibility::Public, Visibility::Private]
            .map(|who| Self::with(model.clone(), inputs.to_vec(), batch, weights, who))
            .map(|case| case.expect("sets up"))
    }

    /// With inputs that these see.
    pub(super) fn with(
        model: Model,
        inputs: Vec<Vec<i64>>,
        batch: usize,
        weights: Weights,
        who: Visibility,
    ) -> Result<Self, SetupError> {
        let options = SetupOptions {
            weights,
            inputs: Visibilities::all(who),
            ..SetupOptions::default()
        };
        let (pk, vk) = setup_scheme::<C>(model, &options)?;
        let (honest, proof) = pk.prove_integers(&inputs).expect("an honest run proves");
        vk.verify(&honest, &proof)
            .expect("an honest proof verifies");
        Ok(Self {
            model: pk.model().clone(),
            pk,
            vk,
            inputs,
            honest,
            batch,
        })
    }

    pub(super) fn plan(&self) -> Plan {
        plan(&self.model, self.batch)
    }

    /// Whether the inputs are hidden.
    pub(super) fn hides(&self) -> bool {
        self.vk.hides()
    }

    /// What such a statement says under the key.
    fn said(&self, mut statement: Statement) -> Statement {
        if self.hides() {
            statement.inputs.fill(PortValue::Private);
        }
        statement
    }

    /// The adversary's statement, and what the verifier says of its proof.
    pub(super) fn attack(&self, tamper: Tamper<'_>) -> (Statement, Result<(), VerifyError>) {
        let plan = self.plan();
        let (statement, witness) = run(&plan, &self.model, self.vk.digest(), &self.inputs, tamper);
        let verdict = self.judge(&plan, &statement, &witness);
        (self.said(statement), verdict)
    }

    pub(super) fn judge<W: Evidence>(
        &self,
        plan: &Plan,
        statement: &Statement,
        witness: &W,
    ) -> Result<(), VerifyError> {
        let statement = self.said(statement.clone());
        let seed = self.hides().then(|| Seed::new([9; 32]));
        let (tape, _) = self
            .pk
            .prove_witness(plan, &statement, witness, seed.as_ref())
            .expect("commits");
        self.vk.verify(&statement, &Proof { tape })
    }

    /// The nodes that look something up, but for the range checks of hidden inputs: another input may well
    /// be what the statement is about.
    pub(super) fn table_nodes(&self) -> Vec<usize> {
        let graph = &self.model.graph;
        let is_table = |i: &usize| matches!(graph.nodes[*i].op, Op::Table { .. });
        let is_guard = |i: usize| {
            let mut guards = graph.inputs.iter().filter_map(|port| graph.guard(port));
            self.hides() && guards.any(|guard| guard.0 == i)
        };
        let tables = (0..graph.nodes.len()).filter(is_table);
        tables.filter(|&i| !is_guard(i)).collect()
    }
}

const WEIGHTS: [Weights; 2] = [Weights::Compact, Weights::Public];

/// A field element that is no small integer.
pub(super) fn garbage(rng: &mut ChaCha8Rng) -> F {
    F::from_u64(rng.next_u64() >> 1)
}

#[test]
fn honest_proofs_are_accepted() {
    let mut failures = vec![];
    for (name, model) in models() {
        for batch in [1, 2, 5] {
            for weights in WEIGHTS {
                let keys = setup_scheme::<Clear>(
                    model.clone(),
                    &SetupOptions {
                        weights,
                        ..SetupOptions::default()
                    },
                );
                let (pk, vk) = keys.expect("sets up");
                let (statement, proof) = pk
                    .prove_integers(&inputs(&model, batch, 3))
                    .expect("proves");
                if let Err(e) = vk.verify(&statement, &proof) {
                    failures.push(format!("{name}, {weights:?}, batch {batch}: {e}"));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn honest_runs_over_padded_field_elements_are_accepted() {
    for (name, model) in models() {
        for case in [1, 3]
            .map(|batch| Case::<Clear>::both(&model, batch))
            .as_flattened()
        {
            let (statement, verdict) = case.attack(&mut |_, _, _, _| {});
            assert_eq!(statement, case.honest, "{name}: naive run");
            verdict.unwrap_or_else(|e| panic!("{name}, batch {}: {e}", case.batch));
        }
    }
}

#[test]
fn garbage_in_padding_changes_no_statement_and_is_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let cases = |(name, model)| Case::<Clear>::both(&model, 3).map(|case| (name, case));
    for (name, case) in models().into_iter().flat_map(cases) {
        for target in case.table_nodes() {
            let mut padded = false;
            let (statement, verdict) = case.attack(&mut |node, out, rem, live| {
                if node == target {
                    // Behind the last live cell nothing is committed.
                    let last = live.iter().rposition(|&live| live);
                    padded = live[..last.unwrap_or(0)].contains(&false);
                    for (x, &live) in out.iter_mut().zip(live) {
                        if !live {
                            *x = garbage(&mut rng);
                        }
                    }
                    for (x, &live) in rem.iter_mut().flat_map(|rem| rem.iter_mut().zip(live)) {
                        if !live {
                            *x = garbage(&mut rng);
                        }
                    }
                }
            });
            // Live cells of a result depend on live cells only: the statement cannot change.
            assert_eq!(
                statement, case.honest,
                "{name}: node {target} leaks padding"
            );
            // Nor are the leaves of the padding 1/1 any more.
            assert_eq!(verdict.is_err(), padded, "{name}: node {target}");
        }
        // All columns at once.
        let (statement, _) = case.attack(&mut |_, out, rem, live| {
            for (k, &live) in live.iter().enumerate() {
                if !live {
                    out[k] = garbage(&mut rng);
                }
            }
            for (x, &live) in rem.iter_mut().flat_map(|rem| rem.iter_mut().zip(live)) {
                if !live {
                    *x = garbage(&mut rng);
                }
            }
        });
        assert_eq!(statement, case.honest, "{name}: padding leaks");
    }
}

/// Alters one live cell of one column in every table node in turn and requires rejection.
fn reject_live_change(what: &str, mut alter: impl FnMut(&mut F, &mut [&mut F]) -> bool) {
    let mut attacks = 0;
    for (name, model) in models() {
        for case in [1, 3]
            .map(|batch| Case::<Clear>::both(&model, batch))
            .as_flattened()
        {
            for target in case.table_nodes() {
                for pick in [0, 1, 5] {
                    let mut altered = false;
                    let (_, verdict) = case.attack(&mut |node, out, rem, live| {
                        if node == target {
                            let cells: Vec<usize> = (0..live.len()).filter(|&i| live[i]).collect();
                            let cell = cells[pick % cells.len()];
                            let mut limbs: Vec<&mut F> =
                                rem.iter_mut().map(|r| &mut r[cell]).collect();
                            altered = alter(&mut out[cell], &mut limbs);
                        }
                    });
                    if altered {
                        attacks += 1;
                        assert!(verdict.is_err(), "{name}: {what} at node {target} accepted");
                    }
                }
            }
        }
    }
    assert!(attacks > 10, "{what}: the suite must offer targets");
}

#[test]
fn an_output_off_by_one_is_rejected() {
    reject_live_change("output + 1", |out, _| {
        *out += F::ONE;
        true
    });
    reject_live_change("output - 1", |out, _| {
        *out -= F::ONE;
        true
    });
}

#[test]
fn an_output_replaced_by_zero_is_rejected() {
    reject_live_change("output := 0", |out, _| {
        let changed = *out != F::ZERO;
        *out = F::ZERO;
        changed
    });
}

#[test]
fn a_remainder_out_of_range_is_rejected() {
    // With the quotient shifted to match: rem + 2^S means hi - 1.
    let step = F::from_u64(1 << SHIFT);
    for (what, change) in [
        ("remainder + 2^S", step),
        ("remainder - 2^S", -step),
        ("remainder + 1", F::ONE),
    ] {
        for most_significant in [true, false] {
            reject_live_change(what, |_, limbs| {
                let limb = if most_significant {
                    limbs.last_mut()
                } else {
                    limbs.first_mut()
                };
                limb.is_some_and(|limb| {
                    **limb += change;
                    true
                })
            });
        }
    }
}

#[test]
fn swapped_batch_rows_are_rejected() {
    let cases = |(name, model)| Case::<Clear>::both(&model, 4).map(|case| (name, case));
    for (name, case) in models().into_iter().flat_map(cases) {
        for target in case.table_nodes() {
            let mut changed = false;
            let (_, verdict) = case.attack(&mut |node, out, rem, _| {
                if node == target {
                    let row = out.len() / 4;
                    for i in 0..row {
                        changed |= out[i] != out[row + i];
                        out.swap(i, row + i);
                    }
                    for rem in rem {
                        for i in 0..row {
                            rem.swap(i, row + i);
                        }
                    }
                }
            });
            assert!(!changed || verdict.is_err(), "{name}: node {target}");
        }
    }
}

#[test]
fn max_pool_choosing_another_element_is_rejected() {
    let cases = Case::<Clear>::both(&suite::max_pool(), 2);
    let mut attacks = 0;
    let targets = |case| {
        Case::table_nodes(case)
            .into_iter()
            .map(move |target| (case, target))
    };
    for (case, target) in cases.iter().flat_map(targets) {
        let Op::Table { shift: 0, .. } = case.model.graph.nodes[target].op else {
            continue;
        };
        // relu(a - b) := 0 chooses b although a is larger.
        let mut changed = false;
        let (statement, verdict) = case.attack(&mut |node, out, _, _| {
            if node == target {
                for x in out.iter_mut() {
                    changed |= *x != F::ZERO;
                    *x = F::ZERO;
                }
            }
        });
        assert!(changed, "some maximum is the first element");
        assert!(verdict.is_err(), "node {target}: {:?}", statement.outputs);
        attacks += 1;
    }
    assert_eq!(attacks, 4);
}

#[test]
fn changed_multiplicities_are_rejected() {
    for case in Case::<Clear>::both(&suite::mlp(), 2) {
        let plan = case.plan();
        let rows = [0, 1, 17, (1 << plan.table_vars) - 1];
        for (row, delta) in rows
            .into_iter()
            .flat_map(|row| [(row, F::ONE), (row, -F::ONE)])
        {
            let mut honest = |_: usize, _: &mut [F], _: &mut [Vec<F>], _: &[bool]| {};
            let key = case.vk.digest();
            let (statement, mut witness) = run(&plan, &case.model, key, &case.inputs, &mut honest);
            witness.multiplicities[row] += delta;
            assert!(
                case.judge(&plan, &statement, &witness).is_err(),
                "row {row}"
            );
        }
    }
}

#[test]
fn a_changed_weight_is_rejected() {
    // The prover runs and proves another model but claims this one's key.
    let mut attacks = 0;
    let cases = models().into_iter().flat_map(|(name, model)| {
        let x = inputs(&model, 1, 77);
        let both = WEIGHTS.map(|weights| Case::<Clear>::both_of(&model, &x, 1, weights));
        both.into_iter().flatten().map(move |case| (name, case))
    });
    for (name, case) in cases {
        let tensors = case.model.weights.len();
        for w in 0..tensors + case.model.biases.len() {
            for (k, step) in [(0, 1), (0, -1), (1, 1), (1, -1)] {
                let mut other = case.model.clone();
                if w < tensors {
                    other.weights[w].update(|w| w[k] += step);
                } else if let Some(bias) = other.biases[w - tensors].get_mut(k) {
                    *bias += i64::from(step);
                }
                // A bias of one cell has no second one.
                if other == case.model {
                    continue;
                }
                // A change that leaves the declared intervals is another graph altogether.
                let options = case.vk.options();
                let Ok((pk, _)) = setup_scheme::<Clear>(other.clone(), &options) else {
                    continue;
                };
                let (mut statement, _) = pk.prove_integers(&case.inputs).expect("proves");
                statement.model = case.vk.digest();
                let plan = plan(&other, 1);
                let trace = pk.run(&case.inputs).expect("runs");
                let witness = Witness::new(&plan, trace);
                let seed = case.hides().then(|| Seed::new([9; 32]));
                let (tape, _) = pk
                    .prove_witness(&plan, &statement, &witness, seed.as_ref())
                    .expect("commits");
                let verdict = case.vk.verify(&statement, &Proof { tape });
                assert!(verdict.is_err(), "{name}: constant {w}");
                attacks += 1;
            }
        }
    }
    assert!(attacks > 120, "most changes keep the intervals");
}

#[test]
fn a_false_output_with_an_honest_trace_is_rejected() {
    let cases = |(name, model)| Case::<Clear>::both(&model, 3).map(|case| (name, case));
    for (name, case) in models().into_iter().flat_map(cases) {
        let plan = case.plan();
        for port in 0..case.honest.outputs.len() {
            for cell in [
                0,
                case.honest.outputs[port].public().expect("public").len() - 1,
            ] {
                let mut statement = case.honest.clone();
                let at = &mut public(&mut statement.outputs[port])[cell];
                let tensor = case.model.graph.outputs[port].tensor;
                let interval = case.model.graph.node(tensor).interval;
                *at = if *at < interval.hi { *at + 1 } else { *at - 1 };
                let trace = case.pk.run(&case.inputs).expect("runs");
                let witness = Witness::new(&plan, trace);
                let verdict = case.judge(&plan, &statement, &witness);
                assert!(verdict.is_err(), "{name}: output {port}, cell {cell}");
            }
        }
    }
}

#[test]
fn a_false_input_with_an_honest_trace_is_rejected() {
    for (name, model) in models() {
        // A statement that hides its inputs says nothing of them.
        let case = Case::<Clear>::new(model, 3);
        let plan = case.plan();
        for port in 0..case.honest.inputs.len() {
            let mut statement = case.honest.clone();
            let mut inputs = case.inputs.clone();
            let at = &mut inputs[port][1];
            *at = if *at > 0 { *at - 1 } else { *at + 1 };
            statement.inputs[port] = PortValue::Public(inputs[port].clone());
            let trace = case.pk.run(&case.inputs).expect("runs");
            let witness = Witness::new(&plan, trace);
            let verdict = case.judge(&plan, &statement, &witness);
            // The model may not depend on that cell; then the statement is true.
            let truth = case.pk.prove_integers(&inputs).expect("proves").0;
            if truth.outputs != statement.outputs {
                assert!(verdict.is_err(), "{name}: input {port}");
            }
        }
    }
}
