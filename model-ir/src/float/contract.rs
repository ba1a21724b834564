//! Bilinear operators of two tensors: the shape rule, and execution as a batch of matrix products.
//!
//! The labels fall into four kinds: those of both operands that stay (`K`) or are summed (`S`),
//! and those of only the first (`L`) or the second operand (`R`). With the operands' axes permuted
//! to `[K, L, S]` and `[K, S, R]` the result is `[K, L, R]`.

use super::gemm;
use super::op::Contract;
use super::shape::MAX_CELLS;
use ndarray::{ArrayD, IxDyn};

impl Contract {
    /// Multiplication of tensors of equal shape, cell by cell.
    pub fn elementwise(rank: usize) -> Self {
        let labels: Vec<usize> = (0..rank).collect();
        Self {
            left: labels.clone(),
            right: labels.clone(),
            output: labels,
        }
    }

    /// The result's shape, or what is wrong with the labels or the operands.
    pub(super) fn output_shape(&self, a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
        let lists = [&self.left, &self.right, &self.output];
        if self.left.len() != a.len() || self.right.len() != b.len() {
            return Err(format!(
                "labels {:?} and {:?} do not fit operands of shapes {a:?} and {b:?}",
                self.left, self.right
            ));
        }
        for list in lists {
            for (i, label) in list.iter().enumerate() {
                if list[..i].contains(label) {
                    return Err(format!("label {label} occurs twice in {list:?}"));
                }
                if lists.iter().filter(|l| l.contains(label)).count() < 2 {
                    return Err(format!("label {label} occurs in one list only"));
                }
            }
        }
        for (label, &n) in self.left.iter().zip(a) {
            let other = position(&self.right, *label).map(|i| b[i]);
            if other.is_some_and(|m| m != n) {
                return Err(format!(
                    "label {label} has length {n} in {a:?} and another length in {b:?}"
                ));
            }
        }
        self.summed_cells(a)
            .filter(|&n| n <= MAX_CELLS)
            .ok_or("the summed axes are too long")?;
        let length = |label: &usize| match position(&self.left, *label) {
            Some(i) => a[i],
            None => b[position(&self.right, *label).expect("occurs in an operand")],
        };
        Ok(self.output.iter().map(length).collect())
    }

    /// Number of products that are added to one cell, for a first operand of shape `a`.
    pub(crate) fn summed_cells(&self, a: &[usize]) -> Option<usize> {
        let axes = self.left.iter().zip(a);
        let summed = axes.filter(|(label, _)| !self.output.contains(label));
        summed
            .map(|(_, &n)| n)
            .try_fold(1_usize, usize::checked_mul)
    }

    /// The labels of both operands that stay or are summed, of the first only, of the second only.
    fn kinds(&self) -> [Vec<usize>; 4] {
        let of = |list: &[usize], shared: bool, stays: bool, other: &[usize]| {
            let kept = |l: &&usize| other.contains(l) == shared && self.output.contains(l) == stays;
            list.iter().filter(kept).copied().collect()
        };
        [
            of(&self.left, true, true, &self.right),
            of(&self.left, true, false, &self.right),
            of(&self.left, false, true, &self.right),
            of(&self.right, false, true, &self.left),
        ]
    }

    /// The result, of shape `shape`.
    pub(super) fn run(&self, a: &ArrayD<f32>, b: &ArrayD<f32>, shape: &[usize]) -> ArrayD<f32> {
        let [kept, summed, left, right] = self.kinds();
        let order = |x: &ArrayD<f32>, labels: &[usize], groups: [&[usize]; 3]| -> Vec<f32> {
            let axes = groups.concat();
            let axes = axes
                .iter()
                .map(|&l| position(labels, l).expect("a label of the operand"));
            let axes: Vec<usize> = axes.collect();
            x.view()
                .permuted_axes(IxDyn(&axes))
                .iter()
                .copied()
                .collect()
        };
        let packed_a = order(a, &self.left, [&kept, &left, &summed]);
        let packed_b = order(b, &self.right, [&kept, &summed, &right]);
        let length = |label: &usize| match position(&self.left, *label) {
            Some(i) => a.shape()[i],
            None => b.shape()[position(&self.right, *label).expect("a label of an operand")],
        };
        let product = |labels: &[usize]| labels.iter().map(length).product::<usize>();
        let (m, k, n) = (product(&left), product(&summed), product(&right));
        let mut y = vec![0.0; product(&kept) * m * n];
        let blocks = packed_a
            .chunks_exact(m * k)
            .zip(packed_b.chunks_exact(k * n));
        for ((a, b), y) in blocks.zip(y.chunks_exact_mut(m * n)) {
            gemm::accumulate(a, b, y, k);
        }
        let made = [kept, left, right].concat();
        let dims: Vec<usize> = made.iter().map(length).collect();
        let y = ArrayD::from_shape_vec(IxDyn(&dims), y).expect("the lengths' product");
        let axes = self
            .output
            .iter()
            .map(|&l| position(&made, l).expect("a label of the result"));
        let y = y.permuted_axes(IxDyn(&axes.collect::<Vec<_>>()));
        debug_assert_eq!(y.shape(), shape);
        y.as_standard_layout().into_owned()
    }
}

fn position(labels: &[usize], label: usize) -> Option<usize> {
    labels.iter().position(|&l| l == label)
}

#[cfg(test)]
mod tests {
    use super::super::random::Random;
    use super::*;

    #[test]
    fn contractions_are_their_definition() {
        let cases: [(&[usize], &[usize], &[usize]); 5] = [
            (&[0, 1, 2], &[0, 2, 3], &[0, 1, 3]),
            (&[2, 0, 1], &[3, 2, 0], &[3, 0, 1]),
            (&[0, 1], &[1, 0], &[1, 0]),
            (&[0], &[1], &[1, 0]),
            (&[0, 1], &[0, 1], &[]),
        ];
        let lengths = [2, 3, 4, 5];
        let mut random = Random::new(7);
        for (left, right, output) in cases {
            let contract = Contract {
                left: left.to_vec(),
                right: right.to_vec(),
                output: output.to_vec(),
            };
            let shape = |labels: &[usize]| labels.iter().map(|&l| lengths[l]).collect::<Vec<_>>();
            let (a, b) = (random.array(&shape(left)), random.array(&shape(right)));
            let made = contract.output_shape(a.shape(), b.shape());
            assert_eq!(made, Ok(shape(output)));
            let y = contract.run(&a, &b, &shape(output));
            let mut expected = ArrayD::<f32>::zeros(IxDyn(&shape(output)));
            for all in ndarray::indices(lengths) {
                let all: [usize; 4] = all.into();
                let unused = |l: usize| ![left, right].iter().any(|list| list.contains(&l));
                if (0..4).any(|l| unused(l) && all[l] > 0) {
                    continue;
                }
                let at = |labels: &[usize]| labels.iter().map(|&l| all[l]).collect::<Vec<_>>();
                expected[IxDyn(&at(output))] += a[IxDyn(&at(left))] * b[IxDyn(&at(right))];
            }
            for (y, e) in y.iter().zip(&expected) {
                assert!((y - e).abs() < 1e-4, "{contract:?}");
            }
        }
    }
}
