//! Loops over chunks, on all threads with the feature `parallel`.

#[cfg(feature = "parallel")]
use rayon::prelude::*;

/// Calls `f` with the index and the cells of every chunk of `len`, the last one may be shorter.
pub(crate) fn for_each_chunk<T: Send>(
    values: &mut [T],
    len: usize,
    f: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    #[cfg(feature = "parallel")]
    if values.len() > len {
        values
            .par_chunks_mut(len)
            .enumerate()
            .for_each(|(i, chunk)| f(i, chunk));
        return;
    }
    for (i, chunk) in values.chunks_mut(len).enumerate() {
        f(i, chunk);
    }
}

/// Runs both.
#[cfg(feature = "parallel")]
pub(crate) fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    rayon::join(a, b);
}

/// Runs both.
#[cfg(not(feature = "parallel"))]
pub(crate) fn join(a: impl FnOnce(), b: impl FnOnce()) {
    a();
    b();
}
