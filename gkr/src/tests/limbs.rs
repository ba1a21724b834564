//! Cheating provers against remainders of several limbs: only the limbs of the remainder are
//! accepted, and the same ones in both places where they are looked at.

use super::attacks::Case;
use super::field_run::run;
use super::field_witness::padded_tensor;
use super::suite;
use crate::VerifyError;
use crate::plan::Plan;
use crate::tensor::for_each_live;
use zkstrata_mle::{F, PrimeCharacteristicRing, PrimeField64};
use zkstrata_model_ir::int::{Op, TensorId};
use zkstrata_pcs::Clear;

/// A live cell of a table node whose remainders have several limbs.
struct Target {
    node: usize,
    /// Index in the padded tensor.
    at: usize,
    /// `(X + offset) >> S` of an honest run.
    hi: i64,
    shift: u32,
    /// Bits of the limbs.
    bits: Vec<u32>,
    /// The function's table.
    table: usize,
}

impl Target {
    /// Bits below limb `j`.
    fn low(&self, j: usize) -> u32 {
        self.bits[..j].iter().sum()
    }
}

/// The first, the second and the last cell of every such node.
fn targets(case: &Case<Clear>, plan: &Plan) -> Vec<Target> {
    let trace = case.pk.run(&case.inputs).expect("runs");
    let graph = &case.model.graph;
    let mut targets = vec![];
    for (node, n) in graph.nodes.iter().enumerate() {
        let Op::Table {
            table,
            shift,
            ranges,
            offset,
        } = &n.op
        else {
            continue;
        };
        if ranges.len() < 2 {
            continue;
        }
        let bits = |t: &zkstrata_model_ir::int::TableId| {
            graph.tables[t.0].limb_bits().expect("a range table")
        };
        let argument = &trace.tensors[n.inputs[0].0];
        for_each_live(&plan.axes(TensorId(node)), |dense, at| {
            if [0, 1, argument.len() - 1].contains(&dense) {
                targets.push(Target {
                    node,
                    at,
                    hi: (argument.get(dense) + offset) >> shift,
                    shift: *shift,
                    bits: ranges.iter().map(bits).collect(),
                    table: table.0,
                });
            }
        });
    }
    targets
}

/// Lets an adversary alter the output and the limbs of every target in turn, and requires
/// rejection wherever it does.
fn reject(what: &str, mut alter: impl FnMut(&Case<Clear>, &Target, &mut F, &mut [&mut F]) -> bool) {
    let mut attacks = 0;
    for model in [suite::limbs(), suite::one_cell()] {
        for case in [1, 3]
            .map(|batch| Case::<Clear>::both(&model, batch))
            .as_flattened()
        {
            let plan = case.plan();
            for target in targets(case, &plan) {
                let mut altered = false;
                let (_, verdict) = case.attack(&mut |node, out, limbs, _| {
                    if node == target.node {
                        let mut limbs: Vec<_> =
                            limbs.iter_mut().map(|l| &mut l[target.at]).collect();
                        altered = alter(case, &target, &mut out[target.at], &mut limbs);
                    }
                });
                assert!(!altered || verdict.is_err(), "{what}: node {}", target.node);
                attacks += usize::from(altered);
            }
        }
    }
    assert!(attacks > 10, "{what}: the models must offer targets");
}

#[test]
fn a_limb_out_of_range_is_rejected_though_the_next_one_makes_up_for_it() {
    for sign in [F::ONE, -F::ONE] {
        for j in 0..3 {
            // The remainder, and with it `hi`, stays the same.
            reject("carry", |_, target, _, limbs| {
                let j = j % (limbs.len() - 1);
                *limbs[j] += sign * F::from_u64(1 << target.bits[j]);
                *limbs[j + 1] -= sign;
                true
            });
        }
    }
}

#[test]
fn a_limb_out_of_range_is_rejected_though_the_argument_makes_up_for_it() {
    for step in [1, -1] {
        for j in 0..2 {
            reject("another row", |case, target, out, limbs| {
                let table = &case.model.graph.tables[target.table];
                let Some(value) = table.get(target.hi - step) else {
                    return false;
                };
                let weight = F::from_u64(1 << (target.shift - target.low(j)));
                *limbs[j] += F::from_i64(step) * weight;
                *out = F::from_i64(value);
                true
            });
        }
    }
}

#[test]
fn a_limb_replaced_by_another_one_in_range_is_rejected() {
    for j in 0..2 {
        for step in [1, 3] {
            reject("replaced", |_, target, _, limbs| {
                let rows = 1 << target.bits[j];
                let other = F::from_u64((limbs[j].as_canonical_u64() + step) % rows);
                let changed = *limbs[j] != other;
                *limbs[j] = other;
                changed
            });
        }
    }
    reject("swapped", |_, _, _, limbs| {
        let (first, second) = (*limbs[0], *limbs[1]);
        (*limbs[0], *limbs[1]) = (second, first);
        first != second
    });
}

/// `hi` is made of a limb out of its range, and the limb's own block of the honest one.
#[test]
fn limbs_that_differ_between_their_two_places_are_rejected() {
    let mut attacks = 0;
    for case in [1, 3]
        .map(|batch| Case::<Clear>::both(&suite::limbs(), batch))
        .as_flattened()
    {
        let plan = case.plan();
        for target in targets(case, &plan) {
            let table = &case.model.graph.tables[target.table];
            let Some(value) = table.get(target.hi - 1) else {
                continue;
            };
            for commits_to_the_honest_limbs in [false, true] {
                let mut honest = vec![];
                let mut lie = |node: usize, out: &mut [F], limbs: &mut [Vec<F>], _: &[bool]| {
                    if node == target.node {
                        honest = limbs.to_vec();
                        limbs[0][target.at] += F::from_u64(1 << target.shift);
                        out[target.at] = F::from_i64(value);
                    }
                };
                let key = case.vk.digest();
                let (statement, mut witness) = run(&plan, &case.model, key, &case.inputs, &mut lie);
                let limbs = || {
                    let tensors = honest.iter().cloned();
                    let tensors = tensors.map(|x| padded_tensor(&plan, target.node, x));
                    (target.node, tensors.collect())
                };
                witness.faces.own = Some(limbs());
                if commits_to_the_honest_limbs {
                    witness.faces.committed = Some(limbs());
                }
                // The honest limb is looked up, the other one is in no table.
                let Op::Table { ranges, .. } = &case.model.graph.nodes[target.node].op else {
                    unreachable!("a table node");
                };
                let mut tables = plan.tables.iter();
                let range = tables.find(|t| t.table == ranges[0]).expect("a range");
                let row = honest[0][target.at].as_canonical_u64() as usize;
                witness.multiplicities[range.offset + row] += F::ONE;
                let verdict = case.judge(&plan, &statement, &witness);
                // All lookups hold: the openings alone tell.
                assert!(
                    matches!(verdict, Err(VerifyError::Opening(_))),
                    "node {}: {verdict:?}",
                    target.node
                );
                attacks += 1;
            }
        }
    }
    assert!(attacks > 5, "the model must offer targets");
}
