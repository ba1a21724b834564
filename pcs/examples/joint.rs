//! The joint opening beside two openings with WHIR: sizes and times of the same claims.
//!
//! `cargo run --release -p zkstrata-pcs --example joint [name]...`
//!
//! The numbers of cells and claims are those of proofs of real models with committed weights. Cells are
//! small integers; columns are of two or three lengths. Times are the median and, in brackets, the least
//! of several runs, in which the schemes take turns; ratios are of both.
#![allow(clippy::unwrap_used)]

use std::time::Instant;
use zkstrata_mle::{E, F, Point, PrimeCharacteristicRing, dot, eq_table};
use zkstrata_pcs::joint::{
    Column, Joint, Layout, Parameters, Relation, RelationProver, RelationScheme, SourceRef, Table,
    Term, Word,
};
use zkstrata_pcs::{
    Claim, ColumnId, CommitmentScheme, Opening, OpeningShape, Place, ProverOpening, ProverScheme,
    ProverTape, TableShape, VerifierTape, Whir,
};

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
    place: Place,
    shape: Vec<TableShape>,
    cells: Vec<Vec<i16>>,
    claims: Vec<Claim<E>>,
}

impl Source {
    /// Three columns for four claims, of lengths as equal as powers of two can be.
    fn new(place: Place, [cells, claims]: [usize; 2]) -> Self {
        let mut vars: Vec<usize> = (0..30).filter(|&k| cells >> k & 1 == 1).collect();
        while vars.len() < claims * 3 / 4 {
            let k = (0..vars.len()).max_by_key(|&k| vars[k]).unwrap();
            vars[k] -= 1;
            vars.push(vars[k]);
        }
        vars.sort_by_key(|&v| std::cmp::Reverse(v));
        let mut shape: Vec<TableShape> = vec![];
        for class in vars.chunk_by(|a, b| a == b) {
            shape.push(TableShape {
                num_vars: class[0],
                width: class.len(),
            });
        }
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
        let ids: Vec<ColumnId> = shape
            .iter()
            .enumerate()
            .flat_map(|(table, s)| (0..s.width).map(move |column| ColumnId { table, column }))
            .collect();
        let claims = (0..claims).map(|i| {
            let k = i % ids.len();
            let coordinate = |j: usize| E::from_usize(i * 64 + j + 3).exp_u64(99_999_999);
            let point: Vec<E> = (0..vars[k]).map(coordinate).collect();
            let eq = eq_table(&point, 1 << vars[k], E::ONE);
            Claim {
                column: ids[k],
                value: dot(&cells[k], &eq),
                point: Point::new(point),
            }
        });
        Self {
            place,
            claims: claims.collect(),
            shape,
            cells,
        }
    }

    fn fields(&self) -> Vec<Vec<Vec<F>>> {
        let mut columns = self.cells.iter();
        let table = |s: &TableShape| {
            let column = |cells: &Vec<i16>| cells.iter().map(|&c| F::from_i16(c)).collect();
            columns.by_ref().take(s.width).map(column).collect()
        };
        self.shape.iter().map(table).collect()
    }

    /// Weights fit a byte.
    fn columns(&self) -> Vec<Column> {
        let column = |cells: &Vec<i16>| match self.place {
            Place::Key => Column::I8(cells.iter().map(|&c| c as i8).collect()),
            _ => Column::I16(cells.clone()),
        };
        self.cells.iter().map(column).collect()
    }

    fn layout(&self, parameters: Parameters) -> Layout {
        let word = match self.place {
            Place::Key => Word::Codeword,
            _ => Word::Committed,
        };
        let tables: Vec<Table> = self.shape.iter().map(|&s| s.into()).collect();
        Layout::new(word, parameters, &tables).unwrap()
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
        "model           scheme         witness ms            open ms        verify ms    key ms      KiB   bits"
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
        Source::new(Place::Proof, witness),
        Source::new(Place::Key, key),
    ];
    let runs = if witness[0] + key[0] < 1 << 20 { 25 } else { 7 };
    let whir = Scheme::new(&sources);
    let fast = JointScheme::new("fast", Parameters::FAST, &sources);
    let small = JointScheme::new("small", Parameters::SMALL, &sources);
    let (mut of_whir, mut of_fast, mut of_small) = Default::default();
    let mut bytes = [0; 3];
    for _ in 0..runs {
        bytes[0] = whir.run(&sources, &mut of_whir);
        bytes[1] = fast.run(&sources, &mut of_fast);
        bytes[2] = small.run(&sources, &mut of_small);
    }
    let first = of_whir.summary();
    let rows = [
        ("whir", first, whir.key_ms, bytes[0], whir.bits()),
        (
            "fast",
            of_fast.summary(),
            fast.key_ms,
            bytes[1],
            fast.bits(),
        ),
        (
            "small",
            of_small.summary(),
            small.key_ms,
            bytes[2],
            small.bits(),
        ),
    ];
    for (scheme, times, key_ms, size, bits) in rows {
        let [commit, open, verify] =
            times.map(|[median, least]| format!("{median:.2} ({least:.2})"));
        let kib = size as f64 / 1024.0;
        println!(
            "{name:15} {scheme:6} {commit:>18} {open:>18} {verify:>16} {key_ms:9.1} {kib:8.1} {bits:6.1}"
        );
        if scheme != "whir" {
            let [commit, open, verify] = [0, 1, 2].map(|step| {
                let [median, least] = [0, 1].map(|k| times[step][k] / first[step][k]);
                format!("{median:.2} ({least:.2})")
            });
            let proving = [0, 1].map(|k| (times[0][k] + times[1][k]) / (first[0][k] + first[1][k]));
            let (key, size) = (key_ms / whir.key_ms, size as f64 / bytes[0] as f64);
            println!(
                "                ratio  {commit:>18} {open:>18} {verify:>16} {key:9.2} {size:8.2}        commit and open {:.2} ({:.2})",
                proving[0], proving[1]
            );
        }
    }
}

/// Two openings with WHIR.
struct Scheme {
    key: <Whir as CommitmentScheme>::Commitment,
    data: <Whir as ProverScheme>::ProverData,
    key_ms: f64,
    bits: f64,
}

impl Scheme {
    fn new(sources: &[Source; 2]) -> Self {
        let [_, key] = sources;
        let columns = key.fields();
        let start = Instant::now();
        let (commitment, data) = Whir::commit(Place::Key, &key.shape, columns).unwrap();
        let shapes = sources.each_ref().map(|s| OpeningShape {
            place: s.place,
            shape: &s.shape,
            claims: s.claims.len(),
        });
        Self {
            key: commitment,
            data,
            key_ms: start.elapsed().as_secs_f64() * 1e3,
            bits: total(&Whir::soundness(&shapes).unwrap()),
        }
    }

    fn bits(&self) -> f64 {
        self.bits
    }

    fn run(&self, sources: &[Source; 2], times: &mut Times) -> usize {
        let [witness, key] = sources;
        let columns = witness.fields();
        let mut tape = ProverTape::new(&[0; 32]);
        let start = Instant::now();
        let (commitment, data) = Whir::commit(Place::Proof, &witness.shape, columns).unwrap();
        times.push(0, start);
        Whir::send_commitment(&commitment, &witness.shape, &mut tape);
        let start = Instant::now();
        let openings = [(&data, witness), (&self.data, key)].map(|(data, source)| ProverOpening {
            data,
            claims: &source.claims,
        });
        Whir::open(&openings, &mut tape).unwrap();
        times.push(1, start);
        let bytes = tape.finish();
        let start = Instant::now();
        let mut tape = VerifierTape::new(&[0; 32], &bytes);
        let commitment = Whir::recv_commitment(&witness.shape, &mut tape).unwrap();
        let openings =
            [(&commitment, witness), (&self.key, key)].map(|(commitment, source)| Opening {
                commitment,
                place: source.place,
                shape: &source.shape,
                claims: &source.claims,
            });
        Whir::verify(&openings, &mut tape).unwrap();
        tape.finish().unwrap();
        times.push(2, start);
        bytes.len()
    }
}

/// The joint opening with one choice of parameters.
struct JointScheme {
    layouts: [Layout; 2],
    key: <Joint as RelationScheme>::Commitment,
    data: <Joint as RelationProver>::Data,
    relation: Relation,
    key_ms: f64,
}

impl JointScheme {
    fn new(name: &str, parameters: Parameters, sources: &[Source; 2]) -> Self {
        let layouts = sources.each_ref().map(|source| source.layout(parameters));
        let gamma = E::from_u64(0x1234_5678_9abc).exp_u64(77_777);
        let (mut power, mut target) = (E::ONE, E::ZERO);
        let terms = sources.each_ref().map(|source| {
            let term = |claim: &Claim<E>| {
                let coef = power;
                power *= gamma;
                target += coef * claim.value;
                Term::Column {
                    column: claim.column,
                    point: claim.point.clone(),
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
