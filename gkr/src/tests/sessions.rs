//! Hidden weights: sessions, what they may do and how often, and sessions of other weights.

use super::build::{Builder, inputs};
use super::suite::{self, models};
use crate::constants::{Constants, HiddenWeights};
use crate::file::{self, SESSION_CERTIFICATE};
use crate::key::FileKind;
use crate::options::{SetupOptions, Trust, Visibilities, Visibility};
use crate::{
    ProveError, ProvingKey, ProvingSession, StatementError, Uses, VerifyError, VerifyingKey,
    Weights, certified_session, file_kind, session_left, setup_scheme,
};
use std::num::NonZeroU16;
use zkstrata_model_ir::int::{Interval, Model, Op};
use zkstrata_pcs::joint::{Joint, RelationProver};
use zkstrata_pcs::{Clear, Error, Seed};

fn hidden(sessions: u16, proofs: u16) -> SetupOptions {
    let uses = |n| NonZeroU16::new(n).expect("some uses");
    SetupOptions {
        weights: Weights::Hidden(Uses {
            sessions: uses(sessions),
            proofs: uses(proofs),
        }),
        ..SetupOptions::default()
    }
}

/// The keys of a model, as they come out of files.
fn keys<C: RelationProver>(
    model: Model,
    options: &SetupOptions,
) -> (ProvingKey<C>, VerifyingKey<C>) {
    let (pk, vk) = setup_scheme::<C>(model, options).expect("sets up");
    let read = ProvingKey::<C>::from_bytes(&pk.to_bytes()).expect("a key file");
    assert_eq!(read.verifying_key().digest(), vk.digest());
    if pk.left().is_some() {
        let count = pk.sessions_to_bytes(0).expect("a key");
        read.resume(&count).expect("its count");
    }
    let vk = VerifyingKey::from_bytes(&vk.to_bytes()).expect("a key file");
    (read, vk)
}

/// Every model that has weights is proven about in a session, and by no other means.
fn accepts<C: RelationProver>(options: &SetupOptions) {
    let mut hidden = 0;
    for (name, model) in models() {
        let x = inputs(&model, 2, 41);
        let (pk, mut vk) = keys::<C>(model, options);
        if vk.weights() == Weights::Compact {
            let (statement, proof) = pk.prove_integers(&x).expect(name);
            vk.verify(&statement, &proof).expect(name);
            assert!(matches!(pk.session(), Err(ProveError::Sessionless)));
            assert!(matches!(vk.accept(&[]), Err(VerifyError::Sessionless)));
            continue;
        }
        hidden += 1;
        assert!(vk.hides() && statement_is_refused(&pk, &x));
        let (session, bytes) = pk.session().expect(name);
        if options.trust == Trust::Certificate {
            let early = vk.accept(&bytes);
            assert!(matches!(early, Err(VerifyError::Uncertified)), "{name}");
            let certificate = pk.certificate().expect(name).expect("a certificate");
            vk.certify(&certificate).expect(name);
        }
        let accepted = vk.accept(&bytes).expect(name);
        assert_eq!(
            accepted.session_digest(),
            session.verifying_key().session_digest()
        );
        let trace = session.run(&x).expect(name);
        for _ in 0..2 {
            let (statement, proof) = session.prove_integers(&x).expect(name);
            accepted.verify(&statement, &proof).expect(name);
            let none = vk.verify(&statement, &proof);
            assert!(matches!(none, Err(VerifyError::NoSession)), "{none:?}");
            for (port, cells) in vk.graph().outputs.iter().zip(&statement.outputs) {
                let own = trace.tensors[port.tensor.0].to_vec();
                assert_eq!(cells.public(), Some(&own[..]), "{name}");
            }
        }
        for security in [vk.security(2), accepted.security(2)] {
            assert!(security.expect("terms").is_enough(), "{name}");
        }
        let certificate = vk.session_security().expect("terms").expect("a session");
        assert!(certificate.is_enough(), "{certificate:?}");
    }
    assert!(hidden > 10);
}

fn statement_is_refused<C: RelationProver>(pk: &ProvingKey<C>, x: &[Vec<i64>]) -> bool {
    matches!(pk.prove_integers(x), Err(ProveError::NoSession))
}

#[test]
fn sessions_prove() {
    accepts::<Clear>(&hidden(2, 2));
    accepts::<Joint>(&hidden(2, 2));
}

/// With everything that can be chosen.
#[test]
fn certified_keys_have_sessions_that_hide_inputs_as_well() {
    let options = SetupOptions {
        trust: Trust::Certificate,
        inputs: Visibilities::all(Visibility::Private),
        ..hidden(1, 2)
    };
    accepts::<Clear>(&options);
    accepts::<Joint>(&options);
}

fn mlp(options: &SetupOptions) -> (ProvingKey<Joint>, VerifyingKey<Joint>, Vec<Vec<i64>>) {
    let x = inputs(&suite::mlp(), 1, 42);
    let (pk, vk) = keys::<Joint>(suite::mlp(), options);
    (pk, vk, x)
}

fn spent<T>(result: &Result<T, ProveError>) -> bool {
    matches!(result, Err(ProveError::Commit(Error::Spent)))
}

#[test]
fn sessions_and_proofs_are_counted() {
    let (pk, vk, x) = mlp(&hidden(2, 2));
    assert_eq!(pk.left(), Some(2));
    let (first, certificate) = pk.session().expect("a session");
    let (second, _) = pk.session().expect("another");
    assert!(spent(&pk.session()));
    assert_eq!(pk.left(), Some(0));
    let clone = first.clone();
    let (statement, proof) = first.prove_integers(&x).expect("a proof");
    clone.prove_integers(&x).expect("another");
    assert!(spent(&first.prove_integers(&x)) && spent(&clone.prove_integers(&x)));
    assert_eq!((first.left(), second.left()), (Some(0), Some(2)));
    let accepted = vk.accept(&certificate).expect("the first one's");
    accepted.verify(&statement, &proof).expect("its proof");

    // Proofs of one session are not of another.
    let (statement, proof) = second.prove_integers(&x).expect("a proof");
    let other = accepted.verify(&statement, &proof);
    assert!(matches!(
        other,
        Err(VerifyError::Statement(StatementError::Session { .. }))
    ));
    let mut renamed = statement.clone();
    renamed.session = accepted.session_digest();
    accepted
        .verify(&renamed, &proof)
        .expect_err("about another commitment");
    // What the key does a session does not: its word is opened by proofs alone.
    assert!(matches!(first.session(), Err(ProveError::InSession)));
    assert!(matches!(first.certificate(), Err(ProveError::InSession)));
    assert!(matches!(
        first.sessions_to_bytes(0),
        Err(ProveError::InSession)
    ));
    assert!(matches!(first.resume(&[]), Err(ProveError::InSession)));
    assert!(ProvingKey::<Joint>::from_bytes(&first.to_bytes_of_key()).is_err());
}

/// Two threads never spend one use twice.
#[test]
fn proofs_are_counted_across_threads() {
    let (pk, _, x) = mlp(&hidden(1, 3));
    let (session, _) = pk.session().expect("a session");
    let proven: usize = std::thread::scope(|scope| {
        let prove = || match session.prove_integers(&x) {
            Ok(_) => 1,
            refused => {
                assert!(spent(&refused));
                0
            }
        };
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(prove)).collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("no panic"))
            .sum()
    });
    assert_eq!((proven, session.left()), (3, Some(0)));
}

#[test]
fn sessions_go_on_from_files() {
    let (pk, vk, x) = mlp(&hidden(2, 3));
    let first = pk.sessions_to_bytes(0).expect("a key");
    let (session, certificate) = pk.session().expect("a session");
    let accepted = vk.accept(&certificate).expect("its certificate");
    session.prove_integers(&x).expect("a proof");
    let bytes = session.to_bytes(1);
    assert_eq!(file_kind(&bytes), Some(FileKind::Session));
    assert_eq!(file_kind(&certificate), Some(FileKind::SessionCertificate));
    drop(session);
    let restored = ProvingSession::from_bytes(&pk, &bytes).expect("a session file");
    assert_eq!(restored.left(), Some(1));
    let (statement, proof) = restored.prove_integers(&x).expect("the last one");
    accepted
        .verify(&statement, &proof)
        .expect("the same session");
    assert!(spent(&restored.prove_integers(&x)));
    let gone = restored.to_bytes(5);
    let gone = ProvingSession::from_bytes(&pk, &gone).expect("a session file");
    assert_eq!(gone.left(), Some(0));

    let (other, _) = setup_scheme::<Joint>(suite::wide(), &hidden(1, 1)).expect("sets up");
    let error = ProvingSession::from_bytes(&other, &bytes);
    assert!(matches!(error, Err(ProveError::OtherKey { .. })));
    for cut in 0..bytes.len() {
        let error = ProvingSession::from_bytes(&pk, &bytes[..cut]);
        assert!(matches!(error, Err(ProveError::Session(_))), "{cut}");
    }
    assert_eq!(session_left(&bytes), Ok((vk.digest(), 1)));
    let named = certified_session(&certificate);
    assert_eq!(
        named,
        Ok((vk.digest(), accepted.session_digest().expect("one")))
    );

    // A key that has had sessions in another process.
    let count = pk.sessions_to_bytes(1).expect("a key");
    assert_eq!(file_kind(&count), Some(FileKind::Sessions));
    let again = ProvingKey::<Joint>::from_bytes(&pk.to_bytes()).expect("a key file");
    assert_eq!(again.left(), Some(0), "a key file does not tell");
    assert!(spent(&again.session()));
    again.resume(&count).expect("its count");
    assert_eq!(again.left(), Some(0));
    again.resume(&first).expect("its first count");
    assert_eq!(again.left(), Some(2));
    for at in 0..count.len() {
        let mut damaged = count.clone();
        damaged[at] ^= 1;
        assert!(
            matches!(again.resume(&damaged), Err(ProveError::Session(_))),
            "{at}"
        );
    }
    let error = other.resume(&count);
    assert!(matches!(error, Err(ProveError::OtherKey { .. })));
    assert!(matches!(pk.resume(&bytes), Err(ProveError::Session(_))));
}

#[test]
fn other_processes_are_refused() {
    let (pk, _, x) = mlp(&hidden(1, 1));
    let (mut session, _) = pk.session().expect("a session");
    session.fork();
    assert!(matches!(
        session.prove_integers(&x),
        Err(ProveError::Forked)
    ));
    assert_eq!(session.left(), Some(1), "nothing has been shown");
}

/// No byte of a certificate may be changed, nor may it be another key's.
#[test]
fn altered_certificates_are_rejected() {
    let (pk, vk, _) = mlp(&hidden(1, 1));
    let (_, certificate) = pk.session().expect("a session");
    let some = certificate.len() / 100;
    for cut in (0..certificate.len()).step_by(some) {
        assert!(vk.accept(&certificate[..cut]).is_err(), "{cut}");
    }
    for at in (0..certificate.len()).step_by(some) {
        let mut wrong = certificate.clone();
        wrong[at] ^= 1;
        assert!(vk.accept(&wrong).is_err(), "{at}");
    }
    let mut long = certificate.clone();
    long.push(0);
    assert!(vk.accept(&long).is_err());
    // The same model, set up again, is hidden by other randomness.
    let (_, other) = setup_scheme::<Joint>(suite::mlp(), &hidden(1, 1)).expect("sets up");
    assert_ne!(other.digest(), vk.digest());
    let error = other.accept(&certificate);
    assert!(matches!(error, Err(VerifyError::Certificate { .. })));
    vk.accept(&certificate).expect("the certificate");
}

/// A model whose weights differ in one cell has no session of the key.
#[test]
fn sessions_of_other_weights_are_rejected() {
    type Certificate<C> = (zkstrata_model_ir::Digest, C, Vec<u8>);
    let (_, vk) = setup_scheme::<Clear>(suite::mlp(), &hidden(1, 1)).expect("sets up");
    let mut changed = suite::mlp();
    changed.weights[0].update(|w| w[3] = if w[3] == 0 { 1 } else { w[3] - w[3].signum() });
    let (other, _) = setup_scheme::<Clear>(changed, &hidden(1, 1)).expect("sets up");
    let (session, bytes) = other.session().expect("a session of the other");
    let (_, commitment, tape): Certificate<zkstrata_pcs::Cells> =
        file::decode(SESSION_CERTIFICATE, &bytes).expect("a certificate");
    let Constants::Hidden(HiddenWeights {
        commitment: own, ..
    }) = &vk.constants
    else {
        panic!("hidden weights");
    };
    assert_ne!(*own, commitment);
    let forged = (vk.digest(), commitment, tape.clone());
    let verdict = vk.accept(&file::encode(SESSION_CERTIFICATE, &forged));
    assert!(
        matches!(verdict, Err(VerifyError::Opening(_))),
        "{verdict:?}"
    );
    let honest = (vk.digest(), own.clone(), tape);
    let accepted = vk.accept(&file::encode(SESSION_CERTIFICATE, &honest));
    accepted.expect("the scheme in the clear has nothing else to show");
    assert!(session.left().is_none());
}

/// What a key tells of the size of hidden weights is a power of two for every layer.
#[test]
fn keys_tell_powers_of_two() {
    for (name, model) in models() {
        let (pk, vk) = setup_scheme::<Clear>(model, &hidden(1, 1)).expect(name);
        for node in &vk.graph().nodes {
            if matches!(node.op, Op::Affine(_) | Op::Constant { .. }) {
                let Interval { lo, hi } = node.interval;
                assert!(hi == 0 || hi.count_ones() == 1, "{name}: {}", node.name);
                assert_eq!(lo, -hi);
            }
        }
        pk.model().validate().expect(name);
    }
}

/// A layer behind a layer: its interval is rounded once that of the first is, and nothing is left of the
/// sums of its weights.
#[test]
fn layers_behind_layers_tell_powers_of_two() {
    let mut b = Builder::new(91);
    let x = b.input(&[5], -8, 7);
    let h = b.dense(x, &[5], &[6]);
    let h = b.sum(&[(3, h), (1, h)]);
    let h = b.dense(h, &[6], &[4]);
    let y = b.dense(h, &[4], &[3]);
    b.output(y);
    let model = b.finish();
    let mut coarse = model.clone();
    coarse.coarsen().expect("bounded");
    for node in coarse
        .graph
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Affine(_)))
    {
        let Interval { lo, hi } = node.interval;
        assert!(lo == -hi && hi.count_ones() == 1, "{lo} {hi}");
    }
    let mut again = coarse.clone();
    again.coarsen().expect("bounded");
    assert_eq!(again.graph, coarse.graph);
    coarse.validate().expect("a valid model");
    let options = SetupOptions {
        trust: Trust::Certificate,
        ..hidden(1, 1)
    };
    // Of one seed a key has one word and one certificate.
    let (pk, vk) = setup_scheme::<Joint>(model, &options).expect("sets up");
    let read = ProvingKey::<Joint>::from_bytes(&pk.to_bytes()).expect("a key file");
    assert_eq!(read.verifying_key().digest(), vk.digest());
    let [first, second] = [pk, read].map(|pk| pk.certificate().expect("a certificate"));
    assert_eq!(first, second);
}

/// The same seed hides other weights by other rows.
#[test]
fn seeds_are_hedged_by_weights() {
    let seed = || Seed::new([5; 32]);
    let root = |model: Model| {
        let keys = crate::setup::setup_seeded::<Joint>(model, &hidden(1, 1), Some(seed()));
        keys.expect("sets up").1
    };
    let commitment = |vk: &VerifyingKey<Joint>| match &vk.constants {
        Constants::Hidden(hidden) => hidden.commitment.clone(),
        _ => panic!("hidden weights"),
    };
    let mlp = root(suite::mlp());
    assert_eq!(mlp.digest(), root(suite::mlp()).digest());
    // Other intervals make another key, of which nothing may be hidden by the same rows.
    let mut wider = suite::mlp();
    wider.graph.nodes[0].interval.hi += 1;
    assert_ne!(commitment(&mlp), commitment(&root(wider)));
    let (pk, _) = setup_scheme::<Joint>(suite::mlp(), &hidden(2, 1)).expect("sets up");
    let certificates = [(); 2].map(|()| pk.session_of(&seed()).expect("a session").1);
    let commitments = certificates.map(|bytes| {
        let body: (
            zkstrata_model_ir::Digest,
            zkstrata_pcs::joint::Commitment,
            Vec<u8>,
        ) = file::decode(SESSION_CERTIFICATE, &bytes).expect("a certificate");
        body.1
    });
    assert_eq!(commitments[0], commitments[1]);
    let mut other = suite::mlp();
    other.weights[0].update(|w| w[0] ^= 1);
    let (other, _) = setup_scheme::<Joint>(other, &hidden(2, 1)).expect("sets up");
    let [own, others] = [&pk, &other].map(|pk| *pk.hedged(&seed()).to_bytes());
    assert_ne!(own, others);
}
