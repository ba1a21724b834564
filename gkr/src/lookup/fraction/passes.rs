//! Passes of a sumcheck over a table, chunk by chunk, on all threads.
//!
//! A table of a cube whose first variable is bound next has two halves, and four quarters when the
//! message of the round after that is wanted: the first two are bound with the last two and become
//! the two halves of the bound table, in place. Tables end at their live length: a half or a
//! quarter that is not stored is missing from the kernel's arguments.

use rayon::prelude::*;
use zkstrata_mle::{PackedE, PrimeCharacteristicRing};

/// Chunks that a task takes: with fewer, handing it to a thread costs more.
const TASK: usize = 8;

/// What the chunks' parts of `t(0)` and of the leading coefficient add up to.
pub(super) type Sums = [PackedE; 2];

const ZEROS: Sums = [PackedE::ZERO; 2];

fn add(a: Sums, b: Sums) -> Sums {
    [a[0] + b[0], a[1] + b[1]]
}

/// Adds up a kernel of (index, low half, high half) over the chunks of the low half; `half` is its
/// full length. Returns the number of chunks too.
pub(super) fn over_halves<T: Sync>(
    table: &[T],
    half: usize,
    kernel: impl Fn(usize, &T, Option<&T>) -> Sums + Sync + Send,
) -> (Sums, usize) {
    let (low, high) = table.split_at(half.min(table.len()));
    let sums = add_up(low.len(), || (), |(), c| kernel(c, &low[c], high.get(c)));
    (sums, low.len())
}

/// Adds up the parts of `0..chunks`, each task with a scratch of its own.
pub(super) fn add_up<S>(
    chunks: usize,
    scratch: impl Fn() -> S + Sync + Send,
    part: impl Fn(&mut S, usize) -> Sums + Sync + Send,
) -> Sums {
    if chunks < 2 * TASK {
        let mut own = scratch();
        (0..chunks).map(|c| part(&mut own, c)).fold(ZEROS, add)
    } else {
        let chunks = (0..chunks).into_par_iter().with_min_len(TASK);
        chunks.map_init(scratch, part).reduce(|| ZEROS, add)
    }
}

/// The chunks of the four quarters at one place.
pub(super) struct Quarters<'a, T> {
    /// The low half of the bound table, to be bound with `low_with`.
    pub(super) low: &'a mut T,
    /// The high half of the bound table, to be bound with `high_with`.
    pub(super) high: Option<&'a mut T>,
    /// The third quarter.
    pub(super) low_with: Option<&'a mut T>,
    /// The fourth quarter.
    pub(super) high_with: Option<&'a mut T>,
}

/// Adds up a kernel that binds the chunks of a table with quarters of `quarter` chunks, and cuts
/// the table to what is bound. Returns the number of chunks too.
pub(super) fn over_quarters<T: Send + Sync>(
    table: &mut Vec<T>,
    quarter: usize,
    kernel: impl Fn(usize, Quarters<'_, T>) -> Sums + Sync,
) -> (Sums, usize) {
    let run = |task: Task<'_, T>| {
        let mut b = task.b.iter_mut();
        let mut c = task.c.iter_mut();
        let mut d = task.d.iter_mut();
        let mut sums = ZEROS;
        for (i, low) in task.a.iter_mut().enumerate() {
            let quarters = Quarters {
                low,
                high: b.next(),
                low_with: c.next(),
                high_with: d.next(),
            };
            sums = add(sums, kernel(task.first + i, quarters));
        }
        sums
    };
    let mut rest = &mut table[..];
    let [a, b, c, d] = [0; 4].map(|_| take(&mut rest, quarter));
    let chunks = a.len();
    let mut whole = Task {
        first: 0,
        a,
        b,
        c,
        d,
    };
    let sums = if chunks < 2 * TASK {
        run(whole)
    } else {
        let tasks: Vec<_> = (0..chunks.div_ceil(TASK))
            .map(|_| whole.take(TASK))
            .collect();
        tasks.into_par_iter().map(run).reduce(|| ZEROS, add)
    };
    table.truncate(2 * quarter);
    (sums, chunks)
}

/// A range of chunks of the four quarters.
struct Task<'a, T> {
    first: usize,
    a: &'a mut [T],
    b: &'a mut [T],
    c: &'a mut [T],
    d: &'a mut [T],
}

impl<T> Task<'_, T> {
    /// Takes the first `chunks` chunks off the range.
    fn take(&mut self, chunks: usize) -> Self {
        let first = self.first;
        self.first += chunks;
        Self {
            first,
            a: take(&mut self.a, chunks),
            b: take(&mut self.b, chunks),
            c: take(&mut self.c, chunks),
            d: take(&mut self.d, chunks),
        }
    }
}

/// The first `n` cells, or as many as there are, of `rest`, which keeps the others.
#[allow(clippy::mut_mut)] // it advances the slice
fn take<'a, T>(rest: &mut &'a mut [T], n: usize) -> &'a mut [T] {
    let all = std::mem::take(rest);
    let (head, tail) = all.split_at_mut(n.min(all.len()));
    *rest = tail;
    head
}
