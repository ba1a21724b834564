//! Merkle trees over the rows of a word: of the words of this opening and those of WHIR at its end.
//!
//! The hash is BLAKE3, of which 25 bytes are kept: finding a collision takes 2^100 evaluations, as
//! many as the whole proof's error allows, and a path is a fifth shorter. A leaf is a row of
//! canonical field elements, 8 bytes each, and a node is the concatenation of its two children, 50
//! bytes. Of a row of more than [`PART`] elements those are hashed first, and then each part behind the
//! digest of what comes before it: a word that is too long to be kept can be hashed as its columns are made.
//! What is hashed has `8 k`, `25 + 8 k` or 50 bytes, of which no two are equal, so none can pass for
//! another.
//!
//! Rows are opened together, and of their paths only the siblings are sent that do not follow from
//! other rows. How many these are follows from the positions.

use crate::channel::Channel;
use crate::transcript::{TapeError, VerifierTape};
use p3_blake3::Blake3;
use p3_commit::Mmcs;
use p3_matrix::Dimensions;
use p3_merkle_tree::{MerkleCap, MerkleTreeMmcs, PrunedMerklePaths};
use p3_symmetric::{CompressionFunctionFromHasher, CryptographicHasher};
use std::ops::Range;
use zkstrata_mle::{F, PrimeField64};

#[cfg(feature = "prover")]
use crate::transcript::ProverTape;
#[cfg(feature = "prover")]
use p3_matrix::dense::RowMajorMatrix;
#[cfg(feature = "prover")]
use rayon::prelude::*;

/// Bytes of a digest.
pub(super) const DIGEST: usize = 25;

/// The root of a tree.
pub(super) type Digest = [u8; DIGEST];

/// Message of opened rows.
const ROWS: &str = "joint rows";

/// Message of their pruned paths.
const PATHS: &str = "joint paths";

/// Check that opened rows are those of the tree.
const TREE: &str = "paths of opened rows";

/// The first bytes of BLAKE3.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short;

fn cut(digest: &[u8; 32]) -> Digest {
    let (head, _) = digest.split_first_chunk().unwrap_or((&[0; DIGEST], &[]));
    *head
}

impl CryptographicHasher<u8, Digest> for Short {
    const LANES: usize = <Blake3 as CryptographicHasher<u8, [u8; 32]>>::LANES;

    fn hash_iter<I: IntoIterator<Item = u8>>(&self, input: I) -> Digest {
        cut(&Blake3.hash_iter(input))
    }

    fn hash_iter_slices<'a, I: IntoIterator<Item = &'a [u8]>>(&self, input: I) -> Digest {
        cut(&Blake3.hash_iter_slices(input))
    }

    fn hash_slice(&self, input: &[u8]) -> Digest {
        cut(&Blake3.hash_slice(input))
    }

    fn hash_many(&self, input: &[u8], out: &mut [Digest]) {
        /// Messages that are hashed at once: whole groups of lanes.
        const GROUP: usize = 128;
        let len = input.len() / out.len().max(1);
        if len == 0 {
            out.fill(self.hash_slice(&[]));
            return;
        }
        let mut whole = [[0; 32]; GROUP];
        for (messages, out) in input.chunks(GROUP * len).zip(out.chunks_mut(GROUP)) {
            let (whole, _) = whole.split_at_mut(out.len());
            Blake3.hash_many(messages, whole);
            for (out, whole) in out.iter_mut().zip(whole) {
                *out = cut(whole);
            }
        }
    }
}

/// Elements of a row that are hashed at once: four of the hash's blocks, so that what a part costs more is a
/// block in five, and a part of the longest words is an eighth.
pub(super) const PART: usize = 32;

/// The hash of a row. Many rows are turned into bytes at once, which the library does element by element.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfRow;

impl OfRow {
    /// The digests of some columns, [`PART`] at most, of rows of `stride` elements; behind those that are there
    /// if there are columns before.
    fn absorb(
        digests: &mut [Digest],
        (rows, stride): (&[F], usize),
        columns: Range<usize>,
        behind: bool,
    ) {
        /// Bytes that are hashed at once, if it is more than the lanes take: a part of the first-level cache.
        const GROUP: usize = 1 << 13;
        let before = if behind { DIGEST } else { 0 };
        let message = before + 8 * columns.len();
        let lanes = <Self as CryptographicHasher<F, Digest>>::LANES;
        let group = (GROUP / message.max(1)).max(1);
        let group = group.next_multiple_of(lanes.max(1)).min(digests.len());
        let mut bytes = vec![0; group * message];
        for (digests, rows) in digests.chunks_mut(group).zip(rows.chunks(group * stride)) {
            let (bytes, _) = bytes.split_at_mut(digests.len() * message);
            let messages = bytes.chunks_exact_mut(message).zip(&*digests);
            for ((bytes, digest), row) in messages.zip(rows.chunks_exact(stride)) {
                let (head, bytes) = bytes.split_at_mut(before);
                head.copy_from_slice(digest.split_at(before).0);
                let cells = row.iter().skip(columns.start);
                for (bytes, x) in bytes.as_chunks_mut().0.iter_mut().zip(cells) {
                    *bytes = x.as_canonical_u64().to_le_bytes();
                }
            }
            Short.hash_many(bytes, digests);
        }
    }
}

impl CryptographicHasher<F, Digest> for OfRow {
    const LANES: usize = <Short as CryptographicHasher<u8, Digest>>::LANES;

    fn hash_iter<I: IntoIterator<Item = F>>(&self, input: I) -> Digest {
        let mut cells = input.into_iter().peekable();
        let mut part = || {
            let part = cells.by_ref().take(PART);
            let part: Vec<[u8; 8]> = part.map(|x| x.as_canonical_u64().to_le_bytes()).collect();
            (part, cells.peek().is_some())
        };
        let (first, mut more) = part();
        let mut digest = Short.hash_slice(first.as_flattened());
        while more {
            let (next, others) = part();
            digest = Short.hash_iter_slices([&digest[..], next.as_flattened()]);
            more = others;
        }
        digest
    }

    fn hash_many(&self, input: &[F], out: &mut [Digest]) {
        /// Rows whose parts are hashed one after the other: whole groups of lanes, and what they read stays in
        /// the second-level cache.
        const ROWS: usize = 128;
        let len = input.len() / out.len().max(1);
        if len == 0 {
            out.fill(Short.hash_slice(&[]));
            return;
        }
        for (rows, out) in input.chunks(ROWS * len).zip(out.chunks_mut(ROWS)) {
            for first in (0..len).step_by(PART) {
                let columns = first..len.min(first.saturating_add(PART));
                Self::absorb(out, (rows, len), columns, first > 0);
            }
        }
    }
}

/// The trees, as the library knows them.
pub(super) type Trees =
    MerkleTreeMmcs<F, u8, OfRow, CompressionFunctionFromHasher<Short, 2, DIGEST>, 2, DIGEST>;

/// The trees.
pub(super) fn trees() -> Trees {
    Trees::new(OfRow, CompressionFunctionFromHasher::new(Short), 0)
}

/// How many siblings the pruned paths of these leaves have, in increasing order and each once.
fn siblings(positions: &[usize], depth: usize) -> usize {
    let mut level = positions.to_vec();
    let mut count = 0;
    for _ in 0..depth {
        let pairs = level.chunk_by(|a, b| a >> 1 == b >> 1);
        count += pairs.clone().filter(|pair| pair.len() == 1).count();
        level = pairs.filter_map(|pair| Some(pair.first()? >> 1)).collect();
    }
    count
}

/// Reads the rows at these positions of a word of `width` columns on `2^log_points` points, in
/// increasing order and each once; returns them one after another.
///
/// # Soundness
/// Rows that are returned are those of the word that the root commits to, if there is one.
pub(super) fn recv_rows(
    root: &Digest,
    width: usize,
    log_points: usize,
    positions: &[usize],
    tape: &mut VerifierTape<'_>,
) -> Result<Vec<F>, TapeError> {
    let truncated = TapeError::Truncated { label: ROWS };
    let cells = positions.len().checked_mul(width).ok_or(truncated)?;
    let cells = tape.recv_base(ROWS, cells)?;
    let bytes = siblings(positions, log_points).saturating_mul(DIGEST);
    let bytes = tape.recv_bytes(PATHS, bytes)?;
    let paths = PrunedMerklePaths {
        sibling_hashes: bytes.as_chunks().0.to_vec(),
    };
    let dimensions = Dimensions {
        width,
        height: 1 << log_points,
    };
    let rows: Vec<[&[F]; 1]> = cells.chunks(width.max(1)).map(|row| [row]).collect();
    let rows: Vec<Vec<&[F]>> = rows.into_iter().map(Vec::from).collect();
    let root = MerkleCap::new(vec![*root]);
    trees()
        .verify_multi_batch(&root, &[dimensions], positions, &rows, &paths)
        .map_err(|_| TapeError::Rejected { check: TREE })?;
    Ok(cells)
}

/// Levels of nodes, leaves among them, that are not kept: the digests below a node of the next level are
/// computed again where a row there is opened. They are 3/4 of all digests, and a row takes three others to
/// hash.
#[cfg(feature = "prover")]
const SKIPPED: usize = 2;

/// Nodes of a level that are made in a task.
#[cfg(feature = "prover")]
const GRAIN: usize = 1 << 8;

/// A tree and the word that it commits to.
#[cfg(feature = "prover")]
pub(super) struct Tree {
    /// The word, unless it is too long to be kept.
    word: Option<RowMajorMatrix<F>>,
    /// Level [`SKIPPED`] and those above it, each half as long as the one before; of a smaller tree, the root.
    /// Of a word that is not kept all levels.
    levels: Vec<Vec<Digest>>,
}

/// Rows and what proves that they are a word's.
#[cfg(feature = "prover")]
pub(super) struct Opened {
    /// The rows one after another.
    pub(super) rows: Vec<F>,
    /// The siblings.
    pub(super) paths: Vec<Digest>,
}

#[cfg(feature = "prover")]
impl Tree {
    /// Commits to a word on a power of two of points.
    pub(super) fn new(word: RowMajorMatrix<F>) -> Self {
        let height = word.values.len() / word.width.max(1);
        assert!(height.is_power_of_two(), "a domain has 2^k points");
        let group = height.min(1 << SKIPPED);
        let mut level = vec![[0; DIGEST]; height / group];
        level
            .par_chunks_mut(GRAIN)
            .zip(word.values.par_chunks(GRAIN * group * word.width.max(1)))
            .for_each(|(nodes, rows)| {
                let mut below = vec![[0; DIGEST]; group * nodes.len()];
                OfRow.hash_many(rows, &mut below);
                while below.len() > nodes.len() {
                    below = parents(&below);
                }
                nodes.copy_from_slice(&below);
            });
        Self {
            word: Some(word),
            levels: levels_from(level),
        }
    }

    /// Commits to a word of so many rows, some columns of which `part` makes at a time. It is not kept.
    pub(super) fn of_parts(
        rows: usize,
        width: usize,
        part: impl Fn(Range<usize>) -> RowMajorMatrix<F>,
    ) -> Self {
        let mut digests = vec![[0; DIGEST]; rows];
        for first in (0..width).step_by(PART) {
            let columns = first..width.min(first + PART);
            let (len, behind) = (columns.len(), first > 0);
            let part = part(columns);
            let rows = part.values.par_chunks(GRAIN * len);
            let digests = digests.par_chunks_mut(GRAIN).zip(rows);
            digests.for_each(|(own, rows)| OfRow::absorb(own, (rows, len), 0..len, behind));
        }
        Self {
            word: None,
            levels: levels_from(digests),
        }
    }

    /// The commitment.
    pub(super) fn root(&self) -> Digest {
        self.levels.last().expect("a tree has a root")[0]
    }

    /// Opens rows, in increasing order and each once, which `made` makes if the word is not kept.
    pub(super) fn open(&self, positions: &[usize], made: impl FnOnce() -> Vec<F>) -> Opened {
        let Some(word) = &self.word else {
            return Opened {
                rows: made(),
                paths: self.paths(positions.to_vec()),
            };
        };
        let width = word.width;
        let row = |at: usize| &word.values[at * width..][..width];
        // The skipped levels above the rows that are opened, of each node of the first one that is kept.
        let skipped = SKIPPED.min((word.values.len() / width.max(1)).ilog2() as usize);
        let below: Vec<&[usize]> = positions
            .chunk_by(|a, b| a >> skipped == b >> skipped)
            .collect();
        let below = below.par_iter().map(|group| {
            let first = group[0] >> skipped << skipped;
            let rows = &word.values[first * width..][..width << skipped];
            let mut level = vec![[0; DIGEST]; 1 << skipped];
            OfRow.hash_many(rows, &mut level);
            let mut at: Vec<usize> = group.iter().map(|position| position - first).collect();
            let mut paths = vec![];
            for _ in 0..skipped {
                paths.push(missing(&mut at, |k| level[k]));
                level = parents(&level);
            }
            paths
        });
        let below: Vec<Vec<Vec<Digest>>> = below.collect();
        let mut paths = vec![];
        for level in 0..skipped {
            paths.extend(below.iter().flat_map(|paths| &paths[level]));
        }
        let mut at: Vec<usize> = positions
            .iter()
            .map(|position| position >> skipped)
            .collect();
        at.dedup();
        paths.extend(self.paths(at));
        Opened {
            rows: positions.iter().flat_map(|&at| row(at)).copied().collect(),
            paths,
        }
    }

    /// The siblings that do not follow from nodes of the first level that is kept.
    fn paths(&self, mut at: Vec<usize>) -> Vec<Digest> {
        let (_, levels) = self.levels.split_last().expect("a tree has a root");
        let levels = levels.iter();
        levels
            .flat_map(|level| missing(&mut at, |k| level[k]))
            .collect()
    }
}

/// A level and all above it.
#[cfg(feature = "prover")]
fn levels_from(mut level: Vec<Digest>) -> Vec<Vec<Digest>> {
    let mut levels = vec![];
    while level.len() > 1 {
        let above = level.par_chunks(2 * GRAIN).map(parents);
        let above: Vec<Vec<Digest>> = above.collect();
        levels.push(std::mem::replace(&mut level, above.concat()));
    }
    levels.push(level);
    levels
}

/// The nodes above these, of an even number.
#[cfg(feature = "prover")]
fn parents(nodes: &[Digest]) -> Vec<Digest> {
    let mut above = vec![[0; DIGEST]; nodes.len() / 2];
    Short.hash_many(nodes.as_flattened(), &mut above);
    above
}

/// The siblings that do not follow from nodes of a level at these positions, in increasing order and each
/// once; the positions become those of their parents.
#[cfg(feature = "prover")]
fn missing(positions: &mut Vec<usize>, node: impl Fn(usize) -> Digest) -> Vec<Digest> {
    let pairs = positions.chunk_by(|a, b| a >> 1 == b >> 1);
    let siblings = pairs
        .clone()
        .filter(|pair| pair.len() == 1)
        .map(|pair| node(pair[0] ^ 1));
    let siblings = siblings.collect();
    *positions = pairs.map(|pair| pair[0] >> 1).collect();
    siblings
}

#[cfg(feature = "prover")]
impl Opened {
    /// Sends the rows as [`recv_rows`] reads them.
    pub(super) fn send(&self, tape: &mut ProverTape) {
        tape.send_base(ROWS, &self.rows);
        tape.send_bytes(PATHS, self.paths.as_flattened());
    }
}

#[cfg(all(test, feature = "prover"))]
mod tests {
    use super::*;
    use zkstrata_mle::PrimeCharacteristicRing;

    #[test]
    fn a_digest_is_the_beginning_of_blake3() {
        let messages: Vec<u8> = (0..200 * 50).map(|i| (i * i % 251) as u8).collect();
        let mut out = vec![[0; DIGEST]; 200];
        Short.hash_many(&messages, &mut out);
        for (message, digest) in messages.chunks(50).zip(&out) {
            assert_eq!(&blake3::hash(message).as_bytes()[..DIGEST], digest);
            assert_eq!(&Short.hash_slice(message), digest);
            assert_eq!(&Short.hash_iter(message.iter().copied()), digest);
            assert_eq!(&Short.hash_iter_slices([message]), digest);
        }
    }

    #[test]
    fn rows_are_hashed_part_by_part() {
        for width in [1usize, 2, 3, 31, 32, 33, 63, 64, 65, 200, 3000] {
            let cell = |i: usize| F::from_u64((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let cells: Vec<F> = (0..70 * width).map(cell).collect();
            let mut out = vec![[0; DIGEST]; 70];
            OfRow.hash_many(&cells, &mut out);
            for (row, digest) in cells.chunks(width).zip(&out) {
                let mut expected = vec![];
                for part in row.chunks(32) {
                    let bytes = part.iter().map(|x| x.as_canonical_u64().to_le_bytes());
                    expected.extend(bytes.flatten());
                    expected = blake3::hash(&expected).as_bytes()[..DIGEST].to_vec();
                }
                assert_eq!(&expected, digest);
                assert_eq!(&OfRow.hash_iter(row.iter().copied()), digest);
                assert_eq!(&OfRow.hash_iter_slices([row]), digest);
            }
        }
    }

    #[test]
    fn as_many_siblings_as_the_tree_sends() {
        for log_points in 0..13 {
            let cells = (0..3u64 << log_points).map(F::from_u64).collect();
            let word = RowMajorMatrix::new(cells, 3);
            let tree = Tree::new(word.clone());
            let (root, known) = trees().commit(vec![word]);
            assert_eq!(tree.root(), root.roots()[0], "the library's tree");
            for step in 1..=1usize << log_points {
                if log_points > 8 && !step.is_power_of_two() {
                    continue;
                }
                let positions: Vec<usize> = (step / 2..1 << log_points).step_by(step).collect();
                let opened = tree.open(&positions, || unreachable!("it is kept"));
                let (_, paths) = trees().open_multi_batch(&positions, &known);
                assert_eq!(opened.paths, paths.sibling_hashes);
                assert_eq!(opened.paths.len(), siblings(&positions, log_points));
                let mut tape = ProverTape::new(&[0; 32]);
                opened.send(&mut tape);
                let bytes = tape.finish();
                let recv = |root: &Digest, at: &[usize]| {
                    let mut tape = VerifierTape::new(&[0; 32], &bytes);
                    recv_rows(root, 3, log_points, at, &mut tape)
                };
                assert_eq!(recv(&tree.root(), &positions), Ok(opened.rows));
                let mut root = tree.root();
                root[DIGEST - 1] ^= 1;
                assert!(recv(&root, &positions).is_err());
            }
        }
    }
}
