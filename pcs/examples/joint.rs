//! Times committing, opening and verifying of the joint opening, and prints the size and soundness of
//! its proofs.
//!
//! `cargo run --release -p zkstrata-pcs --example joint [name]...`
//!
//! The numbers of cells and claims are those of proofs of real models with committed weights. Cells are
//! small integers; columns are of two or three lengths. Times are the median and, in brackets, the least
//! of several runs, in which the parameters take turns. `TERMS=1` prints the soundness term by term,
//! `MESSAGES=1` the long messages of a proof.
#![allow(clippy::unwrap_used)]

use std::time::Instant;
use zkstrata_mle::{E, Point, PrimeCharacteristicRing, dot, eq_table};
use zkstrata_pcs::joint::{
    Column, Joint, Layout, Parameters, Relation, RelationProver, RelationScheme, SourceRef, Table,
    Term, Word,
};
use zkstrata_pcs::{ColumnId, ProverTape, VerifierTape};

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Name; cells and claims of the witness; cells and claims of the weights.
const SHAPES: [(&str, [usize; 2], [usize; 2]); 5] = [
    ("digits_cnn", [12_544, 24], [14_096, 24]),
    ("cnn_cifar_264k", [107_520, 27], [360_000, 58]),
    ("mlp_4m", [141_320, 19], [4_210_688, 12]),
    ("vgg16_cifar", [777_728, 75], [14_727_424, 132]),
    ("resnet18_224", [7_733_248, 67], [11_702_528, 218]),
];

/// One commitment.
struct Source {
    word: Word,
    tables: Vec<Table>,
    cells: Vec<Vec<i16>>,
    /// Values of columns at points.
    claims: Vec<(ColumnId, Point, E)>,
}

impl Source {
    /// Three columns for four claims, of lengths as equal as powers of two can be.
    fn new(word: Word, [cells, claims]: [usize; 2]) -> Self {
        let mut vars: Vec<usize> = (0..30).filter(|&k| cells >> k & 1 == 1).collect();
        while vars.len() < claims * 3 / 4 {
            let k = (0..vars.len()).max_by_key(|&k| vars[k]).unwrap();
            vars[k] -= 1;
            vars.push(vars[k]);
        }
        vars.sort_by_key(|&v| std::cmp::Reverse(v));
        let tables: Vec<Table> = vars
            .chunk_by(|a, b| a == b)
            .map(|class| Table {
                num_vars: class[0],
                live: 1 << class[0],
                width: class.len(),
            })
            .collect();
        let mut x = 1u64;
        let mut column = |n: usize| -> Vec<i16> {
            (0..1usize << n)
                .map(|_| {
                    x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    i16::from((x >> 56) as i8)
                })
                .collect()
        };
        let cells: Vec<Vec<i16>> = vars.iter().map(|&n| column(n)).collect();
        let ids: Vec<ColumnId> = tables
            .iter()
            .enumerate()
            .flat_map(|(table, s)| (0..s.width).map(move |column| ColumnId { table, column }))
            .collect();
        let claims = (0..claims).map(|i| {
            let k = i % ids.len();
            let coordinate = |j: usize| E::from_usize(i * 64 + j + 3).exp_u64(99_999_999);
            let point: Vec<E> = (0..vars[k]).map(coordinate).collect();
            let eq = eq_table(&point, 1 << vars[k], E::ONE);
            (ids[k], Point::new(point), dot(&cells[k], &eq))
        });
        Self {
            word,
            claims: claims.collect(),
            tables,
            cells,
        }
    }

    /// Weights fit a byte.
    fn columns(&self) -> Vec<Column> {
        let column = |cells: &Vec<i16>| match self.word {
            Word::Codeword | Word::Certified | Word::Uncertified => {
                Column::I8(cells.iter().map(|&c| c as i8).collect())
            }
            Word::Committed | Word::Shared => Column::I16(cells.clone()),
        };
        self.cells.iter().map(column).collect()
    }

    fn layout(&self, parameters: Parameters) -> Layout {
        Layout::new(self.word, parameters, &self.tables).unwrap()
    }
}

/// Milliseconds of committing to the witness, of opening and of verifying, by run.
#[derive(Default)]
struct Times([Vec<f64>; 3]);

impl Times {
    fn push(&mut self, step: usize, start: Instant) {
        self.0[step].push(start.elapsed().as_secs_f64() * 1e3);
    }

    /// The median and the least of each step.
    fn summary(&mut self) -> [[f64; 2]; 3] {
        self.0.each_mut().map(|times| {
            times.sort_by(f64::total_cmp);
            [times[times.len() / 2], times[0]]
        })
    }
}

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    println!(
        "model           profile        witness ms            open ms        verify ms    key ms      KiB   bits"
    );
    rayon::scope(|_| {
        for (name, witness, key) in SHAPES {
            if names.is_empty() || names.iter().any(|n| n == name) {
                measure(name, witness, key);
            }
        }
    });
}

fn measure(name: &str, witness: [usize; 2], key: [usize; 2]) {
    let sources = [
        Source::new(Word::Committed, witness),
        Source::new(Word::Codeword, key),
    ];
    let runs = if witness[0] + key[0] < 1 << 20 { 25 } else { 7 };
    let profiles = [("fast", Parameters::FAST), ("small", Parameters::SMALL)];
    let mut rows = profiles.map(|(profile, parameters)| {
        let scheme = Scheme::new(profile, parameters, &sources);
        (profile, scheme, Times::default(), 0)
    });
    for _ in 0..runs {
        for (_, scheme, times, bytes) in &mut rows {
            *bytes = scheme.run(&sources, times);
        }
    }
    for (profile, scheme, mut times, bytes) in rows {
        let [commit, open, verify] = times
            .summary()
            .map(|[median, least]| format!("{median:.2} ({least:.2})"));
        let (key_ms, bits, kib) = (scheme.key_ms, scheme.bits(), bytes as f64 / 1024.0);
        println!(
            "{name:15} {profile:6} {commit:>18} {open:>18} {verify:>16} {key_ms:9.1} {kib:8.1} {bits:6.1}"
        );
    }
}

/// The joint opening with one choice of parameters.
struct Scheme {
    layouts: [Layout; 2],
    key: <Joint as RelationScheme>::Commitment,
    data: <Joint as RelationProver>::Data,
    relation: Relation,
    key_ms: f64,
}

impl Scheme {
    fn new(name: &str, parameters: Parameters, sources: &[Source; 2]) -> Self {
        let layouts = sources.each_ref().map(|source| source.layout(parameters));
        let gamma = E::from_u64(0x1234_5678_9abc).exp_u64(77_777);
        let (mut power, mut target) = (E::ONE, E::ZERO);
        let terms = sources.each_ref().map(|source| {
            let term = |(column, point, value): &(ColumnId, Point, E)| {
                let coef = power;
                power *= gamma;
                target += coef * *value;
                Term::Column {
                    column: *column,
                    point: point.clone(),
                    coef,
                }
            };
            source.claims.iter().map(term).collect()
        });
        if std::env::var("TERMS").is_ok() {
            let refs: Vec<&Layout> = layouts.iter().collect();
            for term in Joint::soundness(&refs).unwrap() {
                println!("    {name}: {:60} {:.1}", term.name, term.bits);
            }
        }
        let columns = sources[1].columns();
        let start = Instant::now();
        let (key, data) = Joint::commit(&layouts[1], columns).unwrap();
        Self {
            key_ms: start.elapsed().as_secs_f64() * 1e3,
            relation: Relation {
                target,
                terms: terms.into(),
            },
            layouts,
            key,
            data,
        }
    }

    fn bits(&self) -> f64 {
        total(&Joint::soundness(&self.layouts.iter().collect::<Vec<_>>()).unwrap())
    }

    fn run(&self, sources: &[Source; 2], times: &mut Times) -> usize {
        let columns = sources[0].columns();
        let mut tape = ProverTape::new(&[0; 32]);
        let start = Instant::now();
        let (commitment, data) = Joint::commit(&self.layouts[0], columns).unwrap();
        times.push(0, start);
        Joint::send_commitment(&commitment, &mut tape);
        let start = Instant::now();
        Joint::open(&[&data, &self.data], &self.relation, &[], &mut tape).unwrap();
        times.push(1, start);
        if std::env::var("MESSAGES").is_ok() && times.0[1].len() == 1 {
            for message in tape.messages() {
                if message.range.len() > 200 {
                    println!("    {:20} {}", message.label, message.range.len());
                }
            }
        }
        let bytes = tape.finish();
        let start = Instant::now();
        let mut tape = VerifierTape::new(&[0; 32], &bytes);
        let commitment = Joint::recv_commitment(&self.layouts[0], &mut tape).unwrap();
        let sources = [
            (&self.layouts[0], &commitment),
            (&self.layouts[1], &self.key),
        ];
        let sources = sources.map(|(layout, commitment)| SourceRef { layout, commitment });
        Joint::verify(&sources, &self.relation, &mut tape).unwrap();
        tape.finish().unwrap();
        times.push(2, start);
        bytes.len()
    }
}

fn total(terms: &[zkstrata_pcs::SoundnessTerm]) -> f64 {
    -terms.iter().map(|t| (-t.bits).exp2()).sum::<f64>().log2()
}
