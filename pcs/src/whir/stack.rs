//! How the prover lays out the columns of a part, and the first round of its opening.
//!
//! The columns `f_j` of `n_j` variables are stacked in decreasing order into one polynomial `P` of
//! `N` variables. A column begins at a multiple of its length, `offset_j = o_j 2^n_j`, and with
//! `s_j = N - n_j` and `sel_j` the `s_j` bits of `o_j` reversed the library asks for
//!
//! ```text
//! P(x, y, sel_j) = f_j(x, y),     x: the f variables of the first round, y: the other n_j - f.
//! ```
//!
//! `P` itself is never written: the committed word is made from the columns, its row
//! `(y, sel_j)` holding the `2^f` values `f_j(., y)`; and so is the first round. With `alpha` drawn,
//! it proves `sum_i alpha^i v_i = sum_{x,y} sum_i alpha^i eq(z_i, (x, y)) f_{j(i)}(x, y)` over the
//! claims `f_{j(i)}(z_i) = v_i`. Splitting `z_i = (z_i', z_i'')`, the first `f` variables need only
//!
//! ```text
//! g_i(x) = sum_y eq(z_i'', y) f_{j(i)}(x, y),       sum_x sum_i alpha^i eq(z_i', x) g_i(x),
//! ```
//!
//! `2^f` values a claim. Then with the challenges `rho` the library goes on with the polynomial
//! `P(rho, .)` and the weights `sum_i alpha^i eq(z_i', rho) eq(z_i'', y)` at `(y, sel_{j(i)})`.

use super::batches::Batches;
use super::plan::{Part, first_fold};
use crate::transcript::Sponge;
use p3_challenger::fs::TranscriptField;
use p3_challenger::{FieldChallenger, GrindingChallenger};
use p3_multilinear_util::point::Point;
use p3_multilinear_util::poly::{Poly, PolyView};
use p3_multilinear_util::split_eq::SplitEq;
use p3_sumcheck::layout::{
    Layout, LayoutStrategy, StackedClaims, Table, Witness, plan_stacked_layout,
};
use p3_sumcheck::product_polynomial::ProductPolynomial;
use p3_sumcheck::strategy::{Basis, SumcheckProver, VariableOrder};
use p3_sumcheck::transcript::{ProverTranscript, SumcheckShape};
use p3_sumcheck::{OpeningEvals, OpeningRequest, SumcheckData, TableShape};
use rayon::prelude::*;
use zkstrata_mle::{E, F, PrimeCharacteristicRing};

/// Rows of the committed word, or values of the folded polynomial, in a task.
const ROWS: usize = 1 << 10;

/// Columns and where each lies.
pub(super) struct Columns {
    values: Vec<Vec<F>>,
    slots: Vec<Slot>,
    log_cells: usize,
    /// Variables that the first round folds.
    fold: usize,
    tables: Vec<TableShape>,
}

/// Where a column lies: at the rows `y 2^bits + index`.
#[derive(Clone, Copy)]
struct Slot {
    bits: usize,
    index: usize,
}

impl Slot {
    /// The column's rows among `start .. start + len`: pairs of `y` and the offset from `start`.
    fn rows(self, start: usize, len: usize) -> impl Iterator<Item = (usize, usize)> {
        let first = start.saturating_sub(self.index).div_ceil(1 << self.bits);
        (first..)
            .map(move |y| (y, ((y << self.bits) | self.index) - start))
            .take_while(move |&(_, offset)| offset < len)
    }
}

impl Columns {
    /// Lays out a part's columns, padding the shortest.
    pub(super) fn new(part: &Part, log_cells: usize, mut values: Vec<Vec<F>>) -> Self {
        for (column, values) in part.columns.iter().zip(&mut values) {
            values.resize(1 << part.padded_vars(column), F::ZERO);
        }
        let tables = part.tables();
        let (variables, placements) = plan_stacked_layout(&tables);
        assert_eq!(variables, log_cells, "a part fills more than half its size");
        let mut slots = vec![];
        for mut placement in placements {
            placement.reverse_selectors();
            slots.extend(placement.selectors().iter().map(|selector| Slot {
                bits: selector.num_variables(),
                index: selector.index(),
            }));
        }
        Self {
            values,
            slots,
            log_cells,
            fold: first_fold(part.place),
            tables,
        }
    }

    /// Writes the message whose encoding is committed, over zeros.
    pub(super) fn write(&self, message: &mut [F]) {
        message
            .par_chunks_mut(ROWS << self.fold)
            .enumerate()
            .for_each(|(k, rows)| {
                let (start, len) = (k * ROWS, rows.len() >> self.fold);
                for (values, slot) in self.values.iter().zip(&self.slots) {
                    transpose(self.fold, values, slot.rows(start, len), rows);
                }
            });
    }

    /// `g_i` of a claim: the column's sums with the weights of the variables after those
    /// that the first round folds.
    fn partial(&self, position: usize, point: &Point<E>) -> Poly<E> {
        let (_, rest) = point.split_at(self.fold);
        SplitEq::<F, E>::new_packed(&rest, E::ONE)
            .compress_suffix(PolyView::new(&self.values[position]))
    }
}

/// Copies `values[x L + y]`, `L = length / 2^fold`, to `rows[2^fold offset + x]` for the given pairs.
fn transpose(
    fold: usize,
    values: &[F],
    mut pairs: impl Iterator<Item = (usize, usize)>,
    rows: &mut [F],
) {
    /// Consecutive `y` of one pass, so that a cache line is read once.
    const TILE: usize = 8;
    let len = values.len() >> fold;
    while let Some((y, offset)) = pairs.next() {
        let mut offsets = [offset; TILE];
        let mut count = 1;
        while count < TILE
            && let Some((_, offset)) = pairs.next()
        {
            offsets[count] = offset;
            count += 1;
        }
        for x in 0..1 << fold {
            let source = &values[x * len + y..x * len + y + count];
            for (value, offset) in source.iter().zip(offsets) {
                rows[(offset << fold) + x] = *value;
            }
        }
    }
}

/// One claim of an opening.
struct Opened {
    position: usize,
    point: Point<E>,
    value: E,
    partial: Poly<E>,
}

/// An opening of columns: what the library calls a layout.
pub(super) struct Stack<'a> {
    columns: &'a Columns,
    /// In the library's order of batching.
    claims: Vec<Opened>,
}

impl<'a> Stack<'a> {
    /// The opening of these claims.
    pub(super) fn new(columns: &'a Columns, batches: &Batches) -> Self {
        let claims: Vec<(usize, &Point<E>, E)> = batches
            .positions
            .iter()
            .zip(&batches.points)
            .zip(&batches.values)
            .flat_map(|((positions, point), values)| {
                positions
                    .iter()
                    .zip(values.current())
                    .map(move |(&position, &value)| (position, point, value))
            })
            .collect();
        let claims = claims
            .into_par_iter()
            .map(|(position, point, value)| Opened {
                position,
                point: point.clone(),
                value,
                partial: columns.partial(position, point),
            })
            .collect();
        Self { columns, claims }
    }

    /// Whether every claim is true.
    pub(super) fn is_true(&self) -> bool {
        self.claims.iter().all(|claim| {
            let (first, _) = claim.point.split_at(self.columns.fold);
            claim.partial.eval_ext::<F>(&first) == claim.value
        })
    }

    /// The folded polynomial and its weights.
    fn residual(&self, rho: &Point<E>, alphas: &[E]) -> (Poly<E>, Poly<E>) {
        let columns = self.columns;
        let mut of_column: Vec<Vec<(&Opened, E)>> = vec![vec![]; columns.values.len()];
        for (claim, &alpha) in self.claims.iter().zip(alphas) {
            let (first, _) = claim.point.split_at(columns.fold);
            let weight = alpha * Point::eval_eq(first.as_slice(), rho.as_slice());
            of_column[claim.position].push((claim, weight));
        }
        let fold = SplitEq::<F, E>::new_packed(rho, E::ONE);
        let pieces: Vec<(Poly<E>, Option<Poly<E>>)> = columns
            .values
            .par_iter()
            .zip(of_column)
            .map(|(values, claims)| {
                let folded = fold.compress_prefix(PolyView::new(values));
                let weights = (!claims.is_empty()).then(|| {
                    let mut weights = Poly::zero(folded.num_variables());
                    for (claim, weight) in claims {
                        let (_, rest) = claim.point.split_at(columns.fold);
                        SplitEq::<F, E>::new_packed(&rest, weight)
                            .accumulate_into(weights.as_mut_slice(), None);
                    }
                    weights
                });
                (folded, weights)
            })
            .collect();
        let variables = columns.log_cells - columns.fold;
        let (mut folded, mut weights) = (Poly::zero(variables), Poly::zero(variables));
        folded
            .as_mut_slice()
            .par_chunks_mut(ROWS)
            .zip(weights.as_mut_slice().par_chunks_mut(ROWS))
            .enumerate()
            .for_each(|(k, (folded, weights))| {
                for ((values, of_values), slot) in pieces.iter().zip(&columns.slots) {
                    for (y, offset) in slot.rows(k * ROWS, folded.len()) {
                        folded[offset] = values.as_slice()[y];
                        if let Some(of_values) = of_values {
                            weights[offset] = of_values.as_slice()[y];
                        }
                    }
                }
            });
        (folded, weights)
    }

    /// Draws the batching challenge and proves the first round: the folded polynomial with its
    /// weights, what their product sums to if the claims are true, and the challenges.
    pub(super) fn first_round<Challenger>(
        self,
        data: &mut SumcheckData<F, E>,
        work: usize,
        challenger: &mut Challenger,
    ) -> (ProductPolynomial<F, E>, E, Point<E>)
    where
        F: TranscriptField,
        Challenger: FieldChallenger<F> + GrindingChallenger<Witness = F>,
    {
        let alpha: E = self.batching_challenge(challenger);
        let alphas: Vec<E> = alpha.powers().take(self.claims.len()).collect();
        let mut sum: E = self
            .claims
            .iter()
            .zip(&alphas)
            .map(|(claim, &alpha)| alpha * claim.value)
            .sum();
        let mut tables: Vec<(Vec<E>, Vec<E>)> = self
            .claims
            .iter()
            .zip(&alphas)
            .map(|(claim, &alpha)| {
                let (first, _) = claim.point.split_at(self.columns.fold);
                let weights = Poly::new_from_point(first.as_slice(), alpha);
                (weights.into_evals(), claim.partial.as_slice().to_vec())
            })
            .collect();
        let shape = SumcheckShape::new(self.columns.fold, work, Basis::Evaluation);
        let mut transcript = ProverTranscript::<_, F, E>::new(challenger, shape);
        let mut rho = vec![];
        for _ in 0..self.columns.fold {
            bind(&mut tables, |zero, infinity| {
                let r = data.observe_and_sample(&mut transcript, zero, infinity);
                sum = Basis::Evaluation.reduce_claim(zero, infinity, r, sum);
                rho.push(r);
                r
            });
        }
        transcript.finish();
        let rho = Point::new(rho);
        let (folded, weights) = self.residual(&rho, &alphas);
        let product = ProductPolynomial::new_packed(
            VariableOrder::Prefix,
            folded.pack::<F, E>(),
            weights.pack::<F, E>(),
        );
        (product, sum, rho)
    }
}

/// Absorbs the claimed values as the library's verifier does.
pub(super) fn absorb<L: Layout<F, E>>(layout: &mut L, batches: &Batches, sponge: &mut Sponge) {
    let openings = batches.protocol.iter_openings();
    for (((table, batch), point), values) in openings.zip(&batches.points).zip(&batches.values) {
        layout.eval_at_known(table, batch, point, values, sponge);
    }
}

/// The round polynomial's values at 0 and infinity, then the tables bound to the challenge.
fn bind(tables: &mut [(Vec<E>, Vec<E>)], mut draw: impl FnMut(E, E) -> E) {
    let (mut zero, mut infinity) = (E::ZERO, E::ZERO);
    for (weights, values) in &*tables {
        let half = values.len() / 2;
        for k in 0..half {
            zero += weights[k] * values[k];
            infinity += (weights[half + k] - weights[k]) * (values[half + k] - values[k]);
        }
    }
    let r = draw(zero, infinity);
    for table in tables.iter_mut().flat_map(|(a, b)| [a, b]) {
        let half = table.len() / 2;
        for k in 0..half {
            let step = table[half + k] - table[k];
            table[k] += r * step;
        }
        table.truncate(half);
    }
}

/// What the library asks of a layout that it commits to or evaluates itself.
fn replaced() -> ! {
    unreachable!("the columns are committed and evaluated here, not by the library")
}

impl Layout<F, E> for Stack<'_> {
    fn strategy() -> LayoutStrategy {
        super::config::Prefix::strategy()
    }

    fn folding(&self) -> usize {
        self.columns.fold
    }

    fn num_variables(&self) -> usize {
        self.columns.log_cells
    }

    fn num_variables_table(&self, table: usize) -> usize {
        self.columns.tables[table].num_variables()
    }

    fn table_shapes(&self) -> Vec<TableShape> {
        self.columns.tables.clone()
    }

    fn num_claims(&self) -> usize {
        self.claims.len()
    }

    fn num_virtual_claims(&self) -> usize {
        0
    }

    fn record_opening_known(
        &mut self,
        _table: usize,
        _batch: &OpeningRequest,
        _point: &Point<E>,
        _values: &OpeningEvals<E>,
    ) {
        // All claims are there from the beginning.
    }

    fn into_sumcheck<Challenger>(
        self,
        data: &mut SumcheckData<F, E>,
        work: usize,
        challenger: &mut Challenger,
    ) -> (SumcheckProver<F, E>, Point<E>)
    where
        F: TranscriptField,
        Challenger: FieldChallenger<F> + GrindingChallenger<Witness = F>,
    {
        let (product, sum, rho) = self.first_round(data, work, challenger);
        (SumcheckProver::new(product, sum), rho)
    }

    fn from_witness(_witness: Witness<F>) -> Self {
        replaced()
    }

    fn new_witness(_tables: Vec<Table<F>>, _folding: usize) -> Witness<F> {
        replaced()
    }

    fn write_message(_witness: &Witness<F>, _folding: usize, _message: &mut [F]) {
        replaced()
    }

    fn claims(&self) -> &StackedClaims<F, E> {
        replaced()
    }

    fn record_opening(
        &mut self,
        _table: usize,
        _batch: &OpeningRequest,
        _point: &Point<E>,
    ) -> OpeningEvals<E> {
        replaced()
    }

    fn record_virtual(&mut self, _point: &Point<E>) -> E {
        // Unique decoding draws no out-of-domain point.
        replaced()
    }
}
