//! Contractions: bilinear operators of two activations.

use super::fault::NodeFault;
use super::op::{Axes, MAX_AXES};
use crate::bounded;
use serde::{Deserialize, Serialize};

/// `Y[output..] = sum A[left..] B[right..]` over the labels that are not in the output: an einsum.
///
/// A label names one index. It occurs at most once in each list and in two lists at least, so
/// that each has one of the four [`Role`]s. Views: `A` has the lengths of `left`, `B` those of
/// `right` and the result those of `output`, in these orders. This covers matrix products of
/// batches of matrices, products of cells, outer products, broadcasts and dot products. `A` and `B`
/// may be one tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// Length of every label.
    #[serde(deserialize_with = "bounded::<_, _, MAX_AXES>")]
    pub lengths: Vec<usize>,
    /// Labels of the axes of `A`.
    #[serde(deserialize_with = "bounded::<_, _, MAX_AXES>")]
    pub left: Vec<usize>,
    /// Labels of the axes of `B`.
    #[serde(deserialize_with = "bounded::<_, _, MAX_AXES>")]
    pub right: Vec<usize>,
    /// Labels of the axes of `Y`.
    #[serde(deserialize_with = "bounded::<_, _, MAX_AXES>")]
    pub output: Vec<usize>,
}

/// What a contraction does with a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// In both operands and the output.
    Kept,
    /// In `A` and the output.
    Left,
    /// In `B` and the output.
    Right,
    /// In both operands, summed over.
    Summed,
}

impl Contract {
    /// What happens to `label`; `None` if it is not in two lists.
    pub fn role(&self, label: usize) -> Option<Role> {
        let lists = [&self.left, &self.right, &self.output];
        match lists.map(|list| list.contains(&label)) {
            [true, true, true] => Some(Role::Kept),
            [true, false, true] => Some(Role::Left),
            [false, true, true] => Some(Role::Right),
            [true, true, false] => Some(Role::Summed),
            _ => None,
        }
    }

    /// The labels with this role, in ascending order.
    pub fn labels(&self, role: Role) -> Vec<usize> {
        let all = 0..self.lengths.len();
        all.filter(|&label| self.role(label) == Some(role))
            .collect()
    }

    /// Lengths of labels.
    ///
    /// # Panics
    /// If a label has no length; those of a valid contraction have one.
    pub fn view(&self, labels: &[usize]) -> Axes {
        labels.iter().map(|&label| self.lengths[label]).collect()
    }

    /// Number of products that are summed in each cell, for a valid contraction.
    pub fn terms(&self) -> usize {
        self.view(&self.labels(Role::Summed)).iter().product()
    }

    /// Whether every label has a length, a role and at most one place in each list.
    pub(super) fn check(&self) -> Result<(), NodeFault> {
        for list in [&self.left, &self.right, &self.output] {
            for (place, &label) in list.iter().enumerate() {
                if label >= self.lengths.len() || list[..place].contains(&label) {
                    return Err(NodeFault::Label(label));
                }
            }
        }
        match (0..self.lengths.len()).find(|&label| self.role(label).is_none()) {
            Some(label) => Err(NodeFault::Label(label)),
            None => Ok(()),
        }
    }
}
