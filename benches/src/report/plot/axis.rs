//! Logarithmic axes.

/// Maps `[base^low, base^high]` to `[from, to]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    base: f64,
    low: i32,
    high: i32,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis that holds these positive values.
    pub(super) fn of(
        base: f64,
        values: impl Iterator<Item = f64>,
        (from, to): (f64, f64),
    ) -> Option<Self> {
        let logs = values.filter(|&x| x > 0.0).map(|x| x.log(base));
        let (low, high) = logs.fold((f64::MAX, f64::MIN), |(low, high), x| {
            (low.min(x), high.max(x))
        });
        if low > high {
            return None;
        }
        let low = low.floor() as i32;
        let high = (high.ceil() as i32).max(low + 1);
        Some(Self {
            base,
            low,
            high,
            from,
            to,
        })
    }

    /// The position of a value.
    pub(super) fn at(&self, value: f64) -> f64 {
        let part = (value.log(self.base) - f64::from(self.low)) / f64::from(self.high - self.low);
        self.from + part * (self.to - self.from)
    }

    /// Powers of the base, with a gap of as many as it takes for about `most` of them.
    pub(super) fn ticks(&self, most: i32) -> impl Iterator<Item = f64> + use<> {
        let base = self.base;
        let step = (self.high - self.low + most - 1) / most;
        let step = usize::try_from(step.max(1)).expect("positive");
        (self.low..=self.high)
            .step_by(step)
            .map(move |n| base.powi(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_lie_between_powers_of_ten() {
        let axis = Axis::of(10.0, [0.02, 3.0, 700.0].into_iter(), (0.0, 500.0)).expect("values");
        assert_eq!((axis.low, axis.high), (-2, 3));
        assert!((axis.at(1.0) - 200.0).abs() < 1e-9);
        assert_eq!(axis.ticks(9).count(), 6);
        assert_eq!(axis.ticks(3).count(), 3);
        assert!(Axis::of(2.0, [0.0].into_iter(), (0.0, 1.0)).is_none());
    }
}
