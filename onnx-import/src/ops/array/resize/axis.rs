//! Interpolation along one axis: output `y` reads the input around the coordinate `x(y)`, with
//! weights by a kernel of the distances.

use zkstrata_model_ir::float::AxisMatrix;

/// Denominators up to this are tried for exact weights; it is the one of rounded weights.
const DENOMINATOR: i64 = 1 << 12;

/// The input's coordinate of an output, for a scale `s`, `n` inputs and `m` outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coordinates {
    /// `(y + 1/2) / s - 1/2`
    HalfPixel,
    /// The same, the centres of both axes aligned.
    HalfPixelSymmetric,
    /// The same, and the first cell for a single output.
    PytorchHalfPixel,
    /// `y (n - 1) / (m - 1)`
    AlignCorners,
    /// `y / s`
    Asymmetric,
    /// `(y + 1/2) / s`
    TfHalfPixel,
    /// `a (n - 1) + y (b - a) (n - 1) / (m - 1)` for a region from `a` to `b` of the whole.
    Crop,
}

/// Which cell is the nearest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nearest {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
    /// Down when the axis grows, up when it shrinks.
    Inward,
}

/// The weights of the cells around a coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kernel {
    Nearest(Nearest),
    Linear,
    /// The cubic convolution with parameter `a`.
    Cubic {
        a: f64,
    },
}

/// What the node's attributes say about all axes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interpolation {
    pub(super) kernel: Kernel,
    pub(super) coordinates: Coordinates,
    /// Whether taps outside of the input have no weight; otherwise they read its ends.
    pub(super) exclude_outside: bool,
    /// Whether the kernel is widened where the axis shrinks.
    pub(super) antialias: bool,
    /// The value outside of a region.
    pub(super) extrapolation: f32,
}

impl Interpolation {
    pub(super) fn nearest(nearest: Nearest) -> Self {
        Self {
            kernel: Kernel::Nearest(nearest),
            coordinates: Coordinates::HalfPixel,
            exclude_outside: false,
            antialias: false,
            extrapolation: 0.0,
        }
    }
}

/// A positive scale as a fraction, whole numbers where it is rational: divisions of small
/// integers by it are then correctly rounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    over: f64,
    under: f64,
}

impl Scale {
    pub(super) fn ratio(output: usize, input: usize) -> Self {
        Self {
            over: output as f64,
            under: input as f64,
        }
    }

    /// The fraction with a small denominator that rounds to `scale` in single precision.
    #[allow(clippy::float_cmp, reason = "exact values are meant")]
    pub(super) fn near(scale: f32) -> Self {
        let value = f64::from(scale);
        let over = |under: i64| (value * under as f64).round();
        let same = |&under: &i64| (over(under) / under as f64) as f32 == scale;
        match (1..=DENOMINATOR).find(same) {
            Some(under) => Self {
                over: over(under),
                under: under as f64,
            },
            None => Self {
                over: value,
                under: 1.0,
            },
        }
    }

    pub(super) fn value(self) -> f64 {
        self.over / self.under
    }

    pub(super) fn times(self, n: usize) -> f64 {
        n as f64 * self.over / self.under
    }

    fn divide(self, x: f64) -> f64 {
        x * self.under / self.over
    }
}

/// An axis and its length after resizing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    input: usize,
    pub(super) output: usize,
    scale: Scale,
    /// The part of the axis that is read, as fractions of it.
    region: (f64, f64),
}

/// The cells of one output: position and weight, ascending.
pub(super) type Row = Vec<(usize, f64)>;

impl Stretch {
    pub(super) fn new(input: usize, output: usize, scale: Scale) -> Self {
        Self {
            input,
            output,
            scale,
            region: (0.0, 1.0),
        }
    }

    /// The same axis of which a part is read.
    pub(super) fn of_region(self, region: (f64, f64)) -> Self {
        Self { region, ..self }
    }

    /// Whether the axis stays as it is.
    #[allow(clippy::float_cmp, reason = "exact values are meant")]
    pub(super) fn is_identity(&self) -> bool {
        self.input == self.output && self.scale.value() == 1.0 && self.region == (0.0, 1.0)
    }

    /// Most cells that one output reads.
    pub(super) fn taps(&self, interpolation: &Interpolation) -> usize {
        let reach = match interpolation.kernel {
            Kernel::Nearest(_) => return 1,
            Kernel::Linear => 1.0,
            Kernel::Cubic { .. } => 2.0,
        };
        2 * (reach / self.width(interpolation)).ceil() as usize + 1
    }

    /// Factor of the distances: below 1 where the kernel is widened.
    fn width(&self, interpolation: &Interpolation) -> f64 {
        if interpolation.antialias {
            self.scale.value().min(1.0)
        } else {
            1.0
        }
    }

    /// Whether other runtimes read other coordinates than ONNX's reference: those of a length that
    /// is rounded, or of a single pixel.
    pub(super) fn is_disputed(&self, coordinates: Coordinates) -> bool {
        let length = self.scale.times(self.input);
        match coordinates {
            Coordinates::AlignCorners => (length - self.output as f64).abs() > 1e-9,
            Coordinates::PytorchHalfPixel => self.output == 1 && self.input > 1,
            _ => false,
        }
    }

    fn coordinate(&self, coordinates: Coordinates, y: usize) -> f64 {
        let (n, y) = (self.input as f64, y as f64);
        let half_pixel = self.scale.divide(y + 0.5) - 0.5;
        // The output's length before it was rounded.
        let length = self.scale.times(self.input);
        let single = (length - 1.0).abs() < 1e-9;
        match coordinates {
            Coordinates::HalfPixelSymmetric => {
                n / 2.0 * (1.0 - self.output as f64 / length) + half_pixel
            }
            Coordinates::PytorchHalfPixel if self.output == 1 => -0.5,
            Coordinates::HalfPixel | Coordinates::PytorchHalfPixel => half_pixel,
            Coordinates::AlignCorners if single => 0.0,
            Coordinates::AlignCorners => y * (n - 1.0) / (length - 1.0),
            Coordinates::Asymmetric => self.scale.divide(y),
            Coordinates::TfHalfPixel => self.scale.divide(y + 0.5),
            Coordinates::Crop => {
                let (a, b) = self.region;
                let inside = if single {
                    (b - a) * (n - 1.0) / 2.0
                } else {
                    y * (b - a) * (n - 1.0) / (length - 1.0)
                };
                a * (n - 1.0) + inside
            }
        }
    }

    /// What each output reads; nothing if its coordinate is outside of a region's axis.
    pub(super) fn rows(&self, interpolation: &Interpolation) -> Vec<Row> {
        let last = self.input as f64 - 1.0;
        let row = |y: usize| {
            let x = self.coordinate(interpolation.coordinates, y);
            let crop = interpolation.coordinates == Coordinates::Crop;
            if crop && !(0.0..=last).contains(&x) {
                return vec![];
            }
            match interpolation.kernel {
                Kernel::Nearest(nearest) => {
                    let i = match nearest {
                        Nearest::PreferFloor => (x - 0.5).ceil(),
                        Nearest::PreferCeil => (x + 0.5).floor(),
                        Nearest::Inward if self.scale.value() < 1.0 => x.ceil(),
                        Nearest::Floor | Nearest::Inward => x.floor(),
                        Nearest::Ceil => x.ceil(),
                    };
                    vec![(i.clamp(0.0, last) as usize, 1.0)]
                }
                Kernel::Linear => self.weighted(interpolation, x, 1.0, |d| 1.0 - d),
                Kernel::Cubic { a } => self.weighted(interpolation, x, 2.0, |d| cubic(a, d)),
            }
        };
        (0..self.output).map(row).collect()
    }

    /// The cells at distances below `reach` from `x`, weighted by the kernel of the distance.
    fn weighted(
        &self,
        interpolation: &Interpolation,
        x: f64,
        reach: f64,
        kernel: impl Fn(f64) -> f64,
    ) -> Row {
        let width = self.width(interpolation);
        let (first, end) = (
            (x - reach / width).ceil() as i64,
            (x + reach / width).floor() as i64,
        );
        let mut row: Row = Vec::new();
        for i in first..=end {
            let distance = (i as f64 - x).abs() * width;
            if distance >= reach {
                continue;
            }
            let inside = i.clamp(0, self.input as i64 - 1);
            if interpolation.exclude_outside && inside != i {
                continue;
            }
            let weight = kernel(distance);
            match row.last_mut() {
                Some((at, sum)) if *at == inside as usize => *sum += weight,
                _ => row.push((inside as usize, weight)),
            }
        }
        let total: f64 = row.iter().map(|(_, w)| w).sum();
        if total.abs() > 1e-9 {
            for (_, w) in &mut row {
                *w /= total;
            }
        }
        row
    }
}

/// The cubic convolution kernel at a distance below 2.
pub(super) fn cubic(a: f64, d: f64) -> f64 {
    if d <= 1.0 {
        ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
    } else {
        ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
    }
}

/// The rows as a matrix with whole weights over one denominator. Weights that are no multiples
/// of a small fraction are rounded, and the largest of a row makes its sum exact.
pub(super) fn matrix(input: usize, rows: &[Row]) -> AxisMatrix {
    let weights = || rows.iter().flatten().map(|(_, w)| w);
    let whole = |d: i64| move |w: &f64| (w * d as f64 - (w * d as f64).round()).abs() < 1e-6;
    let exact = (1..=DENOMINATOR).find(|&d| weights().all(whole(d)));
    let divisor = exact.unwrap_or(DENOMINATOR);
    let mut entries = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let round = |w: f64| (w * divisor as f64).round() as i64;
        let mut cells: Vec<(usize, i64)> = row.iter().map(|&(x, w)| (x, round(w))).collect();
        let missing =
            round(row.iter().map(|(_, w)| w).sum()) - cells.iter().map(|c| c.1).sum::<i64>();
        if let Some((_, w)) = cells.iter_mut().max_by_key(|(_, w)| w.abs()) {
            *w += missing;
        }
        let kept = cells.into_iter().filter(|&(_, w)| w != 0);
        entries.extend(kept.map(|(x, w)| (i as u32, x as u32, w)));
    }
    AxisMatrix {
        input,
        output: rows.len(),
        entries,
        divisor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubled(kernel: Kernel) -> AxisMatrix {
        let interpolation = Interpolation {
            kernel,
            ..Interpolation::nearest(Nearest::Floor)
        };
        let stretch = Stretch::new(2, 4, Scale::near(2.0));
        matrix(2, &stretch.rows(&interpolation))
    }

    #[test]
    fn weights_are_exact_where_the_scale_is_rational() {
        let nearest = doubled(Kernel::Nearest(Nearest::PreferFloor));
        assert_eq!(nearest, AxisMatrix::select(2, &[0, 0, 1, 1]));
        let linear = doubled(Kernel::Linear);
        assert_eq!(linear.divisor, 4);
        let middle = [(1, 0, 3), (1, 1, 1), (2, 0, 1), (2, 1, 3)];
        assert_eq!(linear.entries[1..5], middle);
        let cubic = doubled(Kernel::Cubic { a: -0.75 });
        let sum = |i| {
            cubic
                .entries
                .iter()
                .filter(|e| e.0 == i)
                .map(|e| e.2)
                .sum::<i64>()
        };
        assert!((0..4).all(|i| sum(i) == cubic.divisor), "{cubic:?}");
    }

    #[test]
    fn scales_are_fractions() {
        let bits = |scale: f32, n| Scale::near(scale).times(n).to_bits();
        assert_eq!(bits(0.6, 5), 3.0_f64.to_bits());
        assert_eq!(bits(1.0 / 3.0, 9), 3.0_f64.to_bits());
        let pi = Scale::near(std::f32::consts::PI);
        assert!((pi.value() - f64::from(std::f32::consts::PI)).abs() < 1e-6);
    }
}
