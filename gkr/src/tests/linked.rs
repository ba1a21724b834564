//! Committed inputs and outputs: what links two proofs, what a key and a statement must say of them, how often
//! a commitment is used, and files.

use super::build::{Builder, valid};
use super::ports::{COMMITTED, Case, PUBLIC, options};
use super::suite::{self, public};
use crate::commitment::{DEFAULT_USES, TensorForm};
use crate::secret::{TensorSecret, hedged};
use crate::{
    FileError, Given, PortValue, ProofProfile, ProveError, Proven, SetupError, SetupOptions,
    Statement, StatementError, TensorCommitment, VerifyError, VerifyingKey, Visibilities,
    Visibility, setup_scheme,
};
use std::num::NonZeroU16;
use zkstrata_model_ir::int::Model;
use zkstrata_pcs::joint::{Joint, RelationProver, RelationScheme};
use zkstrata_pcs::{Clear, Seed};

fn uses(n: u16) -> Visibility {
    Visibility::Committed {
        uses: NonZeroU16::new(n).expect("some uses"),
    }
}

/// A model of five inputs whose six outputs are those that [`second`] takes.
fn first() -> Model {
    let mut b = Builder::new(71);
    let x = b.input(&[5], -8, 7);
    let h = b.dense(x, &[5], &[6]);
    let y = b.relu(h);
    b.output(y);
    b.finish()
}

fn second() -> Model {
    let mut b = Builder::new(72);
    let x = b.input(&[6], 0, 15);
    let h = b.dense(x, &[6], &[4]);
    let h = b.relu(h);
    let y = b.dense(h, &[4], &[3]);
    b.output(y);
    b.finish()
}

/// The same of six inputs along two axes.
fn two_axes() -> Model {
    let mut b = Builder::new(73);
    let x = b.input(&[2, 3], 0, 15);
    let y = b.dense(x, &[2, 3], &[3]);
    b.output(y);
    b.finish()
}

/// An output of one model is the input of another, and both proofs say so by one commitment.
fn links<C: RelationProver>(profile: ProofProfile, batch: usize) {
    let with = |options| SetupOptions {
        proof: profile,
        ..options
    };
    let a = Case::<C>::new(
        first(),
        batch,
        &with(options(Visibility::Private, COMMITTED)),
    );
    let one = a.honest();
    a.accepts(&one);
    let link = &one.outputs[0];
    let with = with(options(COMMITTED, PUBLIC));
    // An axis of three behind one of two is padded, one of six is not: other columns.
    let b = Case::<C>::new(two_axes(), batch, &with);
    let refused = b.prove(&[link.cells().to_vec()], &one.outputs);
    let refused = refused.expect_err("another shape").to_string();
    assert!(
        refused.contains("input `in0`") && refused.contains(&format!("[{batch}, 6]")),
        "{refused}"
    );
    let b = Case::<C>::new(second(), batch, &with);
    let two = b.prove(&[link.cells().to_vec()], &one.outputs);
    let two = two.expect("proves");
    b.accepts(&two);
    assert_eq!(one.statement.outputs[0], two.statement.inputs[0]);
    assert_eq!(link.uses_left(), DEFAULT_USES.get() - 2);
    if C::NAME == Joint::NAME {
        // Another run of the first model has other commitments.
        assert_ne!(one.statement.outputs, a.honest().statement.outputs);
        // Witness, weights and the input.
        let security = b.vk.security(batch).expect("terms");
        assert!(security.is_enough(), "{security:?}");
        let queries = security.terms.iter();
        let queries = queries.filter(|t| t.name.contains("queries of source 2"));
        assert_eq!(queries.count(), 1, "{security:?}");
    }
}

#[test]
fn outputs_of_one_model_are_inputs_of_another() {
    for batch in [1, 3] {
        links::<Clear>(ProofProfile::Fast, batch);
        links::<Joint>(ProofProfile::Fast, batch);
    }
    links::<Joint>(ProofProfile::Small, 2);
}

/// The statement says of every port what the key says, and nobody passes one mode for another.
#[test]
fn other_modes_and_other_forms() {
    let case = Case::<Clear>::new(suite::two_ports(), 2, &options(COMMITTED, COMMITTED));
    let proven = case.honest();
    let verdict = |change: &dyn Fn(&mut Statement)| {
        let mut other = proven.statement.clone();
        change(&mut other);
        match case.vk.verify(&other, &proven.proof) {
            Err(VerifyError::Statement(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let cells = case.inputs[0].clone();
    for (error, text) in [
        (
            verdict(&|s| s.inputs[0] = PortValue::Public(cells.clone())),
            "input `in0` is public",
        ),
        (
            verdict(&|s| s.inputs[1] = PortValue::Private),
            "input `in1` is private",
        ),
        (
            verdict(&|s| s.outputs[1] = PortValue::Private),
            "is private",
        ),
        (
            verdict(&|s| s.outputs[1] = PortValue::Public(vec![0; 4])),
            "is public in the statement",
        ),
    ] {
        assert!(
            matches!(error, StatementError::Visibility { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(text), "{error}");
    }
    let commitment = |value: &mut PortValue, change: &dyn Fn(&mut TensorCommitment)| {
        let mut commitment = value.commitment().expect("committed").clone();
        change(&mut commitment);
        *value = PortValue::Committed(commitment);
    };
    let form = |batch, uses| {
        let graph = case.vk.graph();
        TensorForm::new(graph, &graph.inputs[1], batch, uses, ProofProfile::Fast)
    };
    let few = NonZeroU16::MIN;
    for (error, text) in [
        (
            verdict(&|s| commitment(&mut s.inputs[0], &|c| c.form = form(2, DEFAULT_USES))),
            "shape [2, 3] where [2, 6] is needed",
        ),
        (
            verdict(&|s| commitment(&mut s.inputs[1], &|c| c.form = form(3, DEFAULT_USES))),
            "shape [3, 3] where [2, 3] is needed",
        ),
        (
            verdict(&|s| commitment(&mut s.inputs[1], &|c| c.form = form(2, few))),
            "for 1 uses where the key has 4",
        ),
        (
            verdict(&|s| commitment(&mut s.inputs[1], &|c| c.form.profile = ProofProfile::Small)),
            "another profile",
        ),
        (
            verdict(&|s| commitment(&mut s.outputs[0], &|c| c.root.push(0))),
            "malformed",
        ),
        (
            verdict(&|s| commitment(&mut s.outputs[0], &|c| c.root.clear())),
            "malformed",
        ),
    ] {
        assert!(
            matches!(error, StatementError::Commitment { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(text), "{error}");
    }
    // The batch is that of the first output.
    let batch = |n| verdict(&|s| commitment(&mut s.outputs[0], &|c| c.form.batch = n));
    assert!(matches!(batch(0), StatementError::Batch { .. }));
    assert!(matches!(batch(usize::MAX), StatementError::Batch { .. }));
    // The other way round: a commitment where the key shows its port.
    let open = Case::<Clear>::new(suite::two_ports(), 2, &SetupOptions::default());
    let mut shown = open.honest();
    assert_eq!(public(&mut shown.statement.inputs[0]), &open.inputs[0]);
    shown.statement.inputs[0] = proven.statement.inputs[0].clone();
    let error = open.vk.verify(&shown.statement, &shown.proof);
    let error = error
        .expect_err("a commitment to a public input")
        .to_string();
    assert!(error.contains("input `in0` is committed"), "{error}");
}

/// Modes and uses are part of what a key is.
#[test]
fn keys_differ() {
    let mut digests = vec![];
    for (inputs, outputs) in [
        (PUBLIC, PUBLIC),
        (Visibility::Private, PUBLIC),
        (COMMITTED, PUBLIC),
        (uses(5), PUBLIC),
        (PUBLIC, COMMITTED),
        (Visibility::Private, COMMITTED),
        (COMMITTED, uses(1)),
    ] {
        let case = Case::<Clear>::new(suite::mlp(), 1, &options(inputs, outputs));
        case.accepts(&case.honest());
        assert_eq!(case.vk.hides(), (inputs, outputs) != (PUBLIC, PUBLIC));
        digests.push(case.vk.digest().0);
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 7);
}

#[test]
fn options_and_keys_that_make_no_sense() {
    let setup = |options: &SetupOptions| {
        let keys = setup_scheme::<Clear>(suite::two_ports(), options);
        keys.map(|_| ()).expect_err("refused")
    };
    let private = setup(&options(PUBLIC, Visibility::Private));
    assert!(
        matches!(private, SetupError::PrivateOutput { .. }),
        "{private}"
    );
    assert!(
        private.to_string().contains("commit to it instead"),
        "{private}"
    );
    for count in [0, 1, 3] {
        let options = SetupOptions {
            outputs: Visibilities::each(vec![COMMITTED; count]),
            ..SetupOptions::default()
        };
        let SetupError::Visibilities { kind, found, ports } = setup(&options) else {
            panic!("{count} visibilities of two outputs");
        };
        assert_eq!((kind, found, ports), ("outputs", count, 2));
    }
    // Keys of others.
    let model = suite::mlp();
    let open = Case::<Clear>::new(model.clone(), 1, &SetupOptions::default());
    for (options, text) in [
        (options(COMMITTED, PUBLIC), "no lookup of the hidden input"),
        (options(PUBLIC, Visibility::Private), "is private"),
    ] {
        let key =
            VerifyingKey::<Clear>::new(valid(&model.graph), open.vk.constants.clone(), options, 1);
        let error = VerifyingKey::<Clear>::from_bytes(&key.to_bytes());
        let error = error.expect_err("refused").to_string();
        assert!(error.contains(text), "{error}");
    }
}

/// A commitment is used as often as it hides, and no proof starts beyond that.
#[test]
fn spent_commitments() {
    let case = Case::<Joint>::new(suite::mlp(), 1, &options(uses(2), PUBLIC));
    let secret = case.vk.commit_input(0, &case.inputs[0]).expect("commits");
    let clone = [secret.clone()];
    for left in [1, 0] {
        case.accepts(&case.prove(&case.inputs, &clone).expect("proves"));
        assert_eq!(secret.uses_left(), left);
    }
    let error = case.prove(&case.inputs, &clone).expect_err("spent");
    assert!(matches!(error, ProveError::Spent { .. }), "{error}");
    assert!(error.to_string().contains("input `in0`"), "{error}");
    // Neither a proof without it nor a new commitment is concerned.
    case.accepts(&case.honest());
    // As many openings as ports, or none.
    let given = [secret.clone(), secret];
    let error = case.prove(&case.inputs, &given).expect_err("two for one");
    assert!(
        error.to_string().contains("one for each, or none"),
        "{error}"
    );
    let open = Case::<Clear>::new(suite::mlp(), 1, &SetupOptions::default());
    assert!(open.prove(&open.inputs, &given).is_err());
    let no_port = open.vk.commit_input(0, &open.inputs[0]);
    assert!(no_port.is_err_and(|e| e.to_string().contains("set up with it committed")));
    assert!(case.vk.commit_input(7, &[]).is_err());
    assert!(case.vk.commit_input(0, &[]).is_err());
    assert!(case.vk.commit_input(0, &[1; 7]).is_err());
}

/// A use is spent before a proof begins, whatever becomes of it: here the session has no proof left.
#[test]
fn uses_are_spent_by_proofs_that_fail() {
    let options = SetupOptions {
        weights: super::equivocation::hidden(1, 1),
        ..options(COMMITTED, PUBLIC)
    };
    let case = Case::<Joint>::new(suite::mlp(), 1, &options);
    let (session, _) = case.pk.session().expect("a session");
    let secret = case.vk.commit_input(0, &case.inputs[0]).expect("commits");
    let given = Given {
        inputs: vec![secret.clone()],
        ..Given::default()
    };
    let prove = || session.prove_run(session.run(&case.inputs).expect("runs"), &given);
    prove().expect("proves");
    assert_eq!(secret.uses_left(), DEFAULT_USES.get() - 1);
    let spent = prove();
    assert!(matches!(spent, Err(ProveError::Commit(_))), "{spent:?}");
    assert_eq!(secret.uses_left(), DEFAULT_USES.get() - 2);
}

/// Commitments to one tensor have nothing in common, hashes of it are all the same, and no commitment
/// has the blinding of another tensor's.
#[test]
fn commitments_are_fresh() {
    let case = Case::<Joint>::new(suite::mlp(), 1, &options(COMMITTED, COMMITTED));
    let cells = &case.inputs[0];
    let commit = || case.vk.commit_input(0, cells).expect("commits");
    assert_ne!(commit().commitment(), commit().commitment());
    let hash = |cells: &[i64]| case.vk.hash_input(0, cells).expect("hashes");
    assert_eq!(hash(cells).commitment(), hash(cells).commitment());
    let mut other = cells.clone();
    other[1] ^= 1;
    assert_ne!(hash(cells).commitment(), hash(&other).commitment());
    let form = commit().commitment().form.clone();
    let seed = |cells: &[i64]| *hedged(&form, cells, &Seed::new([8; 32])).to_bytes();
    assert_eq!(seed(cells), seed(cells));
    assert_ne!(seed(cells), seed(&other));
    // A hash does for proofs what a commitment does.
    let proven = case.prove(&case.inputs, &[hash(cells)]).expect("proves");
    case.accepts(&proven);
    let (a, b) = (case.honest(), case.honest());
    let words = |proven: &Proven| -> std::collections::BTreeSet<[u8; 8]> {
        let windows = proven.proof.tape.windows(8);
        windows.map(|w| w.try_into().expect("8 bytes")).collect()
    };
    let common = words(&a).intersection(&words(&b)).count();
    assert!(common < 40, "{common}");
}

/// Two ports of one proof that hold the same cells are committed to with rows of their own: what was committed
/// to twice with the same rows would show by its differences what they hide.
#[test]
fn ports_of_a_proof_have_nothing_in_common() {
    let mut b = Builder::new(74);
    let (x, z) = (b.input(&[4], -8, 7), b.input(&[4], -8, 7));
    let y = b.sum(&[(1, x), (3, z)]);
    let y = b.relu(y);
    b.output(y);
    let case = Case::<Joint>::new(b.finish(), 1, &options(COMMITTED, PUBLIC));
    let cells = case.inputs[0].clone();
    let proven = case.prove(&[cells.clone(), cells], &[]).expect("proves");
    case.accepts(&proven);
    assert_ne!(proven.statement.inputs[0], proven.statement.inputs[1]);
}

/// Files of commitments and of what opens them.
#[test]
fn files() {
    let case = Case::<Joint>::new(suite::mlp(), 1, &options(COMMITTED, PUBLIC));
    let secret = case.vk.commit_input(0, &case.inputs[0]).expect("commits");
    let bytes = secret.commitment().to_bytes();
    let read = TensorCommitment::from_bytes(&bytes).expect("a commitment");
    assert_eq!(&read, secret.commitment());
    assert_eq!(read.digest(), secret.commitment().digest());
    assert_eq!((read.shape(), read.uses()), (vec![1, 5], DEFAULT_USES));
    assert!(TensorCommitment::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    let bytes = secret.to_bytes_after(1).expect("uses are left");
    let read = TensorSecret::from_bytes(&bytes).expect("an opening");
    assert_eq!(secret.uses_left(), DEFAULT_USES.get());
    assert_eq!(read.uses_left(), DEFAULT_USES.get() - 1);
    assert_eq!(
        (read.cells(), read.commitment()),
        (secret.cells(), secret.commitment())
    );
    case.accepts(&case.prove(&case.inputs, &[read]).expect("proves"));
    assert!(secret.to_bytes_after(DEFAULT_USES.get() + 1).is_none());
    assert_eq!(format!("{secret:?}"), "TensorSecret");
    for at in [20, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        let error = TensorSecret::from_bytes(&changed).expect_err("damaged");
        assert_eq!(error, FileError::Damaged);
    }
}
