//! The prover's kernels: contractions of small integers, the batched sumcheck, commitments.

use criterion::{BatchSize, Criterion, Throughput};
use zkstrata_mle::{E, F, Point, PrimeCharacteristicRing, contract_middle};
use zkstrata_pcs::joint::{
    Column, Joint, Layout, Parameters, Relation, RelationProver, Table, Term, Word,
};
use zkstrata_pcs::sumcheck::{self, Factor, Instance};
use zkstrata_pcs::{ColumnId, ProverTape};

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// `n` field elements without structure.
fn elements(n: usize) -> Vec<E> {
    let step = E::from_u64(0x9e37_79b9_7f4a_7c15);
    let mut x = E::from_u64(0x0123_4567_89ab_cdef);
    let mut next = || {
        x = x * x + step;
        x
    };
    (0..n).map(|_| next()).collect()
}

/// `out[j] = sum_i e[i] x[i, j]` and `out[i] = sum_j e[j] x[i, j]` over a 1024 x 1024 matrix.
fn contractions(c: &mut Criterion) {
    let n = 1024;
    let weights: Vec<i32> = (0..n * n)
        .map(|i| (i * 7919 % 65_537) as i32 - 32_768)
        .collect();
    let cells: Vec<i16> = weights.iter().map(|&w| (w >> 8) as i16).collect();
    let e = elements(n);
    let mut group = c.benchmark_group("contract 1024 x 1024");
    group.throughput(Throughput::Elements((n * n) as u64));
    group.bench_function("i32 rows", |b| {
        b.iter(|| contract_middle(&weights, 1, n, n, &e));
    });
    group.bench_function("i32 columns", |b| {
        b.iter(|| contract_middle(&weights, n, n, 1, &e));
    });
    group.bench_function("i16 rows", |b| {
        b.iter(|| contract_middle(&cells, 1, n, n, &e));
    });
    group.bench_function("i16 columns", |b| {
        b.iter(|| contract_middle(&cells, n, n, 1, &e));
    });
    group.finish();
}

/// One product of two factors of 2^16 values.
fn sumchecks(c: &mut Criterion) {
    let n = 1 << 16;
    let (f, g) = (elements(n), elements(n));
    let claim: E = f.iter().zip(&g).map(|(&a, &b)| a * b).sum();
    c.bench_function("sumcheck of two factors, 2^16", |b| {
        let setup = || Instance {
            factors: vec![Factor::Ext(f.clone()), Factor::Ext(g.clone())],
        };
        b.iter_batched(
            setup,
            |instance| sumcheck::prove(vec![instance], &[claim], &mut ProverTape::new(&[0; 32])),
            BatchSize::LargeInput,
        );
    });
}

/// Eight columns of 2^15 cells, opened at one point each.
fn commitments(c: &mut Criterion) {
    let num_vars = 15;
    let table = Table {
        num_vars,
        live: 1 << num_vars,
        width: 8,
    };
    let layout = Layout::new(Word::Committed, Parameters::FAST, &[table]).expect("a layout");
    let cells = |k: u64| -> Vec<i32> {
        let cell = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (40 + k)) as i32;
        (0..1 << num_vars).map(cell).collect()
    };
    let columns = || -> Vec<Column> { (0..8).map(|k| Column::I32(cells(k))).collect() };
    c.bench_function("commit 2^18 cells", |b| {
        b.iter_batched(
            columns,
            |columns| Joint::commit(&layout, columns),
            BatchSize::LargeInput,
        );
    });
    let (_, data) = Joint::commit(&layout, columns()).expect("commits");
    let point = Point::new(elements(num_vars));
    let eq = zkstrata_mle::eq_table(&point, 1 << num_vars, E::ONE);
    let coefs = elements(8);
    let value = |k: usize| -> E {
        let cells = cells(k as u64);
        let terms = cells.iter().zip(&eq).map(|(&x, &e)| e * F::from_i32(x));
        terms.sum()
    };
    let term = |(column, &coef): (usize, &E)| Term::Column {
        column: ColumnId { table: 0, column },
        point: point.clone(),
        coef,
    };
    let relation = Relation {
        target: coefs.iter().enumerate().map(|(k, &c)| c * value(k)).sum(),
        terms: vec![coefs.iter().enumerate().map(term).collect()],
    };
    c.bench_function("open 8 claims on 2^18 cells", |b| {
        b.iter(|| {
            let tape = &mut ProverTape::new(&[0; 32]);
            Joint::open(&[&data], &relation, &[], tape).expect("opens");
        });
    });
}

fn main() {
    let mut c = Criterion::default().sample_size(20).configure_from_args();
    contractions(&mut c);
    sumchecks(&mut c);
    commitments(&mut c);
    c.final_summary();
}
