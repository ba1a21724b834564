//! Chunks of a layer that are not dead.
//!
//! Tensors are padded to powers of two, so that dead chunks lie everywhere in a layer. They take no
//! place, and a sumcheck binds what is stored where it lies: the bound chunk of a live and a dead one
//! takes the place of the live one.

use rayon::prelude::*;

/// Bytes that are allocated at once, of a large page: what a layer leaves free then serves the next
/// one, whatever their lengths.
const SEGMENT: usize = 1 << 21;

/// Segments that a thread makes at least, if they are not too short.
const SHARE: usize = 4;

/// The chunks of a layer up to some last one, those that are not dead one after another.
pub(crate) struct Sparse<T> {
    /// Which of the layer's chunks are stored.
    live: Vec<bool>,
    segments: Vec<Vec<T>>,
}

impl<T: Send> Sparse<T> {
    /// Makes the chunks that are live, on several threads if there are `2 grain` of them, each task
    /// with a scratch of its own.
    pub(super) fn make<S>(
        live: Vec<bool>,
        grain: usize,
        scratch: impl Fn() -> S + Sync + Send,
        make: impl Fn(&mut S, usize) -> T + Sync + Send,
    ) -> Self {
        let index = (0..).zip(&live).filter_map(|(c, &live)| live.then_some(c));
        let index: Vec<usize> = index.collect();
        let segment = |own: &mut S, index: &[usize]| -> Vec<T> {
            index.iter().map(|&c| make(own, c)).collect()
        };
        let segments = if index.len() < 2 * grain {
            vec![segment(&mut scratch(), &index)]
        } else {
            let share = index.len() / (SHARE * rayon::current_num_threads());
            let length = share.clamp(grain, SEGMENT / size_of::<T>());
            let segments = index.par_chunks(length);
            segments.map_init(scratch, segment).collect()
        };
        Self { live, segments }
    }

    /// Which chunks are stored.
    pub(super) fn live(&self) -> &[bool] {
        &self.live
    }

    /// All chunks.
    pub(super) fn table(&self) -> Vec<Option<&T>> {
        let mut chunks = self.segments.iter().flatten();
        let chunk = |&live: &bool| live.then(|| chunks.next()).flatten();
        self.live.iter().map(chunk).collect()
    }

    /// All chunks, to be overwritten.
    pub(super) fn table_mut(&mut self) -> Vec<Option<&mut T>> {
        let mut chunks = self.segments.iter_mut().flatten();
        let chunk = |&live: &bool| live.then(|| chunks.next()).flatten();
        self.live.iter().map(chunk).collect()
    }
}

/// Which parents of chunks are live, two chunks a parent.
pub(super) fn live_parents(live: &[bool]) -> Vec<bool> {
    live.chunks(2).map(|pair| pair.contains(&true)).collect()
}

/// Which chunks are live when the first variable of their index, of `2 half` values, is bound.
pub(super) fn live_bound(live: &[bool], half: usize) -> Vec<bool> {
    let (low, high) = live.split_at(half.min(live.len()));
    let high = high.iter().copied().chain(std::iter::repeat(false));
    low.iter()
        .zip(high)
        .map(|(&low, high)| low || high)
        .collect()
}
