//! Cut points: where the axes of dense tensors begin.
//!
//! A tensor of `n` cells in row-major order is laid out by a chain of divisors
//! `1 | c_1 | c_2 | .. | n`: its axes have the lengths `c_1, c_2 / c_1, ..`, innermost first.
//! An operator needs certain cuts (the ends of its axes), forbids others (inside a window axis)
//! and ties segments of two tensors to each other (an axis that is passed through is cut alike
//! on both sides). [`Cuts`] keeps the least layout of every tensor that satisfies all demands.

use std::collections::BTreeSet;

/// Axes `[stride, stride * len)` of a tensor, as positions of its divisor chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) tensor: usize,
    /// Product of the axes inside.
    pub(super) stride: usize,
    /// Length of the axis or axes.
    pub(super) len: usize,
}

/// A demand of an operator.
#[derive(Clone, Copy, Debug)]
pub(super) enum Demand {
    /// The segment begins and ends at cuts.
    Axis(Segment),
    /// The segment is one axis: no cut lies strictly inside.
    Solid(Segment),
    /// Two segments of equal length are cut alike.
    Tie(Segment, Segment),
}

/// No layout satisfies every demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conflict;

#[derive(Clone, Debug, Default)]
struct Layout {
    len: usize,
    cuts: BTreeSet<usize>,
    solids: Vec<(usize, usize)>,
    ties: Vec<(Segment, Segment)>,
}

/// The layouts of a list of tensors.
#[derive(Clone, Debug, Default)]
pub(super) struct Cuts {
    tensors: Vec<Layout>,
    /// What changed, in order, to be undone when a demand conflicts.
    journal: Vec<Change>,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Tensor,
    Cut { tensor: usize, at: usize },
    Solid { tensor: usize },
    Tie { tensor: usize },
}

/// A state to return to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize);

impl Cuts {
    /// A new tensor of `len` cells without demands; returns its index.
    pub(super) fn push(&mut self, len: usize) -> usize {
        self.tensors.push(Layout {
            len,
            ..Layout::default()
        });
        self.journal.push(Change::Tensor);
        self.tensors.len() - 1
    }

    /// The present state.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.journal.len())
    }

    /// Undoes everything since `mark`.
    pub(super) fn undo(&mut self, mark: Mark) {
        for change in self.journal.drain(mark.0..).rev() {
            match change {
                Change::Tensor => {
                    self.tensors.pop();
                }
                Change::Cut { tensor, at } => {
                    self.tensors[tensor].cuts.remove(&at);
                }
                Change::Solid { tensor } => {
                    self.tensors[tensor].solids.pop();
                }
                Change::Tie { tensor } => {
                    self.tensors[tensor].ties.pop();
                }
            }
        }
    }

    /// Imposes a demand and everything that follows from it. After a conflict the state is
    /// undefined until it is undone.
    pub(super) fn demand(&mut self, demand: Demand) -> Result<(), Conflict> {
        match demand {
            Demand::Axis(s) => {
                self.cut(s.tensor, s.stride)?;
                self.cut(s.tensor, s.stride * s.len)
            }
            Demand::Solid(s) => {
                let (from, to) = (s.stride, s.stride * s.len);
                let layout = &mut self.tensors[s.tensor];
                if layout.cuts.iter().any(|&c| from < c && c < to) {
                    return Err(Conflict);
                }
                layout.solids.push((from, to));
                self.journal.push(Change::Solid { tensor: s.tensor });
                Ok(())
            }
            Demand::Tie(a, b) => {
                assert_eq!(a.len, b.len, "tied segments have equal lengths");
                for (from, to) in [(a, b), (b, a)] {
                    self.tensors[from.tensor].ties.push((from, to));
                    self.journal.push(Change::Tie {
                        tensor: from.tensor,
                    });
                    let inside: Vec<usize> = self.inside(from).collect();
                    for cut in inside {
                        self.mirror(from, to, cut)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Lengths of the axes of a segment that begins and ends at cuts, outermost first.
    pub(super) fn axes(&self, segment: Segment) -> Vec<usize> {
        let end = segment.stride * segment.len;
        let mut below = segment.stride;
        let mut axes = Vec::new();
        for cut in self.inside(segment).chain([end]) {
            if cut > below {
                axes.push(cut / below);
            }
            below = cut;
        }
        axes.reverse();
        axes
    }

    /// The whole tensor.
    pub(super) fn whole(&self, tensor: usize) -> Segment {
        Segment {
            tensor,
            stride: 1,
            len: self.tensors[tensor].len,
        }
    }

    /// The cuts strictly inside a segment, in ascending order.
    fn inside(&self, s: Segment) -> impl Iterator<Item = usize> + '_ {
        let end = s.stride * s.len;
        let cuts = self.tensors[s.tensor]
            .cuts
            .range(s.stride + 1..end.max(s.stride + 1));
        cuts.copied()
    }

    fn mirror(&mut self, from: Segment, to: Segment, cut: usize) -> Result<(), Conflict> {
        if cut <= from.stride || cut >= from.stride * from.len {
            return Ok(());
        }
        if !cut.is_multiple_of(from.stride) {
            return Err(Conflict);
        }
        self.cut(to.tensor, cut / from.stride * to.stride)
    }

    fn cut(&mut self, tensor: usize, at: usize) -> Result<(), Conflict> {
        let mut todo = vec![(tensor, at)];
        while let Some((tensor, at)) = todo.pop() {
            let layout = &mut self.tensors[tensor];
            if at == 1 || at == layout.len || layout.cuts.contains(&at) {
                continue;
            }
            let below = layout.cuts.range(..at).next_back().copied().unwrap_or(1);
            let above = layout
                .cuts
                .range(at..)
                .next()
                .copied()
                .unwrap_or(layout.len);
            let solid = |&(from, to): &(usize, usize)| from < at && at < to;
            if !at.is_multiple_of(below)
                || !above.is_multiple_of(at)
                || layout.solids.iter().any(solid)
            {
                return Err(Conflict);
            }
            layout.cuts.insert(at);
            self.journal.push(Change::Cut { tensor, at });
            for (from, to) in &layout.ties {
                if from.stride < at && at < from.stride * from.len {
                    if !at.is_multiple_of(from.stride) {
                        return Err(Conflict);
                    }
                    todo.push((to.tensor, at / from.stride * to.stride));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(tensor: usize, stride: usize, len: usize) -> Segment {
        Segment {
            tensor,
            stride,
            len,
        }
    }

    #[test]
    fn ties_carry_cuts_both_ways() {
        let mut cuts = Cuts::default();
        let (a, b) = (cuts.push(24), cuts.push(120));
        // The inner 12 of `a` are the outer 12 of `b`.
        cuts.demand(Demand::Tie(segment(a, 1, 12), segment(b, 10, 12)))
            .expect("free");
        cuts.demand(Demand::Axis(segment(a, 1, 3))).expect("free");
        cuts.demand(Demand::Axis(segment(b, 60, 2))).expect("free");
        assert_eq!(cuts.axes(cuts.whole(a)), [4, 2, 3]);
        assert_eq!(cuts.axes(cuts.whole(b)), [2, 2, 30]);
        cuts.demand(Demand::Axis(segment(b, 1, 10))).expect("free");
        assert_eq!(cuts.axes(segment(b, 10, 12)), [2, 2, 3]);
        assert_eq!(cuts.axes(segment(a, 12, 2)), [2]);
    }

    #[test]
    fn incompatible_demands_conflict() {
        let mut cuts = Cuts::default();
        let (a, b) = (cuts.push(6), cuts.push(6));
        cuts.demand(Demand::Tie(cuts.whole(a), cuts.whole(b)))
            .expect("free");
        cuts.demand(Demand::Axis(segment(a, 1, 2))).expect("free");
        assert_eq!(cuts.demand(Demand::Axis(segment(b, 1, 3))), Err(Conflict));
        let mark = cuts.mark();
        let c = cuts.push(8);
        cuts.demand(Demand::Axis(segment(c, 1, 4))).expect("free");
        assert_eq!(cuts.demand(Demand::Solid(segment(c, 1, 8))), Err(Conflict));
        cuts.demand(Demand::Solid(segment(c, 1, 4))).expect("free");
        assert_eq!(cuts.demand(Demand::Axis(segment(c, 1, 2))), Err(Conflict));
        cuts.undo(mark);
        assert_eq!(cuts.push(30), c);
        assert_eq!(cuts.axes(cuts.whole(c)), [30]);
        assert_eq!(cuts.axes(cuts.whole(a)), [3, 2]);
    }
}
