//! What opens a commitment to a tensor: the tensor, a seed, and how many uses are left.
//!
//! What hides the tensor is drawn from the seed *of the tensor and its form*, so that one seed never
//! blinds two tensors alike: rows of two words under one blinding would show their difference.
//!
//! A commitment shows nothing in as many openings as its form says. The count of those that are left is
//! part of the secret, clones share it, and a use is spent before a proof begins, whatever becomes of the
//! proof. Bytes are a copy with a count of its own: whoever stores them stores them with fewer uses before
//! any of these is spent.

use crate::commitment::{TensorCommitment, TensorForm};
use crate::error::{FileError, ProveError, StatementError};
use crate::file::{self, SECRET};
use crate::key::VerifyingKey;
use crate::options::Visibility;
use crate::statement::{cells_of, check_cells};
use crate::tensor::padded;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use zeroize::Zeroizing;
use zkstrata_pcs::joint::{Column, RelationProver};
use zkstrata_pcs::{Error, Seed};

/// The opening of a [`TensorCommitment`]: whoever has it knows the tensor and can prove with it. A secret,
/// unless the commitment is a hash; clones share one count of uses.
#[derive(Clone)]
pub struct TensorSecret(Arc<Inner>);

struct Inner {
    commitment: TensorCommitment,
    cells: Zeroizing<Vec<i64>>,
    seed: Seed,
    left: AtomicU16,
    /// The process that counts the uses.
    process: u32,
}

impl std::fmt::Debug for TensorSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TensorSecret")
    }
}

impl PartialEq for TensorSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.commitment == other.0.commitment
    }
}

impl Eq for TensorSecret {}

/// The fields of a file.
#[derive(Serialize, Deserialize)]
struct Body {
    commitment: TensorCommitment,
    left: u16,
    seed: [u8; 32],
    cells: Vec<i64>,
}

impl Drop for Body {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.seed);
        zeroize::Zeroize::zeroize(&mut self.cells);
    }
}

/// What the rows that hide a tensor are drawn from: a seed that repeats hides other tensors by other rows.
pub(crate) fn hedged(form: &TensorForm, cells: &[i64], seed: &Seed) -> Seed {
    seed.hedged(|hasher| {
        hasher.update(b"zkstrata tensor commitment 1");
        hasher.update(&postcard::to_allocvec(form).unwrap_or_default());
        let bytes: Vec<u8> = cells.iter().flat_map(|x| x.to_le_bytes()).collect();
        hasher.update(&Zeroizing::new(bytes));
    })
}

/// The encoding of a scheme's commitment to a tensor, and what opens it.
fn commit<C: RelationProver>(
    form: &TensorForm,
    cells: &[i64],
    seed: &Seed,
) -> Result<(Vec<u8>, C::Data), Error> {
    let layout = form.layout()?;
    let column = Column::I64(padded(&form.axes(), cells));
    let seed = hedged(form, cells, seed);
    let (commitment, data) = C::commit_hidden(&layout, vec![column], &seed)?;
    Ok((postcard::to_allocvec(&commitment).unwrap_or_default(), data))
}

impl TensorSecret {
    /// Commits to the dense cells of a tensor of this form, with a seed that is a secret.
    pub(crate) fn new<C: RelationProver>(
        form: TensorForm,
        cells: Vec<i64>,
        seed: Seed,
    ) -> Result<(Self, C::Data), Error> {
        let cells = Zeroizing::new(cells);
        let (root, data) = commit::<C>(&form, &cells, &seed)?;
        let inner = Inner {
            left: AtomicU16::new(form.uses.get()),
            process: std::process::id(),
            commitment: TensorCommitment { form, root },
            cells,
            seed,
        };
        Ok((Self(Arc::new(inner)), data))
    }

    /// What a prover opens the commitment with; nothing if the commitment is not that of the cells.
    pub(crate) fn data<C: RelationProver>(&self) -> Result<Option<C::Data>, Error> {
        let Inner {
            commitment,
            cells,
            seed,
            ..
        } = &*self.0;
        let (root, data) = commit::<C>(&commitment.form, cells, seed)?;
        Ok((root == commitment.root).then_some(data))
    }

    /// The commitment that it opens.
    pub fn commitment(&self) -> &TensorCommitment {
        &self.0.commitment
    }

    /// Whether it is a hash, which hides nothing ([`hash_input`](crate::VerifyingKey::hash_input)).
    pub fn is_hash(&self) -> bool {
        *self.0.seed.to_bytes() == [0; 32]
    }

    /// The cells of the tensor, dense and row-major, the batch first.
    pub fn cells(&self) -> &[i64] {
        &self.0.cells
    }

    /// How many proofs are left in which the commitment hides the tensor.
    pub fn uses_left(&self) -> u16 {
        self.0.left.load(Ordering::SeqCst)
    }

    /// Whether no fork of this process counts as well.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.0.process == std::process::id()
    }

    /// Spends a use, if one is left.
    pub(crate) fn spend(&self) -> bool {
        let less = |left: u16| left.checked_sub(1);
        let left = &self.0.left;
        left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_ok()
    }

    /// The bytes of a `.zko` file, as secret as the tensor, after so many uses more; nothing if fewer are
    /// left. They have a count of their own. Before a use of this value is spent, the bytes *after* that
    /// use must be the only ones that are kept: restoring others shows the tensor in the end.
    pub fn to_bytes_after(&self, uses: u16) -> Option<Zeroizing<Vec<u8>>> {
        let Inner {
            commitment,
            cells,
            seed,
            ..
        } = &*self.0;
        let body = Body {
            commitment: commitment.clone(),
            left: self.uses_left().checked_sub(uses)?,
            seed: *seed.to_bytes(),
            cells: cells.to_vec(),
        };
        Some(Zeroizing::new(file::encode_key(SECRET, &body)))
    }

    /// Reads a `.zko` file and checks that it is undamaged.
    ///
    /// # Errors
    /// The bytes are no opening of a commitment.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let mut body: Body = file::decode_checked(SECRET, bytes)?;
        let form = &body.commitment.form;
        let malformed = |reason: &str| FileError::Malformed(reason.into());
        if form.cells() != Some(body.cells.len()) || form.layout().is_err() {
            return Err(malformed("the cells do not fit the commitment"));
        }
        if body.left > form.uses.get() {
            return Err(malformed("more uses are left than there were"));
        }
        let inner = Inner {
            commitment: body.commitment.clone(),
            cells: Zeroizing::new(std::mem::take(&mut body.cells)),
            seed: Seed::new(body.seed),
            left: AtomicU16::new(body.left),
            process: std::process::id(),
        };
        Ok(Self(Arc::new(inner)))
    }
}

impl<C: RelationProver> VerifyingKey<C> {
    /// Commits to a tensor as the committed input at position `port`: dense integers, the batch first,
    /// at the port's scale. The secret goes to whoever is to prove with it, the commitment
    /// ([`TensorSecret::commitment`]) to whoever is to recognise the tensor in proofs.
    ///
    /// # Errors
    /// The key has no such committed input, cells do not fit it, or the system has no randomness.
    pub fn commit_input(&self, port: usize, cells: &[i64]) -> Result<TensorSecret, ProveError> {
        let seed = Seed::from_system().map_err(|e| ProveError::Randomness(e.to_string()))?;
        self.commit_with(port, cells, seed)
    }

    /// The same without a secret: the commitment is a hash of the tensor, which whoever has the tensor
    /// can make anew and compare. **It does not hide the tensor**: who guesses it can check the guess, and
    /// proofs show parts of it.
    ///
    /// # Errors
    /// As for [`commit_input`](Self::commit_input).
    pub fn hash_input(&self, port: usize, cells: &[i64]) -> Result<TensorSecret, ProveError> {
        self.commit_with(port, cells, Seed::new([0; 32]))
    }

    fn commit_with(
        &self,
        port: usize,
        cells: &[i64],
        seed: Seed,
    ) -> Result<TensorSecret, ProveError> {
        let graph = self.graph();
        let input = graph.inputs.get(port);
        let name = input.map_or_else(|| port.to_string(), |input| format!("`{}`", input.name));
        let (Some(input), Visibility::Committed { uses }) = (input, self.visibilities().of(port))
        else {
            return Err(ProveError::Secret {
                port: format!("input {name}"),
                reason: "the key has no such committed input: set up with it committed".into(),
            });
        };
        let batch = cells.len() / cells_of(graph, input).max(1);
        let max = self.max_batch();
        if batch == 0 || batch > max {
            return Err(StatementError::Batch { batch, max }.into());
        }
        check_cells(graph, ("input", input), cells, batch)?;
        let form = TensorForm::new(graph, input, batch, uses, self.profile());
        Ok(TensorSecret::new::<C>(form, cells.to_vec(), seed)?.0)
    }
}
