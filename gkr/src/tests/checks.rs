//! Checks of the verifier that no lie of a prover leads to: the proof of work, roots of zero, the
//! batch, the bound on the security, what a key that is read must be; and every term of that bound.

use super::attacks::Case;
use super::build::{Builder, inputs, plan, plan_of, valid};
use super::suite::{self, models};
use crate::PortValue;
use crate::claim::count;
use crate::constants::{Constants, PublicWeights};
use crate::key::file_of;
use crate::linear::analyse;
use crate::lookup::check_roots;
use crate::lookup::fraction::FractionClaim;
use crate::plan::WeightPlan;
use crate::proof::Proof;
use crate::verify::reduce_statement;
use crate::witness::Witness;
use crate::{
    FileError, ProveError, ProvingKey, Security, SetupError, SetupOptions, Statement,
    StatementError, VerifyError, VerifyingKey, Weights, setup_scheme,
};
use zkstrata_mle::{E, Point, PrimeCharacteristicRing};
use zkstrata_model_ir::int::{Executor, Interval, Model, Op, RunError};
use zkstrata_pcs::Seed;
use zkstrata_pcs::joint::{
    Column, HiddenLeaves, Joint, Layout, Partial, Relation, RelationProver, RelationScheme,
    SourceRef, Word,
};
use zkstrata_pcs::{Clear, Error, ProverTape, SoundnessTerm, TapeError, VerifierTape};

/// `Clear` with soundness terms of a commitment scheme: one for each source, of `BITS` bits.
#[derive(Debug)]
struct Weak<const BITS: u32>;

impl<const BITS: u32> RelationScheme for Weak<BITS> {
    type Commitment = <Clear as RelationScheme>::Commitment;
    const NAME: &'static str = "weak";
    const PARAMETERS: u32 = BITS;

    fn recv_commitment(
        layout: &Layout,
        tape: &mut VerifierTape<'_>,
    ) -> Result<Self::Commitment, Error> {
        <Clear as RelationScheme>::recv_commitment(layout, tape)
    }

    fn check_commitment(commitment: &Self::Commitment, layout: &Layout) -> Result<(), Error> {
        <Clear as RelationScheme>::check_commitment(commitment, layout)
    }

    fn verify(
        sources: &[SourceRef<'_, Self::Commitment>],
        relation: &Relation,
        tape: &mut VerifierTape<'_>,
    ) -> Result<(), Error> {
        <Clear as RelationScheme>::verify(sources, relation, tape)
    }

    fn hidden_leaves(_: &[&Layout]) -> Result<Option<HiddenLeaves>, Error> {
        Ok(None)
    }

    fn soundness(sources: &[&Layout]) -> Result<Vec<SoundnessTerm>, Error> {
        let term = |layout: &&Layout| SoundnessTerm {
            name: match layout.word() {
                Word::Committed => "Proof".into(),
                Word::Codeword | Word::Certified | Word::Uncertified => "Key".into(),
                Word::Shared => "Port".into(),
            },
            bits: BITS.into(),
        };
        Ok(sources.iter().map(term).collect())
    }
}

impl<const BITS: u32> RelationProver for Weak<BITS> {
    fn commit_hidden(
        layout: &Layout,
        columns: Vec<Column>,
        _: &Seed,
    ) -> Result<(Self::Commitment, Self::Data), Error> {
        Self::commit(layout, columns)
    }

    type Data = ();

    fn commit(layout: &Layout, columns: Vec<Column>) -> Result<(Self::Commitment, ()), Error> {
        <Clear as RelationProver>::commit(layout, columns)
    }

    fn send_commitment(commitment: &Self::Commitment, tape: &mut ProverTape) {
        <Clear as RelationProver>::send_commitment(commitment, tape);
    }

    fn open(
        sources: &[&()],
        relation: &Relation,
        known: &[Vec<Option<Partial>>],
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        <Clear as RelationProver>::open(sources, relation, known, tape)
    }

    fn certify(
        sources: &[&()],
        certified: usize,
        relation: &Relation,
        tape: &mut ProverTape,
    ) -> Result<(), Error> {
        <Clear as RelationProver>::certify(sources, certified, relation, tape)
    }

    fn spend(data: &(), uses: usize) -> Result<(), Error> {
        <Clear as RelationProver>::spend(data, uses)
    }

    fn restore(data: &(), left: usize) -> Result<(), Error> {
        <Clear as RelationProver>::restore(data, left)
    }

    fn left(data: &()) -> Option<usize> {
        <Clear as RelationProver>::left(data)
    }
}

/// A proof that a prover makes under any key of a model, whatever the key allows.
fn proof_under<C: RelationProver<Data = ()>>(
    model: &Model,
    key: &VerifyingKey<C>,
    batch: usize,
) -> (Statement, Proof) {
    let executor = Executor::new(model).expect("a valid model");
    let pk = ProvingKey::new(model.clone(), executor, key.clone(), (Some(()), None));
    let x = inputs(model, batch, 9);
    let trace = pk.run(&x).expect("runs");
    let outputs = model.graph.outputs.iter().map(|port| {
        let cells = &trace.tensors[port.tensor.0];
        PortValue::Public((0..cells.len()).map(|i| cells.get(i)).collect())
    });
    let statement = Statement {
        model: key.digest(),
        outputs: outputs.collect(),
        context: [0; 32],
        session: None,
        inputs: x.into_iter().map(PortValue::Public).collect(),
    };
    let plan = plan(model, batch);
    let witness = Witness::new(&plan, trace);
    let (tape, _) = pk
        .prove_witness(&plan, &statement, &witness, None)
        .expect("proves");
    (statement, Proof { tape })
}

/// A proof is of the trace that it is made of, and integers that an input does not hold are an
/// error, not others modulo 2^16.
#[test]
fn inputs_are_checked_before_they_are_run() {
    let case = Case::<Clear>::new(suite::mlp(), 2);
    let trace = case.pk.run(&case.inputs).expect("runs");
    let (statement, proof) = case.pk.prove_trace(trace).expect("proves");
    assert_eq!(statement, case.honest);
    case.vk.verify(&statement, &proof).expect("verifies");

    let refused = |change: &dyn Fn(&mut Vec<Vec<i64>>)| {
        let mut inputs = case.inputs.clone();
        change(&mut inputs);
        let refused = case.pk.prove_integers(&inputs).expect_err("refused");
        let run = case.pk.run(&inputs).expect_err("refused");
        assert_eq!(run.to_string(), refused.to_string());
        match refused {
            ProveError::Run(error) => error,
            other => panic!("{other}"),
        }
    };
    for beyond in [1 << 16, -(1 << 16), 1 << 32, i64::MIN] {
        let error = refused(&|x| x[0][1] = x[0][1].wrapping_add(beyond));
        assert!(
            matches!(error, RunError::InputCell { index: 1, .. }),
            "{error}"
        );
    }
    let error = refused(&|x| x[0].truncate(1));
    assert!(
        matches!(error, RunError::InputLength { got: 1, .. }),
        "{error}"
    );
    let error = refused(&|x| x[0].clear());
    assert!(
        matches!(error, RunError::InputLength { got: 0, .. }),
        "{error}"
    );
    let error = refused(&|x| x.push(vec![]));
    assert!(
        matches!(error, RunError::InputCount { got: 2, .. }),
        "{error}"
    );
    let many: Vec<i64> = case.inputs[0]
        .iter()
        .copied()
        .cycle()
        .take(600 * case.inputs[0].len())
        .collect();
    let refused = case.pk.prove_integers(&[many]).expect_err("a large batch");
    let batch = ProveError::Statement(StatementError::Batch {
        batch: 1200,
        max: case.vk.max_batch(),
    });
    assert_eq!(refused.to_string(), batch.to_string());
}

#[test]
fn a_solution_of_another_puzzle_is_no_proof_of_work() {
    let case = Case::<Clear>::new(suite::mlp(), 1);
    let plan = plan(&case.model, 1);
    let witness = Witness::new(&plan, case.pk.run(&case.inputs).expect("runs"));
    let proven = case.pk.prove_witness(&plan, &case.honest, &witness, None);
    let (tape, messages) = proven.expect("proves");
    let work = messages.iter().find(|m| m.label == "lookup work");
    let range = work.expect("a proof of work").range.clone();
    let honest = u64::from_le_bytes(tape[range.clone()].try_into().expect("8 bytes"));
    let mut refused = 0;
    for nonce in (0..40).filter(|&nonce| nonce != honest) {
        let mut tape = tape.clone();
        tape[range.clone()].copy_from_slice(&u64::to_le_bytes(nonce));
        let verdict = case.vk.verify(&case.honest, &Proof { tape });
        let check = match verdict.expect_err("another nonce") {
            VerifyError::Tape(TapeError::Rejected { check }) => check,
            other => panic!("{other}"),
        };
        refused += usize::from(check == "lookup work");
    }
    // Every 256th nonce is a solution, too, of other challenges.
    assert!(refused >= 35, "{refused} of 39");
}

/// `0 / 0` is equal to every sum.
#[test]
fn a_root_with_denominator_zero_is_rejected() {
    let claim = |p: u64, q: u64| FractionClaim {
        root_p: E::from_u64(p),
        root_q: E::from_u64(q),
        point: Point::default(),
        p: E::ZERO,
        q: E::ONE,
    };
    let verdict = |leaves: (u64, u64), tables: (u64, u64), dead| {
        let mut tape = VerifierTape::new(&[0; 32], &[]);
        let (leaves, tables) = (claim(leaves.0, leaves.1), claim(tables.0, tables.1));
        match check_roots(&leaves, &tables, dead, &mut tape) {
            Ok(()) => "accepted",
            Err(VerifyError::Tape(TapeError::Rejected { check })) => check,
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(verdict((3, 4), (6, 8), 0), "accepted");
    assert_eq!(verdict((11, 4), (6, 8), 2), "accepted");
    assert_eq!(verdict((11, 4), (6, 8), 1), "lookup sums");
    assert_eq!(verdict((3, 4), (6, 9), 0), "lookup sums");
    assert_eq!(verdict((0, 0), (6, 8), 0), "lookup denominator");
    assert_eq!(verdict((3, 4), (0, 0), 0), "table denominator");
}

#[test]
fn a_batch_that_the_key_does_not_allow_is_rejected() {
    let model = suite::mlp();
    let keys = setup_scheme::<Clear>(model.clone(), &SetupOptions::default());
    let (_, honest) = keys.expect("sets up");
    let key = |max| {
        VerifyingKey::<Clear>::new(
            valid(&model.graph),
            honest.constants.clone(),
            SetupOptions::default(),
            max,
        )
    };
    let (statement, proof) = proof_under(&model, &key(2), 2);
    key(2)
        .verify(&statement, &proof)
        .expect("as many as it allows");
    // The same, but for the limit.
    let (statement, proof) = proof_under(&model, &key(1), 2);
    let batch = |verdict| match verdict {
        Err(VerifyError::Statement(StatementError::Batch { batch, max })) => (batch, max),
        other => panic!("{other:?}"),
    };
    assert_eq!(batch(key(1).verify(&statement, &proof)), (2, 1));
    let nothing = Statement {
        model: honest.digest(),
        context: [0; 32],
        session: None,
        inputs: vec![PortValue::Public(vec![]); statement.inputs.len()],
        outputs: vec![PortValue::Public(vec![]); statement.outputs.len()],
    };
    let empty = Proof { tape: vec![] };
    assert_eq!(
        batch(honest.verify(&nothing, &empty)),
        (0, honest.max_batch())
    );
}

#[test]
fn a_key_below_100_bits_is_refused_everywhere() {
    let model = suite::mlp();
    let keys = setup_scheme::<Weak<101>>(model.clone(), &SetupOptions::default());
    let error = keys
        .map(|_| ())
        .expect_err("two openings of 101 bits are 100 in all");
    assert!(matches!(error, SetupError::Security { .. }), "{error}");
    setup_scheme::<Weak<110>>(model.clone(), &SetupOptions::default()).expect("enough");
    let keys = setup_scheme::<Clear>(model.clone(), &SetupOptions::default());
    let constants = keys.expect("sets up").1.constants;
    let weak = VerifyingKey::<Weak<99>>::new(
        valid(&model.graph),
        constants.clone(),
        SetupOptions::default(),
        1,
    );
    let error = VerifyingKey::<Weak<99>>::from_bytes(&weak.to_bytes()).expect_err("too weak");
    assert!(error.to_string().contains("bits of security"), "{error}");
    let (statement, proof) = proof_under(&model, &weak, 1);
    let error = weak.verify(&statement, &proof).expect_err("too weak");
    assert!(error.to_string().contains("bits of security"), "{error}");
    let strong =
        VerifyingKey::<Weak<110>>::new(valid(&model.graph), constants, SetupOptions::default(), 1);
    let (statement, proof) = proof_under(&model, &strong, 1);
    strong.verify(&statement, &proof).expect("enough");
}

/// Reads the key of a model with an edited graph and other constants.
fn reread(
    edit: impl FnOnce(&mut Model, &mut Constants<<Clear as RelationScheme>::Commitment>),
) -> Result<(), FileError> {
    let mut model = suite::conv();
    let keys = setup_scheme::<Clear>(model.clone(), &SetupOptions::default());
    let mut constants = keys.expect("sets up").1.constants;
    edit(&mut model, &mut constants);
    let key = file_of::<Clear>(model.graph, constants, &SetupOptions::default(), 1);
    VerifyingKey::<Clear>::from_bytes(&key).map(|_| ())
}

#[test]
fn a_key_whose_intervals_do_not_hold_is_not_read() {
    reread(|_, _| {}).expect("an honest key");
    let narrow = |op: fn(&Op) -> bool| {
        let mut model = suite::residual();
        let nodes = &mut model.graph.nodes;
        let node = nodes.iter_mut().find(|n| op(&n.op)).expect("such a node");
        let Interval { lo, hi } = node.interval;
        node.interval = Interval { lo: lo + 1, hi };
        let keys = setup_scheme::<Clear>(suite::residual(), &SetupOptions::default());
        let constants = keys.expect("sets up").1.constants;
        let key = file_of::<Clear>(model.graph, constants, &SetupOptions::default(), 1);
        VerifyingKey::<Clear>::from_bytes(&key).expect_err("narrower than its cells")
    };
    let error = narrow(|op| matches!(op, Op::Sum { .. }));
    assert!(error.to_string().contains("may leave"), "{error}");
    let error = narrow(|op| matches!(op, Op::Table { .. }));
    assert!(
        error.to_string().contains("leave the node's interval"),
        "{error}"
    );
}

#[test]
fn a_key_whose_commitment_or_constants_do_not_fit_is_not_read() {
    let refused = |what: &str, found: Result<(), FileError>| {
        let error = found.expect_err(what).to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    let other = |model: Model| {
        let keys = setup_scheme::<Clear>(model, &SetupOptions::default());
        keys.expect("sets up").1.constants
    };
    // A commitment to more or fewer weights.
    refused(
        "the number of cells is not the layout's",
        reread(|_, constants| *constants = other(suite::mlp())),
    );
    // Weights that the graph calls for are not there, and the other way round.
    refused(
        "weights do not fit the graph",
        reread(|_, constants| *constants = Constants::None),
    );
    let commitment = other(suite::mlp());
    let public = Constants::Public(PublicWeights::new(&suite::mlp()).into());
    for surplus in [commitment, public] {
        let (model, surplus) = (without_weights(), surplus.clone());
        let key = file_of::<Clear>(model.graph, surplus, &SetupOptions::default(), 1);
        let read = VerifyingKey::<Clear>::from_bytes(&key);
        refused("weights do not fit the graph", read.map(|_| ()));
    }
}

/// A key in memory whose commitment is missing: a proof that leaves out the claims on weights.
#[test]
fn claims_without_a_commitment_are_refused() {
    let model = suite::mlp();
    let graph = valid(&model.graph);
    let key = VerifyingKey::<Clear>::new(graph, Constants::None, SetupOptions::default(), 1);
    let executor = Executor::new(&model).expect("a valid model");
    let pk = ProvingKey::new(model.clone(), executor, key.clone(), (None, None));
    let proven = pk.prove_integers(&inputs(&model, 1, 9));
    let (statement, proof) = proven.expect("proves all but the weights");
    let error = key.verify(&statement, &proof).expect_err("unproven claims");
    let error = error.to_string();
    assert!(error.contains("nobody has committed to"), "{error}");
}

fn without_weights() -> Model {
    let mut b = Builder::new(3);
    let x = b.input(&[5], -8, 7);
    let y = b.plain_relu(x);
    b.output(y);
    b.finish()
}

/// `log2` of the field's size less `n`'s.
fn bits(n: f64) -> f64 {
    127.999_999_999 - n.log2()
}

fn term<'a>(security: &'a Security, name: &str) -> Vec<&'a SoundnessTerm> {
    let named = |term: &&SoundnessTerm| term.name.starts_with(name);
    security.terms.iter().filter(named).collect()
}

/// Every term against the formula of its argument, counted from the graph anew, and the claims of
/// the openings against those of a verification.
#[test]
fn every_term_of_the_bound_is_counted() {
    let mut single_limbs = 0;
    for (name, model) in models() {
        for batch in [1, 3] {
            let options = SetupOptions::default();
            let keys = setup_scheme::<Weak<120>>(model.clone(), &options);
            let (pk, vk) = keys.expect("sets up");
            let security = vk.security(batch).expect("a report");
            let plan = plan(&model, batch);
            let mut leaves = 0.0;
            for node in &model.graph.nodes {
                let Op::Table { shift, ranges, .. } = &node.op else {
                    continue;
                };
                let cells: usize = node.axes.iter().map(|n| n.next_power_of_two()).product();
                let cells = (cells * batch.next_power_of_two()) as f64;
                leaves += if *shift > 0 { 2.0 * cells } else { cells };
                let own = ranges.len().saturating_sub(1);
                single_limbs += own;
                leaves += own as f64 * cells;
            }
            let lookups = leaves > 0.0;
            let near = |found: Vec<&SoundnessTerm>, expected: f64| {
                assert_eq!(found.len(), usize::from(lookups), "{name}");
                for term in found {
                    let distance = (term.bits - expected).abs();
                    assert!(distance < 1e-6, "{name}: {term:?}, {expected}");
                }
            };
            let rows = (1usize << plan.table_vars) as f64;
            // 8 bits of work.
            near(
                term(&security, "lookup: random"),
                bits(2.0 * (leaves + rows)) + 8.0,
            );
            let tree = |vars: usize| bits((vars.max(1) * vars.max(1) + vars.max(1)) as f64);
            near(term(&security, "GKR of the leaf"), tree(plan.leaf_vars));
            near(term(&security, "GKR of the table"), tree(plan.table_vars));
            // The stages of the walk and their degrees.
            let weights = WeightPlan::new(&model.graph);
            let analysis = analyse(&plan, &weights).expect("a walk");
            let stages = term(&security, "linear stage");
            assert_eq!(stages.len(), analysis.stages.len(), "{name}");
            for (term, stage) in stages.iter().zip(&analysis.stages) {
                let error = stage.instances + stage.merged + stage.rounds * stage.degree;
                assert!((term.bits - bits(error as f64)).abs() < 1e-6, "{name}");
            }
            let vars = model.graph.outputs.iter().map(|o| plan.num_vars(o.tensor));
            let vars = vars.sum::<usize>().max(1) as f64;
            let [outputs] = term(&security, "outputs")[..] else {
                panic!("{name}: one term")
            };
            assert!((outputs.bits - bits(vars)).abs() < 1e-6, "{name}");
            // The openings, with at least as many claims as there are.
            let (statement, proof) = pk
                .prove_integers(&inputs(&model, batch, 1))
                .expect("proves");
            let ends = ends(&vk, &statement, &proof);
            let counted = |security: &Security, found: usize, witness: bool, key: bool| {
                for (place, is_there) in [("Proof", witness), ("Key", key)] {
                    let terms = term(security, place);
                    assert_eq!(terms.len(), usize::from(is_there), "{name}: {place}");
                }
                let terms = term(security, "opening: one relation");
                assert_eq!(terms.len(), usize::from(found > 1), "{name}");
                let least = bits(found.saturating_sub(1) as f64) + 1e-6;
                assert!(terms.iter().all(|t| t.bits <= least), "{name}: {terms:?}");
            };
            let has_weights = !weights.shape.is_empty();
            counted(&security, ends.0 + ends.1, lookups, has_weights);
            let sum: f64 = security.terms.iter().map(|t| (-t.bits).exp2()).sum();
            assert!((security.total_bits + sum.log2()).abs() < 1e-6, "{name}");
            // Public weights are not opened.
            let options = SetupOptions {
                weights: Weights::Public,
                ..options
            };
            let keys = setup_scheme::<Weak<120>>(model.clone(), &options);
            let security = keys.expect("sets up").1.security(batch).expect("a report");
            counted(&security, ends.0, lookups, false);
        }
    }
    assert!(
        single_limbs > 2,
        "the suite has limbs with blocks of their own"
    );
}

/// Claims on the witness and on the weights at the end of a verification.
fn ends(vk: &VerifyingKey<Weak<120>>, statement: &Statement, proof: &Proof) -> (usize, usize) {
    let batch = statement.batch(vk.graph());
    let plan = plan_of(vk.graph(), batch);
    let weights = WeightPlan::new(vk.graph());
    let mut tape = VerifierTape::new(&statement.digest(batch).0, &proof.tape);
    if let Some(layout) = plan.layout(vk.profile()).expect("a layout") {
        <Clear as RelationScheme>::recv_commitment(&layout, &mut tape).expect("a commitment");
    }
    let ends = reduce_statement(&plan, &weights, statement, &mut tape).expect("an honest proof");
    (count(&ends.witness), count(&ends.weights))
}

/// The scheme's own terms: queries of the witness, and of the weights where they are committed.
#[test]
fn queries_of_both_sources_are_terms() {
    let openings = |weights| {
        let keys = setup_scheme::<Joint>(
            suite::wide(),
            &SetupOptions {
                weights,
                ..SetupOptions::default()
            },
        );
        let security = keys.expect("sets up").1.security(1).expect("a report");
        let queries = |t: &&SoundnessTerm| t.name.contains("queries of source");
        security.terms.iter().filter(queries).count()
    };
    assert_eq!(openings(Weights::Compact), openings(Weights::Public) + 1);
    assert!(openings(Weights::Public) >= 1);
}
