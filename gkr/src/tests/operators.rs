//! Every ONNX operator under attack: the quantised models of ONNX's own operator tests, as the
//! models of [`super::suite`] are.
//!
//! Those are the suite `onnx-node-tests` of the environment variable `ZKSTRATA_SUITES`
//! (CONTRIBUTING.md).

use super::attacks::{Case, garbage};
use super::field_run::run;
use super::suite::public;
use crate::{SetupError, Visibility, Weights};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use zkstrata_conformance::{Profile, Sample, samples};
use zkstrata_mle::{F, PrimeCharacteristicRing};
use zkstrata_model_ir::int::{Ints, Node};
use zkstrata_pcs::Clear;

/// Most cells of all tensors of a model: the naive run visits each for each of its terms.
const CELLS: usize = 1 << 13;
/// Most cases of an operator.
const CASES: usize = 2;
/// An odd batch, so that its axis is padded, too.
const BATCH: usize = 3;
/// Most table nodes of a model that are attacked one by one.
const TABLES: usize = 4;

/// Small models, at most [`CASES`] an operator, the largest ones of those.
fn models() -> Vec<Sample> {
    let suites = std::env::var_os("ZKSTRATA_SUITES");
    let suites = suites.expect("ZKSTRATA_SUITES is the folder of the suites, see CONTRIBUTING.md");
    let suite = PathBuf::from(suites).join("onnx-node-tests");
    let mut operators: BTreeMap<String, Vec<(usize, Sample)>> = BTreeMap::new();
    for sample in samples(&suite, Profile::Fast).expect("cases") {
        let nodes = &sample.model.graph.nodes;
        let cells: usize = nodes.iter().map(Node::cells).sum();
        if cells <= CELLS {
            let cases = operators.entry(sample.row.clone()).or_default();
            cases.push((cells, sample));
        }
    }
    let largest = |mut cases: Vec<(usize, Sample)>| {
        cases.sort_by_key(|&(cells, _)| std::cmp::Reverse(cells));
        cases.into_iter().take(CASES).map(|(_, sample)| sample)
    };
    operators.into_values().flat_map(largest).collect()
}

/// The case with its input [`BATCH`] times, in the clear and with hidden inputs, unless these have too many
/// values to be looked up.
fn cases(sample: &Sample) -> Vec<Case<Clear>> {
    let cells = |port: &Ints| {
        let one: Vec<i64> = (0..port.len()).map(|i| port.get(i)).collect();
        one.repeat(BATCH)
    };
    let inputs: Vec<Vec<i64>> = sample.inputs.iter().map(cells).collect();
    let model = &sample.model;
    let case = |who| match Case::with(model.clone(), inputs.clone(), BATCH, Weights::Compact, who) {
        Err(SetupError::Guard(_)) if who == Visibility::Private => None,
        made => Some(made.expect("sets up")),
    };
    let cases = [Visibility::Public, Visibility::Private].map(case);
    cases.into_iter().flatten().collect()
}

#[test]
#[ignore = "needs the suites of ZKSTRATA_SUITES"]
fn every_operator_under_attack() {
    let models = models();
    let operators: BTreeSet<&str> = models.iter().map(|s| &*s.row).collect();
    assert!(operators.len() >= 100, "{}", operators.len());
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let all = |sample| {
        let sample: &Sample = sample;
        let named = |case| (&sample.name, case);
        cases(sample).into_iter().map(named)
    };
    let mut hidden = 0;
    for (name, case) in models.iter().flat_map(all) {
        hidden += usize::from(case.hides());
        // The formulas, evaluated naively over padded field elements.
        let (statement, verdict) = case.attack(&mut |_, _, _, _| {});
        assert_eq!(statement, case.honest, "{name}: naive run");
        verdict.unwrap_or_else(|error| panic!("{name}: {error}"));
        let (statement, _) = case.attack(&mut |_, out, limbs, live| {
            let columns = limbs.iter_mut().map(Vec::as_mut_slice);
            for column in columns.chain([out]) {
                for (x, _) in column.iter_mut().zip(live).filter(|(_, live)| !**live) {
                    *x = garbage(&mut rng);
                }
            }
        });
        assert_eq!(statement, case.honest, "{name}: padding leaks");
        let tables = case.table_nodes();
        for target in tables.iter().step_by(tables.len().div_ceil(TABLES).max(1)) {
            let mut attacked = false;
            let (_, verdict) = case.attack(&mut |node, out, _, live| {
                if node == *target {
                    let last = live.iter().rposition(|&live| live).expect("a live cell");
                    out[last] += F::ONE;
                    attacked = true;
                }
            });
            assert!(
                attacked && verdict.is_err(),
                "{name}: node {target} off by one"
            );
        }
        let plan = case.plan();
        let key = case.vk.digest();
        let (_, honest) = run(&plan, &case.model, key, &case.inputs, &mut |_, _, _, _| {});
        for output in 0..case.honest.outputs.len() {
            let mut changed = case.honest.clone();
            public(&mut changed.outputs[output])[0] += 1;
            let verdict = case.judge(&plan, &changed, &honest);
            assert!(verdict.is_err(), "{name}: false output {output}");
        }
    }
    assert!(2 * hidden > models.len(), "{hidden} of {}", models.len());
}
