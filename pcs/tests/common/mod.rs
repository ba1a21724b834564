//! What every commitment scheme must do, written once.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use zkstrata_mle::{E, F, Point, PrimeCharacteristicRing};
use zkstrata_pcs::{
    Channel, Claim, ColumnId, Columns, Error, Opening, Place, ProverOpening, ProverScheme,
    ProverTape, TableShape, VerifierTape,
};

pub const STATEMENT: [u8; 32] = [1; 32];

/// A small generator of test data.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn field(&mut self) -> F {
        F::from_u64(self.next())
    }

    pub fn scalar(&mut self) -> E {
        let (a, b) = (self.field(), self.field());
        <E as zkstrata_mle::BasedVectorSpace<F>>::from_basis_coefficients_fn(|k| {
            if k == 0 { a } else { b }
        })
    }

    pub fn point(&mut self, n: usize) -> Point {
        Point::new((0..n).map(|_| self.scalar()).collect())
    }
}

pub fn table(num_vars: usize, width: usize) -> TableShape {
    TableShape { num_vars, width }
}

pub fn columns(shape: &[TableShape], rng: &mut Rng) -> Columns {
    shape
        .iter()
        .map(|t| {
            (0..t.width)
                .map(|_| (0..1 << t.num_vars).map(|_| rng.field()).collect())
                .collect()
        })
        .collect()
}

/// `f(r)` by definition.
pub fn evaluate(column: &[F], point: &[E]) -> E {
    let mut values: Vec<E> = column.iter().map(|&x| E::from(x)).collect();
    for &x in point {
        let (low, high) = values.split_at(values.len() / 2);
        values = low
            .iter()
            .zip(high)
            .map(|(&a, &b)| a + x * (b - a))
            .collect();
    }
    values[0]
}

/// A true claim.
pub fn claim(columns: &Columns, table: usize, column: usize, point: Point) -> Claim<E> {
    Claim {
        column: ColumnId { table, column },
        value: evaluate(&columns[table][column], &point),
        point,
    }
}

/// One commitment of a test: where it lives, its tables, columns and claims.
pub struct Case {
    pub place: Place,
    pub shape: Vec<TableShape>,
    pub columns: Columns,
    pub claims: Vec<Claim<E>>,
}

impl Case {
    /// Random columns, each with at most `most` claims, several of a table at one point.
    pub fn random(place: Place, shape: &[TableShape], most: usize, rng: &mut Rng) -> Self {
        let columns = columns(shape, rng);
        let mut claims = vec![];
        for (t, s) in shape.iter().enumerate() {
            let points = if s.num_vars == 0 { most.min(1) } else { most };
            for _ in 0..points {
                let point = rng.point(s.num_vars);
                for c in 0..s.width {
                    if c == 0 || rng.below(4) > 0 {
                        claims.push(claim(&columns, t, c, point.clone()));
                    }
                }
            }
        }
        Self {
            place,
            shape: shape.to_vec(),
            columns,
            claims,
        }
    }
}

/// A proof of the cases' claims, with what a key would hold.
pub struct Proven<S: ProverScheme> {
    pub keys: Vec<Option<S::Commitment>>,
    pub bytes: Vec<u8>,
    pub messages: Vec<zkstrata_pcs::Message>,
    pub after: E,
}

pub fn prove<S: ProverScheme>(cases: &[Case]) -> Result<Proven<S>, Error> {
    let mut tape = ProverTape::new(&STATEMENT);
    let mut keys = vec![];
    let mut data = vec![];
    for case in cases {
        let (commitment, d) = S::commit(case.place, &case.shape, case.columns.clone())?;
        data.push(d);
        keys.push(match case.place {
            Place::Key => Some(commitment),
            Place::Tail => unreachable!("only inside an opening"),
            Place::Proof => {
                S::send_commitment(&commitment, &case.shape, &mut tape);
                None
            }
        });
    }
    let openings: Vec<_> = cases
        .iter()
        .zip(&data)
        .map(|(case, data)| ProverOpening {
            data,
            claims: &case.claims,
        })
        .collect();
    S::open(&openings, &mut tape)?;
    let after = tape.sample();
    Ok(Proven {
        keys,
        messages: tape.messages().to_vec(),
        bytes: tape.finish(),
        after,
    })
}

/// Verifies and returns a challenge drawn afterwards.
pub fn verify<S: ProverScheme>(
    cases: &[Case],
    keys: &[Option<S::Commitment>],
    bytes: &[u8],
) -> Result<E, Error> {
    let mut tape = VerifierTape::new(&STATEMENT, bytes);
    let mut commitments = vec![];
    for (case, key) in cases.iter().zip(keys) {
        commitments.push(match key {
            Some(commitment) => {
                S::check_commitment(commitment, &case.shape)?;
                commitment.clone()
            }
            None => S::recv_commitment(&case.shape, &mut tape)?,
        });
    }
    let openings: Vec<_> = cases
        .iter()
        .zip(&commitments)
        .map(|(case, commitment)| Opening {
            commitment,
            place: case.place,
            shape: &case.shape,
            claims: &case.claims,
        })
        .collect();
    S::verify(&openings, &mut tape)?;
    let after = tape.sample();
    tape.finish()?;
    Ok(after)
}

/// Honest proofs are accepted, and both ends then agree on the next challenge.
pub fn accepts<S: ProverScheme>(cases: &[Case]) -> Proven<S> {
    let proven = prove::<S>(cases).unwrap();
    assert_eq!(
        verify::<S>(cases, &proven.keys, &proven.bytes),
        Ok(proven.after)
    );
    proven
}

/// An honest proof of the true claims is refused for changed ones, and so is what an honest
/// prover's program makes of the changed claims.
pub fn refuses<S: ProverScheme>(mut cases: Vec<Case>, change: impl Fn(&mut Vec<Case>)) {
    let honest = prove::<S>(&cases).unwrap();
    change(&mut cases);
    assert!(verify::<S>(&cases, &honest.keys, &honest.bytes).is_err());
    if let Ok(cheat) = prove::<S>(&cases) {
        assert!(verify::<S>(&cases, &cheat.keys, &cheat.bytes).is_err());
    }
}
