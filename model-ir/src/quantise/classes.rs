//! Scale classes: values whose scales stand in fixed ratios.
//!
//! A union-find over values with `scale(v) = ratio(v) * scale(root)`. Ties come from operators
//! that add or move integers (a sum needs equal scales, an average pool divides by its window
//! through the scale); a class's scale is the largest that a member demands.

use super::policy;

/// The classes of `0..len`.
#[derive(Clone, Debug)]
pub(super) struct Classes {
    /// Parent and `scale(v) / scale(parent)`.
    parent: Vec<(usize, f64)>,
    /// The scale of a root that a member prescribes.
    fixed: Vec<Option<f64>>,
}

impl Classes {
    /// `len` values, each a class of its own.
    pub(super) fn new(len: usize) -> Self {
        Self {
            parent: (0..len).map(|v| (v, 1.0)).collect(),
            fixed: vec![None; len],
        }
    }

    /// The root of `v`'s class and `scale(v) / scale(root)`.
    pub(super) fn root(&self, v: usize) -> (usize, f64) {
        let (mut v, mut ratio) = (v, 1.0);
        loop {
            let (parent, step) = self.parent[v];
            if parent == v {
                return (v, ratio);
            }
            ratio *= step;
            v = parent;
        }
    }

    /// Prescribes `scale(v)`; whether that is consistent with earlier ties.
    pub(super) fn fix(&mut self, v: usize, scale: f64) -> bool {
        let (root, ratio) = self.root(v);
        let of_root = scale / ratio;
        let fixed = *self.fixed[root].get_or_insert(of_root);
        (fixed / of_root - 1.0).abs() <= policy::RATIO_SLACK
    }

    /// The scale of `v` if a member of its class prescribes it.
    pub(super) fn fixed(&self, v: usize) -> Option<f64> {
        let (root, ratio) = self.root(v);
        self.fixed[root].map(|scale| scale * ratio)
    }

    /// Demands `scale(a) = ratio * scale(b)`; whether that is consistent with earlier ties and
    /// prescriptions. Nothing changes if it is not.
    pub(super) fn tie(&mut self, a: usize, b: usize, ratio: f64) -> bool {
        let ((a, of_a), (b, of_b)) = (self.root(a), self.root(b));
        // scale(a) = ratio * of_b / of_a * scale(b), on roots.
        let ratio = ratio * of_b / of_a;
        if a == b {
            return (ratio - 1.0).abs() <= policy::RATIO_SLACK;
        }
        if let Some(scale) = self.fixed[a]
            && !self.fix(b, scale / ratio)
        {
            return false;
        }
        self.parent[a] = (b, ratio);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_multiply_along_ties() {
        let mut classes = Classes::new(5);
        assert!(classes.tie(0, 1, 2.0));
        assert!(classes.tie(2, 3, 0.25));
        assert!(classes.tie(1, 3, 3.0));
        let (root, of_0) = classes.root(0);
        let (same, of_2) = classes.root(2);
        assert_eq!(root, same);
        assert!((of_0 / of_2 - 24.0).abs() < 1e-12);
        assert!(classes.tie(0, 2, 24.0));
        assert!(!classes.tie(0, 2, 1.0));
        assert_eq!(classes.root(4), (4, 1.0));
    }

    #[test]
    fn prescribed_scales_hold_for_their_class() {
        let mut classes = Classes::new(4);
        assert!(classes.fix(0, 0.5) && classes.fix(3, 4.0));
        assert!(classes.tie(0, 1, 2.0));
        assert_eq!(classes.fixed(1), Some(0.25));
        assert!(classes.tie(2, 3, 1.0));
        assert!(!classes.tie(1, 2, 1.0));
        assert_eq!(classes.fixed(2), Some(4.0));
        assert!(classes.tie(1, 2, 1.0 / 16.0));
        assert!(!classes.fix(0, 1.0) && classes.fix(0, 0.5));
    }
}
