//! Tensors that many claims lead to.

use super::attacks::Case;
use super::build::{Builder, plan};
use super::field_run::run;
use super::field_witness::Padded;
use super::suite::public;
use crate::claim::TensorClaim;
use crate::error::VerifyError;
use crate::linear::{
    Contracted, Instance, InstanceEnd, LinearProver, LinearVerifier, Party, Wanted, analyse, reduce,
};
use crate::plan::WeightPlan;
use zkstrata_mle::{E, F, Point, PrimeCharacteristicRing};
use zkstrata_model_ir::int::{Model, TensorId};
use zkstrata_pcs::{Clear, ProverTape, VerifierTape};

/// `(name, model)` of every model with merged claims.
pub(super) fn models() -> Vec<(&'static str, Model)> {
    vec![
        ("sums of sums", sums_of_sums(SUMS).0),
        ("many readers", many_readers()),
    ]
}

const SUMS: usize = 30;

/// `x_(k+2) = x_(k+1) + x_k^T`: as many paths lead to `x_0` as the Fibonacci number of the last
/// index. Also the sums, in order.
fn sums_of_sums(count: usize) -> (Model, Vec<TensorId>) {
    let mut b = Builder::new(60);
    let x = b.input(&[3, 3], -8, 7);
    let mut pair = [b.plain_relu(x), b.relu(x)];
    let mut sums = vec![];
    for _ in 0..count {
        let turned = b.permute(pair[0], &[3, 3], &[1, 0]);
        let sum = b.sum(&[(1, pair[1]), (1, turned)]);
        sums.push(sum);
        pair = [pair[1], sum];
    }
    b.output(pair[1]);
    (b.finish(), sums)
}

/// A layer that nine tables read, of which products and sums lead to another merged tensor.
fn many_readers() -> Model {
    let mut b = Builder::new(61);
    let x = b.input(&[5], -8, 7);
    let y = b.dense(x, &[5], &[6]);
    let mut cells = vec![];
    for _ in 0..9 {
        cells.push(b.relu(y));
    }
    let sum = b.sum(&cells.iter().map(|&h| (1, h)).collect::<Vec<_>>());
    for h in cells {
        let p = b.contract("a,a->a", sum, h);
        b.output(p);
    }
    b.finish()
}

#[test]
fn paths_do_not_multiply() {
    let (model, _) = sums_of_sums(SUMS);
    let claims = |model: &Model| {
        let plan = plan(model, 1);
        let analysis = analyse(&plan, &WeightPlan::new(&model.graph)).expect("walks");
        let merged: usize = analysis.stages.iter().map(|stage| stage.merged).sum();
        (analysis.witness_claims, merged)
    };
    let (witness, merged) = claims(&model);
    // Four columns, and what three readers of the first two tensors lead to them.
    assert!(witness <= 4 + 3 * 8, "{witness}");
    assert!(merged > SUMS, "{merged}");
    // Few enough: `x_6 = 8 x_1 + 5 x_0`, up to transposing.
    let (witness, merged) = claims(&sums_of_sums(5).0);
    assert_eq!((witness, merged), (4 + 8 + 5, 0));
}

/// The union bound has a term for every claim that is merged.
#[test]
fn merged_claims_cost_security() {
    let (model, _) = sums_of_sums(SUMS);
    let plan = plan(&model, 1);
    let analysis = analyse(&plan, &WeightPlan::new(&model.graph)).expect("walks");
    let case = Case::<Clear>::new(model.clone(), 1);
    let security = case.vk.security(1).expect("a bound");
    let stages = security
        .terms
        .iter()
        .filter(|t| t.name.starts_with("linear stage"));
    let stages: Vec<_> = stages.collect();
    assert_eq!(stages.len(), analysis.stages.len());
    for (term, stage) in stages.into_iter().zip(&analysis.stages) {
        let roots = stage.instances + stage.merged + stage.rounds * stage.degree;
        let bits = 128.0 - (roots as f64).log2();
        assert!((term.bits - bits).abs() < 1e-6, "{term:?}");
    }
}

/// A lie about a merged tensor that all of its readers share: what it is made of disagrees.
#[test]
fn a_merged_tensor_that_is_not_its_sum_is_rejected() {
    let (model, sums) = sums_of_sums(SUMS);
    let [case, hidden] = Case::<Clear>::both(&model, 1);
    let plan = case.plan();
    let merged = |tensor: &usize| plan.merge_level(TensorId(*tensor)).is_some();
    let merged = (0..plan.graph.nodes.len()).filter(merged).count();
    assert!(merged >= 8, "{merged}");
    for (case, first) in (0..SUMS).flat_map(|first| [(&case, first), (&hidden, first)]) {
        let (plan, key) = (case.plan(), case.vk.digest());
        let (mut statement, mut witness) =
            run(&plan, &case.model, key, &case.inputs, &mut |_, _, _, _| {});
        // Cell (0, 0), which transposing leaves where it is.
        let mut lie = [0, 1];
        for &sum in &sums[first..] {
            for tensor in [Some(sum), transpose_of(&case.model, sum)]
                .into_iter()
                .flatten()
            {
                witness.tensors[tensor.0].cells.0[0] += F::from_i64(lie[1]);
            }
            lie = [lie[1], lie[0] + lie[1]];
        }
        public(&mut statement.outputs[0])[0] += lie[0];
        assert!(case.judge(&plan, &statement, &witness).is_err(), "{first}");
    }
}

fn transpose_of(model: &Model, x: TensorId) -> Option<TensorId> {
    let mut nodes = model.graph.nodes.iter();
    nodes.position(|node| node.inputs == [x]).map(TensorId)
}

/// Adds to values that are sent; the first operand of a sum follows from the others.
struct Liar<'a> {
    honest: LinearProver<'a, Padded>,
    lies: std::vec::IntoIter<i64>,
}

impl Party for Liar<'_> {
    type V = E;

    fn constant(&mut self, value: E) -> E {
        value
    }

    fn computed(&mut self, value: impl FnOnce() -> Option<E>) -> Option<E> {
        value()
    }

    fn value(&mut self, wanted: Wanted<'_>) -> Result<E, VerifyError> {
        let lie = match wanted {
            Wanted::Tensor(..) => self.lies.next().unwrap_or(0),
            Wanted::Bias(..) => 0,
        };
        let value = self.honest.evaluate(wanted) + E::from_i64(lie);
        self.honest.send_operand(value);
        Ok(value)
    }

    fn challenge(&mut self) -> E {
        self.honest.challenge()
    }

    fn sumcheck(
        &mut self,
        instances: &[Instance<'_>],
        claims: &[E],
    ) -> Result<Vec<InstanceEnd<E>>, VerifyError> {
        self.honest.sumcheck(instances, claims)
    }
}

/// False claims that cancel in a sum without challenges.
#[test]
fn lies_about_one_tensor_do_not_cancel() {
    let mut b = Builder::new(62);
    let x = b.input(&[3, 5], -8, 7);
    let y = b.sum(&[(1, x), (3, x)]);
    let total = b.sum(&[(1, y); 10]);
    b.output(total);
    let case = Case::<Clear>::new(b.finish(), 1);
    let graph = &case.model.graph;
    let (plan, weights) = (plan(&case.model, 1), WeightPlan::new(graph));
    let (_, witness) = run(
        &plan,
        &case.model,
        case.vk.digest(),
        &case.inputs,
        &mut |_, _, _, _| {},
    );
    let accepted = |lies: Vec<i64>| {
        let mut tape = ProverTape::new(&[0; 32]);
        let point = Point::new(tape.sample_vec(plan.num_vars(total)));
        let claim = || TensorClaim {
            tensor: total,
            point: point.clone(),
            value: witness.tensors[total.0].eval(&point),
        };
        let mut liar = Liar {
            honest: LinearProver {
                model: &case.model,
                bias_axes: vec![],
                tensors: &witness.tensors,
                tape: &mut tape,
                contracted: &mut Contracted::default(),
            },
            lies: lies.into_iter(),
        };
        let _ = reduce(&plan, &weights, vec![claim()], &mut liar).expect("walks");
        let tape = tape.finish();
        let channel = &mut VerifierTape::new(&[0; 32], &tape);
        let _ = zkstrata_pcs::Channel::sample_vec(channel, point.len());
        let ends = reduce(
            &plan,
            &weights,
            vec![claim()],
            &mut LinearVerifier { channel },
        );
        ends.is_ok_and(|ends| {
            let holds = |c: &TensorClaim<E>| witness.tensors[c.tensor.0].eval(&c.point) == c.value;
            ends.inputs.iter().all(holds)
        })
    };
    assert!(accepted(vec![]));
    assert!(!accepted(vec![1]));
    assert!(!accepted(vec![1, -1]));
    assert!(!accepted(vec![0, 3, 0, -3]));
}
