//! Merkle trees over the rows of a word: of the words of this opening and those of WHIR at its end.
//!
//! The hash is BLAKE3, of which 25 bytes are kept: finding a collision takes 2^100 evaluations, as
//! many as the whole proof's error allows, and a path is a fifth shorter. A leaf is a row of
//! canonical field elements, 8 bytes each, and a node is the concatenation of its two children, 50
//! bytes: no row has as many, so neither can pass for the other.
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

/// The hash of a row: that of its elements' bytes. Many rows are turned into bytes at once, which the
/// library does element by element.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfRow;

impl CryptographicHasher<F, Digest> for OfRow {
    const LANES: usize = <Short as CryptographicHasher<u8, Digest>>::LANES;

    fn hash_iter<I: IntoIterator<Item = F>>(&self, input: I) -> Digest {
        let bytes = |x: F| x.as_canonical_u64().to_le_bytes();
        Short.hash_iter(input.into_iter().flat_map(bytes))
    }

    fn hash_many(&self, input: &[F], out: &mut [Digest]) {
        /// Bytes of rows that are hashed at once, if it is more than the lanes take: a part of the
        /// first-level cache.
        const GROUP: usize = 1 << 13;
        let len = input.len() / out.len().max(1);
        if len == 0 {
            out.fill(Short.hash_slice(&[]));
            return;
        }
        let lanes = <Self as CryptographicHasher<F, Digest>>::LANES;
        let rows = (GROUP / (8 * len)).max(1).next_multiple_of(lanes.max(1));
        let mut bytes = vec![[0; 8]; rows.min(out.len()) * len];
        for (input, out) in input.chunks(rows * len).zip(out.chunks_mut(rows)) {
            let (bytes, _) = bytes.split_at_mut(input.len());
            for (bytes, x) in bytes.iter_mut().zip(input) {
                *bytes = x.as_canonical_u64().to_le_bytes();
            }
            Short.hash_many(bytes.as_flattened(), out);
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
    word: RowMajorMatrix<F>,
    /// Level [`SKIPPED`] and those above it, each half as long as the one before; of a smaller tree, the root.
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
        let mut levels = vec![];
        while level.len() > 1 {
            let above = level.par_chunks(2 * GRAIN).map(parents);
            let above: Vec<Vec<Digest>> = above.collect();
            levels.push(std::mem::replace(&mut level, above.concat()));
        }
        levels.push(level);
        Self { word, levels }
    }

    /// The commitment.
    pub(super) fn root(&self) -> Digest {
        self.levels.last().expect("a tree has a root")[0]
    }

    /// Opens rows, in increasing order and each once.
    pub(super) fn open(&self, positions: &[usize]) -> Opened {
        let width = self.word.width;
        let row = |at: usize| &self.word.values[at * width..][..width];
        // The skipped levels above the rows that are opened, of each node of the first one that is kept.
        let skipped = SKIPPED.min((self.word.values.len() / width.max(1)).ilog2() as usize);
        let below: Vec<&[usize]> = positions
            .chunk_by(|a, b| a >> skipped == b >> skipped)
            .collect();
        let below = below.par_iter().map(|group| {
            let first = group[0] >> skipped << skipped;
            let rows = &self.word.values[first * width..][..width << skipped];
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
        for level in self.levels.iter().take(self.levels.len() - 1) {
            paths.extend(missing(&mut at, |k| level[k]));
        }
        Opened {
            rows: positions.iter().flat_map(|&at| row(at)).copied().collect(),
            paths,
        }
    }
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
    fn rows_are_hashed_as_their_bytes() {
        for width in [1usize, 2, 3, 16, 200, 3000] {
            let cell = |i: usize| F::from_u64((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let cells: Vec<F> = (0..70 * width).map(cell).collect();
            let mut out = vec![[0; DIGEST]; 70];
            OfRow.hash_many(&cells, &mut out);
            for (row, digest) in cells.chunks(width).zip(&out) {
                let bytes = row.iter().map(|x| x.as_canonical_u64().to_le_bytes());
                let bytes: Vec<u8> = bytes.flatten().collect();
                assert_eq!(&blake3::hash(&bytes).as_bytes()[..DIGEST], digest);
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
                let opened = tree.open(&positions);
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
