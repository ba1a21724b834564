//! Made-up inputs that resemble real ones: normalised to mean 0 and variance about 1.

use crate::random::Random;
use ndarray::{Array2, ArrayD, IxDyn};

/// Cells of the coarse grid along each axis of an image.
const GRID: usize = 5;

/// Independent normal features.
pub(crate) fn features(shape: &[usize], random: &mut Random) -> ArrayD<f32> {
    ArrayD::from_shape_simple_fn(IxDyn(shape), || random.normal())
}

/// Ids of tokens, as frequent as `1 / (rank + 3)`: the log of a rank is uniform.
pub(crate) fn tokens(words: usize, shape: &[usize], random: &mut Random) -> ArrayD<f32> {
    let top = libm::logf(words as f32 + 3.0);
    let low = libm::logf(3.0);
    let id = |random: &mut Random| {
        let log = random.around(f32::midpoint(top, low), (top - low) / 2.0);
        (libm::expf(log) - 3.0)
            .floor()
            .clamp(0.0, words as f32 - 1.0)
    };
    ArrayD::from_shape_simple_fn(IxDyn(shape), || id(random))
}

/// An image `[1, channels, height, width]`: a colour, smooth shapes in light and colour, and a
/// little noise, whose variances are 0.2, 0.6, 0.1 and 0.1 at the nodes of the grid.
pub(crate) fn image(shape: &[usize], random: &mut Random) -> ArrayD<f32> {
    let [_, channels, height, width] = *shape else {
        panic!("an image has four axes, not {shape:?}")
    };
    let light = smooth(height, width, random) * 0.6_f32.sqrt();
    let mut image = ArrayD::zeros(IxDyn(shape));
    for c in 0..channels {
        let colour = random.normal() * 0.2_f32.sqrt();
        let shapes = smooth(height, width, random) * 0.1_f32.sqrt();
        for ((y, x), shape) in shapes.indexed_iter() {
            let noise = random.normal() * 0.1_f32.sqrt();
            image[[0, c, y, x]] = colour + light[[y, x]] + shape + noise;
        }
    }
    image
}

/// Normal values on the nodes of the grid, linear between them in both directions.
fn smooth(height: usize, width: usize, random: &mut Random) -> Array2<f32> {
    let nodes = Array2::from_shape_simple_fn((GRID, GRID), || random.normal());
    Array2::from_shape_fn((height, width), |(y, x)| {
        let ((y, v), (x, u)) = (place(y, height), place(x, width));
        let row = |y: usize| nodes[[y, x]] * (1.0 - u) + nodes[[y, x + 1]] * u;
        row(y) * (1.0 - v) + row(y + 1) * v
    })
}

/// The node before pixel `i` of `n`, and the pixel's distance from it in `[0, 1)`.
fn place(i: usize, n: usize) -> (usize, f32) {
    let at = i * (GRID - 1);
    (at / n, (at % n) as f32 / n as f32)
}
