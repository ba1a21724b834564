//! Forgeries that are consistent as far as a prover can make them: a lie is pushed on from message
//! to message ([`Liar`]) until one check of the verifier stands alone against it. Each check that a
//! lie can be made to end in has a test here that fails without it.

use super::attacks::Case;
use super::blame::{Blame, False, Liar, Tree};
use super::build::{Builder, inputs, plan};
use super::field_run::run;
use super::suite::public;
use super::suite::{self, models};
use crate::lookup::fraction::CLEAR_VARS;
use crate::proof::Proof;
use crate::statement::Statement;
use crate::witness::{Evidence, Witness};
use crate::{ProveError, SetupOptions, VerifyError, Weights, setup_scheme};
use std::collections::BTreeMap;
use zkstrata_mle::{F, PrimeCharacteristicRing};
use zkstrata_model_ir::int::{Function, Model, TableId};
use zkstrata_pcs::joint::Joint;
use zkstrata_pcs::{Clear, Error, Seed, TapeError};

/// What a verdict is called.
pub(super) fn class(verdict: &Result<(), VerifyError>) -> String {
    match verdict {
        Ok(()) => "ACCEPTED".into(),
        Err(
            VerifyError::Tape(TapeError::Rejected { check })
            | VerifyError::Opening(Error::Tape(TapeError::Rejected { check })),
        ) => (*check).into(),
        Err(e) => e.to_string(),
    }
}

/// What the verifier says of a prover that goes as far as `blame`, and what it lied about.
fn judge<W: Evidence>(
    case: &Case<Clear>,
    statement: &Statement,
    witness: &W,
    blame: Blame,
) -> (String, Vec<String>) {
    let plan = case.plan();
    let liar = Liar::new(witness, blame);
    let verdict = case.judge(&plan, statement, &liar);
    (class(&verdict), liar.lies())
}

/// The one check that is left of all that are linear in what is sealed.
const RELATION: &str = "sum of the relation";

/// A false cell of the first and of the last table node of every model, by a prover of each blame:
/// how often each verdict is given in the clear, where the prover had to lie. Behind a seal the relation is
/// false.
fn false_cells(batch: usize, blames: &[Blame]) -> BTreeMap<String, usize> {
    let mut verdicts = BTreeMap::new();
    let cases = |(_, model)| Case::<Clear>::both(&model, batch);
    for case in models().into_iter().flat_map(cases) {
        let plan = case.plan();
        if plan.leaf_vars <= CLEAR_VARS {
            // No layer hides between the root and the leaves.
            continue;
        }
        let nodes = case.table_nodes();
        for &target in nodes.iter().take(1).chain(nodes.last()) {
            for &blame in blames {
                let mut lie = |node: usize, out: &mut [F], _: &mut [Vec<F>], live: &[bool]| {
                    if node == target {
                        let cell = live.iter().position(|&live| live).expect("a cell");
                        out[cell] += F::ONE;
                    }
                };
                let digest = case.vk.digest();
                let (statement, witness) = run(&plan, &case.model, digest, &case.inputs, &mut lie);
                if statement
                    .check(&case.model.graph, &SetupOptions::default(), batch)
                    .is_err()
                {
                    // The lie takes an output out of its interval.
                    continue;
                }
                let (verdict, _) = judge(&case, &statement, &witness, blame);
                if case.hides() {
                    assert_eq!(verdict, RELATION);
                } else {
                    *verdicts.entry(verdict).or_insert(0) += 1;
                }
            }
        }
    }
    assert!(verdicts.values().sum::<usize>() > 20, "{verdicts:?}");
    verdicts
}

/// All verdicts are the one of this check.
fn only(verdicts: &BTreeMap<String, usize>, check: &str) {
    let found: Vec<&str> = verdicts.keys().map(String::as_str).collect();
    assert_eq!(found, [check], "{verdicts:?}");
}

#[test]
fn a_false_cell_unbalances_the_sums() {
    only(&false_cells(1, &[Blame::default()]), "lookup sums");
}

#[test]
fn a_root_that_its_layers_do_not_give_is_rejected() {
    for tree in [Tree::Leaves, Tree::Tables] {
        let blame = Blame {
            tree: Some((tree, False::Root)),
            ..Blame::default()
        };
        only(&false_cells(3, &[blame]), "fraction layer");
    }
}

#[test]
fn false_denominators_of_leaves_are_rejected() {
    let blame = Blame {
        tree: Some((Tree::Leaves, False::Denominator)),
        ..Blame::default()
    };
    only(&false_cells(3, &[blame]), "lookup leaf denominators");
}

#[test]
fn false_numerators_of_leaves_are_rejected() {
    let blame = Blame {
        tree: Some((Tree::Leaves, False::Numerator)),
        ..Blame::default()
    };
    only(&false_cells(3, &[blame]), "lookup leaf numerators");
}

#[test]
fn false_denominators_of_tables_are_rejected() {
    let blame = Blame {
        tree: Some((Tree::Tables, False::Denominator)),
        ..Blame::default()
    };
    only(&false_cells(3, &[blame]), "table denominators");
}

#[test]
fn false_numerators_of_tables_end_in_the_multiplicities() {
    let blame = Blame {
        tree: Some((Tree::Tables, False::Numerator)),
        ..Blame::default()
    };
    let verdicts = false_cells(3, &[blame]);
    only(&verdicts, RELATION);
}

#[test]
fn a_false_value_that_is_not_pushed_on_ends_in_the_linear_part_or_an_opening() {
    let blame = |seed| Blame {
        factors: false,
        ..Blame::all(seed)
    };
    let verdicts = false_cells(1, &[blame(0), blame(1), blame(2)]);
    assert!(!verdicts.contains_key("ACCEPTED"), "{verdicts:?}");
    assert!(verdicts.contains_key("linear factors"), "{verdicts:?}");
}

#[test]
fn a_chain_of_lies_through_all_of_the_protocol_ends_in_an_opening() {
    for batch in [1, 3] {
        let verdicts = false_cells(batch, &[0, 1, 2, 3, 4, 5].map(Blame::all));
        assert!(!verdicts.contains_key("ACCEPTED"), "{verdicts:?}");
        let ends = ["public input", "two claims at one point", RELATION];
        let all = verdicts.keys().all(|end| ends.contains(&end.as_str()));
        assert!(all, "{verdicts:?}");
    }
}

#[test]
fn a_false_output_pushed_through_the_linear_part_is_rejected() {
    let mut verdicts = BTreeMap::new();
    for (_, model) in models() {
        for weights in [Weights::Compact, Weights::Public] {
            let x = inputs(&model, 3, 77);
            let both = Case::<Clear>::both_of(&model, &x, 3, weights);
            let ports = |case| {
                let case: &Case<Clear> = case;
                (0..case.honest.outputs.len()).map(move |port| (case, port))
            };
            for (case, port) in both.iter().flat_map(ports) {
                let plan = case.plan();
                let mut statement = case.honest.clone();
                let cell = &mut public(&mut statement.outputs[port])[0];
                let tensor = case.model.graph.outputs[port].tensor;
                let interval = case.model.graph.node(tensor).interval;
                *cell += if *cell < interval.hi { 1 } else { -1 };
                for seed in 0..6 {
                    let trace = case.pk.run(&case.inputs).expect("runs");
                    let witness = Witness::new(&plan, trace);
                    let blame = Blame {
                        seed: 7 * seed + 1,
                        factors: true,
                        ..Blame::default()
                    };
                    let (verdict, _) = judge(case, &statement, &witness, blame);
                    *verdicts.entry(verdict).or_insert(0) += 1;
                }
            }
        }
    }
    assert!(!verdicts.contains_key("ACCEPTED"), "{verdicts:?}");
    for end in ["public input", "public weights", RELATION] {
        assert!(verdicts.contains_key(end), "{end}: {verdicts:?}");
    }
}

#[test]
fn false_operands_pushed_on_are_rejected() {
    let mut lies = 0;
    for (name, model) in models() {
        for weights in [Weights::Compact, Weights::Public] {
            let x = inputs(&model, 2, 77);
            let both = Case::<Clear>::both_of(&model, &x, 2, weights);
            let operands = |case| (0..12).map(move |operand| (case, operand));
            for (case, operand) in both.iter().flat_map(operands) {
                let plan = case.plan();
                let trace = case.pk.run(&case.inputs).expect("runs");
                let witness = Witness::new(&plan, trace);
                let blame = Blame {
                    seed: operand,
                    operand: Some(operand),
                    factors: true,
                    ..Blame::default()
                };
                let (verdict, log) = judge(case, &case.honest, &witness, blame);
                if !log.is_empty() {
                    lies += 1;
                    assert_ne!(verdict, "ACCEPTED", "{name} {weights:?} {operand} {log:?}");
                }
            }
        }
    }
    assert!(lies > 80, "{lies} operands");
}

#[test]
fn lookup_values_that_cancel_are_rejected() {
    let mut lies = 0;
    let cases = |(name, model)| Case::<Clear>::both(&model, 3).map(|case| (name, case));
    for (name, case) in models().into_iter().flat_map(cases) {
        let plan = case.plan();
        for (i, j) in (0..5).flat_map(|i| (0..5).map(move |j| (i, j))) {
            let trace = case.pk.run(&case.inputs).expect("runs");
            let witness = Witness::new(&plan, trace);
            let blame = Blame {
                seed: i + 6 * j,
                pair: Some((i, j)),
                factors: true,
                ..Blame::default()
            };
            let (verdict, log) = judge(&case, &case.honest, &witness, blame);
            if !log.is_empty() {
                lies += 1;
                assert_ne!(verdict, "ACCEPTED", "{name} {i} {j} {log:?}");
            }
        }
    }
    assert!(lies > 200, "{lies} pairs");
}

/// Two tables of one domain: `x^2` and `x^2 + 1`.
fn two_tables() -> Model {
    let mut b = Builder::new(70);
    let x = b.input(&[5], -8, 7);
    let y = b.table(x, 0, |v| Some((v * v) as i32), (0, 0));
    let z = b.table(x, 0, |v| Some((v * v) as i32 + 1), (0, 0));
    b.output(y);
    b.output(z);
    b.finish()
}

#[test]
fn the_row_of_another_table_with_the_same_argument_is_rejected() {
    let both = Case::<Clear>::both(&two_tables(), 2);
    for (case, cell) in both.iter().flat_map(|case| [(case, 0), (case, 3)]) {
        let plan = case.plan();
        let mut lie = |node: usize, out: &mut [F], _: &mut [Vec<F>], _: &[bool]| {
            if node == 1 {
                out[cell] += F::ONE;
            }
        };
        let digest = case.vk.digest();
        let (statement, mut witness) = run(&plan, &case.model, digest, &case.inputs, &mut lie);
        let mut tables = plan.tables.iter();
        let block = tables.find(|t| t.table == TableId(1)).expect("a table");
        let row = (case.inputs[0][cell] + 8) as usize;
        witness.multiplicities[block.offset + row] += F::ONE;
        assert!(case.judge(&plan, &statement, &witness).is_err());
    }
}

/// Beyond the domain, with the value of the last row, which the padding repeats.
#[test]
fn an_argument_beyond_the_domain_is_rejected() {
    let mut model = two_tables();
    for table in &mut model.graph.tables {
        table.len -= 3;
        if let Function::Values(values) = &mut table.function {
            values.truncate(table.len);
        }
    }
    let tables = model.graph.tables.clone();
    let last = |table: usize| {
        let table = &tables[table];
        table
            .get(table.start + table.len as i64 - 1)
            .expect("a row")
    };
    let (pk, vk) = setup_scheme::<Clear>(model.clone(), &SetupOptions::default()).expect("keys");
    for beyond in [5, 6, 7] {
        let x = vec![vec![beyond, 0, 1, -8, 2]];
        assert!(pk.prove_integers(&x).is_err());
        let plan = plan(&model, 1);
        for pad in [0, 3, 20] {
            let mut lie = |node: usize, out: &mut [F], _: &mut [Vec<F>], _: &[bool]| {
                out[0] = F::from_i64(last(node - 1));
            };
            let (statement, mut witness) = run(&plan, &model, vk.digest(), &x, &mut lie);
            for block in &plan.tables {
                let row = block.offset + tables[block.table.0].len - 1 + pad;
                witness.multiplicities[row] += F::ONE;
            }
            let proven = pk.prove_witness(&plan, &statement, &witness, None);
            let (tape, _) = proven.expect("commits");
            let verdict = vk.verify(&statement, &Proof { tape });
            assert!(verdict.is_err(), "{beyond} {pad}");
        }
    }
}

/// `y = h + h`: the two claims on `h` are at one point.
#[test]
fn two_claims_on_one_column_that_cancel_are_rejected() {
    let mut b = Builder::new(71);
    let x = b.input(&[5], -8, 7);
    let h = b.plain_relu(x);
    let y = b.sum(&[(1, h), (1, h)]);
    b.output(y);
    let case = Case::<Clear>::new(b.finish(), 2);
    let plan = plan(&case.model, 2);
    let witness = Witness::new(&plan, case.pk.run(&case.inputs).expect("runs"));
    let blame = Blame {
        operand: Some(0),
        ..Blame::default()
    };
    let (verdict, log) = judge(&case, &case.honest, &witness, blame);
    assert_eq!(
        (verdict.as_str(), log.len()),
        ("two claims at one point", 1)
    );
}

/// The prover runs another constant, and all else follows from it.
#[test]
fn false_constants_are_rejected() {
    let (_, model) = super::products::models().pop().expect("constants");
    let mut lies = 0;
    for weights in [Weights::Compact, Weights::Public] {
        let x = inputs(&model, 3, 5);
        let both = Case::<Clear>::both_of(&model, &x, 3, weights);
        let biases = (0..model.biases.len()).flat_map(|b| [(b, 0), (b, 2)]);
        for (case, (b, k)) in both
            .iter()
            .flat_map(|case| biases.clone().map(move |at| (case, at)))
        {
            let (plan, model) = (case.plan(), &case.model);
            let mut other = model.clone();
            if k + 1 < other.biases[b].len() {
                other.biases[b].swap(k, k + 1);
            }
            if other == *model {
                continue;
            }
            let digest = case.vk.digest();
            let mut honest = |_: usize, _: &mut [F], _: &mut [Vec<F>], _: &[bool]| {};
            let (statement, witness) = run(&plan, &other, digest, &case.inputs, &mut honest);
            let blame = Blame {
                seed: b,
                factors: true,
                ..Blame::default()
            };
            let (verdict, _) = judge(case, &statement, &witness, blame);
            assert_ne!(verdict, "ACCEPTED", "{weights:?}, constant {b}");
            lies += 1;
        }
    }
    assert!(lies > 4, "{lies} constants");
}

/// At the edge of what validation allows, `2^S hi + rem = acc + p` has no `hi` in the domain.
#[test]
fn there_is_no_second_quotient_at_the_edge() {
    let p = 0xffff_ffff_0000_0001_i128;
    for s in [0u32, 1, 8, 12, 31, 48] {
        let step = 1i128 << s;
        for domain in [0i128, 1, 1 << 10, (1 << (62 - s.min(61))) - 2] {
            let ends = (1i128 << 63) - 1 - step * (domain + 1);
            if ends < 0 {
                continue;
            }
            for (acc, wrap) in [ends, -ends, ends - 1, 0]
                .map(|acc| [(acc, p), (acc, -p)])
                .concat()
            {
                let hi = (acc + wrap).div_euclid(step);
                assert!(hi.abs() > domain, "S {s}, domain {domain}, acc {acc}: {hi}");
            }
        }
    }
}

/// With commitments on both sides. The honest opening refuses a false claim: that is where such a
/// prover is stuck.
#[test]
fn a_chain_of_lies_is_stuck_at_the_joint_opening() {
    let mut stuck = 0;
    let cases = |(name, model)| Case::<Joint>::both(&model, 1).map(|case| (name, case));
    let models = [("mlp", suite::mlp()), ("wide", suite::wide())];
    for (name, case) in models.into_iter().flat_map(cases) {
        let plan = case.plan();
        let mut statement = case.honest.clone();
        public(&mut statement.outputs[0])[0] += 1;
        for seed in 0..4 {
            let witness = Witness::new(&plan, case.pk.run(&case.inputs).expect("runs"));
            let blame = Blame {
                seed,
                factors: true,
                ..Blame::default()
            };
            let liar = Liar::new(&witness, blame);
            let seed = case.hides().then(|| Seed::new([9; 32]));
            match case
                .pk
                .prove_witness(&plan, &statement, &liar, seed.as_ref())
            {
                Ok((tape, _)) => {
                    let verdict = case.vk.verify(&statement, &Proof { tape });
                    assert_ne!(class(&verdict), "ACCEPTED", "{name}");
                }
                Err(ProveError::Commit(error)) => {
                    stuck += 1;
                    let error = error.to_string();
                    assert!(error.contains("the relation is false"), "{name}: {error}");
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
    assert!(stuck > 0, "some lie ends in a commitment");
}
