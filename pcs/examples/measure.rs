//! Times committing, opening and verifying, and prints the size and soundness of the proof.
//!
//! `cargo run --release -p zkstrata-pcs --example measure [log2 of the cells]...`
//!
//! A commitment is eight tables of two columns; each table is opened at one point, and its first
//! column at a second one.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};
use zkstrata_mle::{E, F, Point, PrimeCharacteristicRing};
use zkstrata_pcs::{
    Claim, ColumnId, CommitmentScheme, Opening, OpeningShape, Place, ProverOpening, ProverScheme,
    ProverTape, TableShape, VerifierTape, Whir,
};

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn place() -> Place {
    if std::env::var("KEY").is_ok() {
        Place::Key
    } else {
        Place::Proof
    }
}

/// Runs of which the median and, in brackets, the least is printed.
const RUNS: usize = 15;

fn main() {
    let sizes: Vec<usize> = std::env::args()
        .skip(1)
        .map(|arg| arg.parse().expect("a number"))
        .collect();
    let sizes = if sizes.is_empty() {
        vec![14, 16, 17, 18, 20, 22]
    } else {
        sizes
    };
    println!("cells        commit ms          open ms        verify ms  proof KiB   bits");
    rayon::scope(|_| {
        for size in sizes {
            measure(size);
        }
    });
}

fn measure(log_cells: usize) {
    let num_vars = log_cells - 4;
    let shape = [TableShape { num_vars, width: 2 }; 8];
    let columns: Vec<Vec<Vec<F>>> = (0..8u64)
        .map(|t| {
            (0..2u64)
                .map(|c| {
                    let seed = F::from_u64(0x9e37_79b9_7f4a_7c15 ^ t << 32 ^ c);
                    (0..1u64 << num_vars)
                        .scan(seed, |x, i| {
                            *x = *x * *x + F::from_u64(i);
                            Some(*x)
                        })
                        .collect()
                })
                .collect()
        })
        .collect();
    let mut claims = vec![];
    for (table, columns) in columns.iter().enumerate() {
        for (k, opened) in [2, 1].into_iter().enumerate() {
            let point: Vec<E> = (0..num_vars)
                .map(|j| E::from_u64((table * 64 + k * 32 + j + 3) as u64).exp_u64(99_999))
                .collect();
            for (column, values) in columns.iter().enumerate().take(opened) {
                claims.push(Claim {
                    column: ColumnId { table, column },
                    point: Point::new(point.clone()),
                    value: zkstrata_mle::eq_table(&point, values.len(), E::ONE)
                        .iter()
                        .zip(values)
                        .map(|(&eq, &value)| eq * value)
                        .sum(),
                });
            }
        }
    }
    let (mut commits, mut opens, mut verifies) = (vec![], vec![], vec![]);
    let mut bytes = vec![];
    for _ in 0..RUNS {
        let mine = columns.clone();
        let start = Instant::now();
        let (commitment, data) = Whir::commit(place(), &shape, mine).unwrap();
        commits.push(start.elapsed());

        let mut tape = ProverTape::new(&[0; 32]);
        if place() == Place::Proof {
            Whir::send_commitment(&commitment, &shape, &mut tape);
        }
        let start = Instant::now();
        let opening = ProverOpening {
            data: &data,
            claims: &claims,
        };
        Whir::open(&[opening], &mut tape).unwrap();
        opens.push(start.elapsed());
        bytes = tape.finish();

        let start = Instant::now();
        let mut tape = VerifierTape::new(&[0; 32], &bytes);
        let commitment = if place() == Place::Proof {
            Whir::recv_commitment(&shape, &mut tape).unwrap()
        } else {
            commitment
        };
        let opening = Opening {
            commitment: &commitment,
            place: place(),
            shape: &shape,
            claims: &claims,
        };
        Whir::verify(&[opening], &mut tape).unwrap();
        tape.finish().unwrap();
        verifies.push(start.elapsed());
    }
    let opening = OpeningShape {
        place: place(),
        shape: &shape,
        claims: claims.len(),
    };
    let terms = Whir::soundness(&[opening]).unwrap();
    let bits = -terms.iter().map(|t| (-t.bits).exp2()).sum::<f64>().log2();
    println!(
        "2^{log_cells:<4} {:>16} {:>16} {:>16} {:10.1} {bits:6.1}",
        summary(commits),
        summary(opens),
        summary(verifies),
        bytes.len() as f64 / 1024.0,
    );
}

fn summary(mut times: Vec<Duration>) -> String {
    times.sort();
    let [least, median] = [0, times.len() / 2].map(|k| times[k].as_secs_f64() * 1e3);
    format!("{median:.2} ({least:.2})")
}
