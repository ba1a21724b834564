//! A toy protocol with both ends: sumchecks, openings, products and an inverse, all that a tape can seal.

use crate::channel::Channel;
use crate::counting::{Counting, Counts};
use crate::seal::prove::Values;
use crate::seal::{Book, CHECKS, Known, Pads, Replay, SealError, SealPlan, SealedTape, Settled};
use crate::sumcheck::{self, Factor, Instance, InstanceShape};
use crate::transcript::{ProverTape, TapeError, VerifierTape};
use zkstrata_mle::{
    BasedVectorSpace, E, F, Point, PrimeCharacteristicRing, PrimeField64, eq_eval, eq_table,
};

pub(super) const STATEMENT: [u8; 32] = [3; 32];
pub(super) const VARS: usize = 3;
pub(super) const SCALAR: usize = 16;

/// A stream of numbers without a pattern.
pub(super) struct Stream(pub(super) u64);

impl Stream {
    pub(super) fn word(&mut self) -> F {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        F::from_u64(z ^ (z >> 31))
    }

    pub(super) fn element(&mut self) -> E {
        let (low, high) = (self.word(), self.word());
        element(low, high)
    }

    pub(super) fn elements(&mut self, n: usize) -> Vec<E> {
        (0..n).map(|_| self.element()).collect()
    }
}

pub(super) fn element(low: F, high: F) -> E {
    E::from_basis_coefficients_fn(|k| if k == 0 { low } else { high })
}

/// "I know columns `f` and `g` with `sum f g = y` that are not zero."
#[derive(Clone)]
pub(super) struct Toy {
    pub(super) f: Vec<F>,
    pub(super) g: Vec<F>,
    pub(super) y: E,
}

impl Toy {
    pub(super) fn new(seed: u64) -> Self {
        let mut stream = Stream(seed);
        let [f, g] = [0, 1].map(|_| (0..1 << VARS).map(|_| stream.word()).collect::<Vec<_>>());
        let y = f.iter().zip(&g).map(|(&f, &g)| f * g).sum::<F>().into();
        Self { f, g, y }
    }

    /// Another witness of the same statement.
    pub(super) fn another(&self, seed: u64) -> Self {
        let mut other = Self::new(seed);
        let (y, own) = (to_words(self.y)[0], to_words(other.y)[0]);
        other.g[0] += (y - own) / other.f[0];
        other.y = self.y;
        other
    }

    pub(super) fn columns(&self) -> [&[F]; 3] {
        [&self.f, &self.g, &self.f]
    }
}

pub(super) fn to_words(value: E) -> [F; 2] {
    let words: &[F] = value.as_basis_coefficients_slice();
    [words[0], words[1]]
}

pub(super) fn evaluate(column: &[F], at: &Point) -> E {
    let eq = eq_table(at, column.len(), E::ONE);
    eq.into_iter().zip(column).map(|(eq, &x)| eq * x).sum()
}

/// The plain prover. Instances: `f g`, `eq f` and `f g g`.
pub(super) fn send(toy: &Toy, tape: &mut ProverTape) {
    let at = Point::new(tape.sample_vec(VARS));
    let [f, g] = [&toy.f, &toy.g].map(|column| column.iter().map(|&x| E::from(x)));
    let (f, g): (Vec<E>, Vec<E>) = (f.collect(), g.collect());
    let operand = evaluate(&toy.f, &at);
    let cubes: E = f.iter().zip(&g).map(|(&f, &g)| f * g * g).sum();
    tape.send("operands", &[operand, cubes]);
    let factors = [
        vec![f.clone(), g.clone()],
        vec![eq_table(&at, 1 << VARS, E::ONE), f.clone()],
        vec![f, g.clone(), g],
    ];
    let instances = factors.map(|factors| Instance {
        factors: factors.into_iter().map(Factor::Ext).collect(),
    });
    let bound = sumcheck::prove(instances.into(), &[toy.y, operand, cubes], tape);
    let [f, g] = [bound.ends[0][0], bound.ends[0][1]];
    tape.send("ends", &[f, g, f * f]);
    tape.work("work", 3);
    let weight = tape.sample();
    tape.send("last", &[f + g * weight]);
}

/// The verifier: claims on `f`, `g` and `f`.
pub(super) fn receive<C: Channel>(
    y: E,
    channel: &mut C,
) -> Result<([Point; 3], [C::S; 3]), TapeError> {
    let at = Point::new(channel.sample_vec(VARS));
    let operands = channel.recv("operands", 2)?;
    let [operand, cubes] = operands.try_into().ok().expect("two");
    let shapes = [2, 2, 3].map(|degree| InstanceShape {
        num_vars: VARS,
        degree,
    });
    let claims = [channel.constant(y), operand.clone(), cubes];
    let reduced = sumcheck::verify(&shapes, &claims, channel)?;
    let ends = channel.recv("ends", 3)?;
    let [f, g, square] = ends.try_into().ok().expect("three");
    let fg = channel.mul(&f, &g);
    let fgg = channel.mul(&fg, &g);
    let eq = eq_eval(&at, &reduced.point);
    let [one, two, three] = [0, 1, 2].map(|l| reduced.gammas[l]);
    let summands = fg * one + f.clone() * (two * eq) + fgg * three;
    channel.assert_zero(reduced.value - summands, "ends")?;
    // A product of public values, one with a public value, and a square.
    let [six, seven] = [6, 7].map(|x| channel.constant(E::from_u64(x)));
    let public = channel.mul(&six, &seven);
    let expected = channel.constant(E::from_u64(42));
    channel.assert_zero(public - expected, "public")?;
    let scaled = channel.mul(&six, &f);
    channel.assert_zero(scaled - f.clone() * E::from_u64(6), "scaled")?;
    let own = channel.mul(&f, &f);
    channel.assert_zero(own - square, "square")?;
    channel.assert_nonzero(f.clone(), "f is zero")?;
    channel.check_work("work", 3)?;
    let weight = channel.sample();
    let last = channel.recv_one("last")?;
    channel.assert_zero(last - f.clone() - g.clone() * weight, "last")?;
    channel.assert_nonzero(g.clone() + seven, "g is -7")?;
    let points = [reduced.point.clone(), reduced.point, at];
    Ok((points, [f, g, operand]))
}

/// What a verification of the toy costs.
pub(super) fn counts() -> Counts {
    let toy = Toy::new(1);
    let mut tape = ProverTape::new(&STATEMENT);
    send(&toy, &mut tape);
    let bytes = tape.finish();
    let mut channel = Counting::new(VerifierTape::new(&STATEMENT, &bytes));
    let _ = receive(toy.y, &mut channel).expect("a plain proof");
    channel.counts()
}

pub(super) fn plan() -> SealPlan {
    SealPlan::new(&counts())
}

pub(super) fn pads(seed: u64) -> Pads {
    let mut stream = Stream(seed);
    Pads::new(plan(), || stream.element())
}

/// Pads with these values, honest or not.
pub(super) fn pads_of(plan: SealPlan, values: &[E]) -> Pads {
    let mut pads = Pads::new(plan, || E::ONE);
    for (words, &value) in pads.words.iter_mut().zip(values) {
        *words = to_words(value).map(|word| word.as_canonical_u64());
    }
    pads
}

pub(super) fn values_of(pads: &Pads) -> Vec<E> {
    (0..pads.plan().pads()).map(|i| pads.get(i)).collect()
}

/// Challenges that do not depend on the tape, enough for everything.
pub(super) fn frozen() -> Vec<E> {
    Stream(99).elements(200)
}

/// The prover, whose proof of products may lie.
pub(super) fn prove_with(
    toy: &Toy,
    pads: Pads,
    frozen: Option<Vec<E>>,
    lie: impl FnOnce(&mut Values),
) -> Result<(Vec<u8>, Settled), SealError> {
    let mut tape = ProverTape::new(&STATEMENT);
    if let Some(frozen) = frozen {
        tape.freeze(frozen);
    }
    let book = Book::new(*pads.plan());
    tape.seal(pads);
    send(toy, &mut tape);
    let mut replay = Replay::new(&tape, &book);
    let (_, claims) = receive(toy.y, &mut replay)?;
    let mut products = replay.finish()?;
    lie(&mut products.values);
    let assertions = products.prove(&mut tape)?;
    let challenge = tape.sample();
    let settled = assertions.settle(claims.map(Known::sealed), challenge);
    Ok((tape.finish(), settled))
}

pub(super) fn prove(toy: &Toy, pads: Pads) -> (Vec<u8>, Settled) {
    prove_with(toy, pads, None, |_| ()).expect("an honest prover proves")
}

/// The verifier: the relation, and the points of its columns.
pub(super) fn verify_with(
    plan: SealPlan,
    y: E,
    bytes: &[u8],
    frozen: Option<Vec<E>>,
) -> Result<([Point; 3], Settled), SealError> {
    let mut tape = VerifierTape::new(&STATEMENT, bytes);
    if let Some(frozen) = frozen {
        tape.freeze(frozen);
    }
    let book = Book::new(plan);
    let mut channel = SealedTape::new(tape, &book);
    let (points, claims) = receive(y, &mut channel)?;
    let (mut tape, assertions) = channel.check()?;
    assert_eq!(assertions.count(), counts().assertions + CHECKS);
    let settled = assertions.settle(claims, tape.sample());
    tape.finish()?;
    Ok((points, settled))
}

pub(super) fn verify(y: E, bytes: &[u8]) -> Result<([Point; 3], Settled), SealError> {
    verify_with(plan(), y, bytes, None)
}

/// Whether the relation holds of these columns and pads.
pub(super) fn holds((points, settled): &([Point; 3], Settled), toy: &Toy, pads: &[E]) -> bool {
    let cells = pads.iter().flat_map(|&pad| to_words(pad));
    let of_cells = settled.cells().into_iter().zip(cells).map(|(w, c)| w * c);
    let columns = toy.columns().into_iter().zip(points);
    let columns = columns.zip(&settled.claims);
    let of_columns = columns.map(|((column, at), &weight)| weight * evaluate(column, at));
    of_columns.chain(of_cells).sum::<E>() == settled.target
}

/// Whether a verifier accepts.
pub(super) fn accepts(toy: &Toy, bytes: &[u8], pads: &[E]) -> bool {
    verify(toy.y, bytes).is_ok_and(|relation| holds(&relation, toy, pads))
}

pub(super) fn scalar(bytes: &[u8], i: usize) -> E {
    let word = |k: usize| {
        let start = SCALAR * i + 8 * k;
        let word = bytes[start..start + 8].try_into().expect("eight bytes");
        F::from_u64(u64::from_le_bytes(word))
    };
    element(word(0), word(1))
}

/// The scalars of a tape, without the proof of work.
pub(super) fn scalars(bytes: &[u8]) -> Vec<E> {
    let work = SCALAR * (plan().messages() - 1);
    let bytes = [&bytes[..work], &bytes[work + 8..]].concat();
    (0..bytes.len() / SCALAR)
        .map(|i| scalar(&bytes, i))
        .collect()
}
