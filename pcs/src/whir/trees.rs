//! Merkle trees over BLAKE3 whose prover data is shared: a key's tree is opened by every proof,
//! and the library takes it by value.

use p3_blake3::Blake3;
use p3_commit::{BatchOpening, BatchOpeningRef, Mmcs};
use p3_matrix::{Dimensions, Matrix};
use p3_merkle_tree::{MerkleCap, MerkleTreeError, MerkleTreeMmcs, PrunedMerklePaths};
use p3_symmetric::{CompressionFunctionFromHasher, SerializingHasher};
use std::sync::Arc;
use zkstrata_mle::F;

type Inner = MerkleTreeMmcs<
    F,
    u8,
    SerializingHasher<Blake3>,
    CompressionFunctionFromHasher<Blake3, 2, 32>,
    2,
    32,
>;

/// The library's Merkle trees, with the tree behind an [`Arc`].
#[derive(Clone, Debug)]
pub(super) struct Trees(Inner);

impl Trees {
    pub(super) fn new() -> Self {
        let hasher = SerializingHasher::new(Blake3);
        let compression = CompressionFunctionFromHasher::new(Blake3);
        Self(Inner::new(hasher, compression, 0))
    }
}

impl Mmcs<F> for Trees {
    type ProverData<M> = Arc<<Inner as Mmcs<F>>::ProverData<M>>;
    type Commitment = MerkleCap<F, [u8; 32]>;
    type Proof = Vec<[u8; 32]>;
    type MultiProof = PrunedMerklePaths<u8, 32>;
    type Error = MerkleTreeError;

    fn commit<M: Matrix<F>>(&self, inputs: Vec<M>) -> (Self::Commitment, Self::ProverData<M>) {
        let (root, tree) = self.0.commit(inputs);
        (root, Arc::new(tree))
    }

    fn open_batch<M: Matrix<F>>(
        &self,
        index: usize,
        tree: &Self::ProverData<M>,
    ) -> BatchOpening<F, Self> {
        let (values, proof) = self.0.open_batch(index, tree).unpack();
        BatchOpening::new(values, proof)
    }

    fn get_matrices<'a, M: Matrix<F>>(&self, tree: &'a Self::ProverData<M>) -> Vec<&'a M> {
        self.0.get_matrices(tree)
    }

    fn verify_batch(
        &self,
        root: &Self::Commitment,
        dimensions: &[Dimensions],
        index: usize,
        opening: BatchOpeningRef<'_, F, Self>,
    ) -> Result<(), Self::Error> {
        let (values, proof) = opening.unpack();
        let opening = BatchOpeningRef::new(values, proof);
        self.0.verify_batch(root, dimensions, index, opening)
    }

    fn open_multi_batch<M: Matrix<F>>(
        &self,
        indices: &[usize],
        tree: &Self::ProverData<M>,
    ) -> (Vec<Vec<Vec<F>>>, Self::MultiProof) {
        self.0.open_multi_batch(indices, tree)
    }

    fn verify_multi_batch<R: AsRef<[F]> + PartialEq>(
        &self,
        root: &Self::Commitment,
        dimensions: &[Dimensions],
        indices: &[usize],
        rows: &[Vec<R>],
        proof: &Self::MultiProof,
    ) -> Result<(), Self::Error> {
        self.0
            .verify_multi_batch(root, dimensions, indices, rows, proof)
    }
}
