//! Every fact that is stated of the elementwise functions, sampled: what is claimed holds, and what
//! is not claimed does not hold, but for the functions that are named.

use super::super::activation::Activation;
use super::{arguments, close, functions};

/// The values at ascending arguments.
fn values(f: Activation) -> Vec<f64> {
    arguments(f).into_iter().map(|x| f.at(x)).collect()
}

/// `claimed` is what holds, except that nothing need be claimed of `modest` functions.
fn agrees(
    claimed: impl Fn(Activation) -> bool,
    holds: impl Fn(Activation) -> bool,
    modest: impl Fn(Activation) -> bool,
) {
    for f in functions() {
        match (claimed(f), holds(f)) {
            (true, holds) => assert!(holds, "{f:?} is not so"),
            (false, true) => assert!(modest(f), "{f:?} is so, and not claimed to be"),
            (false, false) => assert!(!modest(f), "{f:?} is not modest"),
        }
    }
}

#[test]
fn monotone() {
    use Activation as A;
    let rises = |f: Activation| values(f).windows(2).all(|pair| pair[0] <= pair[1]);
    agrees(Activation::is_monotone, rises, |f| match f {
        A::HardSigmoid { alpha, .. } => alpha > 0.0,
        A::ThresholdedRelu { alpha } => alpha >= 0.0,
        A::Power { exponent } => exponent.fract() != 0.0 && exponent > 0.0 || exponent > 2.5,
        A::Shrink { lambda, bias } => lambda >= bias,
        A::Elu { .. }
        | A::Log
        | A::Sqrt
        | A::Floor
        | A::Ceil
        | A::Round
        | A::Truncate
        | A::FloorDiv { .. }
        | A::Asin
        | A::Atan
        | A::Sinh
        | A::Asinh
        | A::Acosh
        | A::Atanh => true,
        // -1 and 0 are the same index.
        A::Index { length } => length == 1,
        _ => false,
    });
}

#[test]
fn nonnegative() {
    use Activation as A;
    let holds = |f: Activation| values(f).into_iter().all(|y| y >= 0.0);
    agrees(Activation::is_nonnegative, holds, |f| match f {
        A::LeakyRelu { alpha } => alpha <= 0.0,
        // The logarithm of 2 and more.
        A::Within { function, lo, .. } => {
            function == super::super::activation::Steep::Log && lo >= 1.0
        }
        _ => false,
    });
}

#[test]
fn integral() {
    let whole = |f: Activation| values(f).into_iter().all(|y| y.fract() == 0.0);
    agrees(Activation::is_integral, whole, |f| {
        // Multiples of a scale that happens to be an integer.
        matches!(f, Activation::Quantize { scale, .. } if scale >= 1.0)
    });
}

/// A bound is the least one, and what has none exceeds every one.
#[test]
fn bounds() {
    for f in functions() {
        let (lo, hi) = f.domain();
        let far = [-1e300, -1e6, -std::f64::consts::FRAC_PI_2, 1e-9, 1e6, 1e300];
        let far = far.into_iter().filter(|&x| lo <= x && x <= hi);
        let sizes = far.map(|x| f.at(x)).chain(values(f)).map(f64::abs);
        let most = sizes.fold(0.0, f64::max);
        match f.bound() {
            Some(bound) => {
                assert!(most <= bound, "{f:?} reaches {most}");
                assert!(most >= 0.99 * bound, "{f:?} reaches only {most}");
            }
            None if matches!(f, Activation::Within { .. }) => {}
            None => assert!(most > 300.0, "{f:?} reaches only {most}"),
        }
    }
}

/// Real inside the domain, and nowhere else.
#[test]
fn domains() {
    for f in functions() {
        let (lo, hi) = f.domain();
        assert!(lo < hi, "{f:?}");
        let pole = |x: f64| x.abs() < 1e-200 || x <= lo || x >= hi;
        for x in arguments(f) {
            assert!(!f.at(x).is_nan(), "{f:?}({x})");
            assert!(pole(x) || f.at(x).is_finite(), "{f:?}({x})");
        }
        if let Activation::Within { .. } = f {
            // It has the same value as at the end.
            assert!(close(f.at(lo), f.at(lo - 1.0)), "{f:?}");
            assert!(close(f.at(hi), f.at(hi + 1.0)), "{f:?}");
            let inside = [(lo + 0.01, lo), (hi.min(9.0) - 0.01, hi.min(9.0))];
            assert!(inside.iter().all(|&(x, end)| !close(f.at(x), f.at(end))));
            continue;
        }
        for outside in [lo - 1e-3, hi + 1e-3] {
            assert!(outside.is_infinite() || f.at(outside).is_nan(), "{f:?}");
        }
    }
}

/// `f(k x) = k f(x)`, bounds and prescribed scales being multiplied as well.
#[test]
fn kept_scales() {
    use Activation as A;
    let scaled = |f: Activation, k: f32| match f {
        A::Clip { lo, hi } => A::Clip {
            lo: lo * k,
            hi: hi * k,
        },
        A::Quantize {
            scale,
            lo,
            hi,
            ties,
        } => A::Quantize {
            scale: scale * k,
            lo,
            hi,
            ties,
        },
        _ => f,
    };
    let keeps = |f: Activation| {
        let whole = matches!(f, A::FloorDiv { .. } | A::Index { .. });
        let factors: &[f32] = if whole { &[2.0, 8.0] } else { &[0.5, 4.0] };
        factors.iter().all(|&k| {
            let (g, k) = (scaled(f, k), f64::from(k));
            let (lo, hi) = f.domain();
            let grid = arguments(f).into_iter();
            let mut grid = grid.filter(|&x| lo <= k * x && k * x <= hi);
            grid.all(|x| close(g.at(k * x), k * f.at(x)))
        })
    };
    agrees(Activation::keeps_scale, keeps, |f| match f {
        // It keeps integers as they are.
        A::FloorDiv { divisor } => divisor == 1,
        _ => matches!(f, A::Abs),
    });
}

/// A value, or what it tends to, for all arguments of one sign, below the largest magnitude.
#[test]
fn levels() {
    use Activation as A;
    for f in functions() {
        let end = f.at(-1e30).abs();
        let expected = match f {
            A::Elu { .. } | A::Clip { .. } => {
                (end > 0.0 && end.is_finite() && end < 1e29).then_some(end)
            }
            _ => None,
        };
        match (f.level(), expected) {
            (Some(level), Some(end)) => {
                assert!((level - end).abs() < 1e-6 * end, "{f:?}: {level} for {end}");
            }
            (level, expected) => assert_eq!(level, expected, "{f:?}"),
        }
    }
}

#[test]
fn saturation() {
    let ends = |f: Activation| {
        let (below, above) = (f.at(-60.0), f.at(60.0));
        let between = values(f).into_iter().all(|y| below <= y && y <= above);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        between && near(above, 1.0) && (near(below, 0.0) || near(below, -1.0))
    };
    agrees(Activation::saturates, ends, |f| match f {
        Activation::HardSigmoid { alpha, .. } => alpha > 0.0,
        _ => matches!(f, Activation::Erf | Activation::Step),
    });
    for f in functions().into_iter().filter(|f| f.saturates()) {
        for most in [0.0, 1e-3, 0.5, 2.0, 7.25, 40.0] {
            let reached = f.reached(most);
            let grid = arguments(f).into_iter().filter(|x| x.abs() <= most);
            let largest = grid.map(|x| f.at(x).abs()).fold(0.0, f64::max);
            assert!(largest <= reached, "{f:?} reaches {largest} up to {most}");
            assert!(reached <= 1.0 && close(reached, f.at(most)), "{f:?}");
        }
    }
}

/// Steps of equal length change the value the less the farther they are from 0; on positive
/// arguments it is the function that it says.
#[test]
fn steepness() {
    use Activation as A;
    let flattens = |f: Activation| {
        let y: Vec<f64> = (1..200).map(|i| f.at(f64::from(i) / 32.0)).collect();
        let steps: Vec<f64> = y.windows(2).map(|y| (y[1] - y[0]).abs()).collect();
        steps.windows(2).all(|s| s[1] <= s[0] && s[1] > 0.0)
    };
    for f in functions() {
        let expected = match f {
            A::Log | A::Sqrt | A::Reciprocal | A::Within { .. } => true,
            A::Power { exponent } | A::Inverse { exponent } => exponent < 1.0,
            _ => false,
        };
        assert_eq!(f.steep().is_some(), expected, "{f:?}");
        let Some(steep) = f.steep() else { continue };
        let g = steep.activation();
        assert!(flattens(g), "{f:?}");
        let (lo, hi) = match f {
            A::Within { lo, hi, .. } => (lo.into(), hi.into()),
            _ => (1e-9, 1e9),
        };
        let grid = arguments(f).into_iter().filter(|&x| lo <= x && x <= hi);
        for x in grid {
            assert!(close(f.at(x), g.at(x)), "{f:?}({x})");
        }
    }
}

/// Between arguments that are nearly equal, values of a continuous function are.
#[test]
fn jumps_and_poles() {
    use Activation as A;
    let jump = |f: Activation, h: f64| {
        let grid = arguments(f).into_iter().filter(|x| x.abs() < 9.0);
        let (lo, hi) = f.domain();
        let grid = grid.filter(|&x| lo + h < x && x < hi - 2.0 * h);
        let change = grid.map(|x| (f.at(x + h) - f.at(x)).abs());
        change.fold(0.0, f64::max)
    };
    for f in functions() {
        let steps = f.is_integral() || f.quantises() || f.compares_with_zero();
        if steps || f.has_poles() || f.steep().is_some() {
            assert!(!f.jumps(), "{f:?}");
            continue;
        }
        let most = jump(f, 1e-9);
        assert_eq!(f.jumps(), most > 0.2, "{f:?} changes by {most}");
    }
    for f in functions() {
        let near = f.at(std::f64::consts::FRAC_PI_2 - 1e-9).abs();
        assert_eq!(
            f.has_poles(),
            near > 1e8 && near.is_finite(),
            "{f:?}: {near}"
        );
        assert_eq!(f.has_poles(), f == A::Tan);
    }
}

#[test]
fn comparisons() {
    for f in functions() {
        let side = |sign: f64| {
            let mut far = [1e-300, 1e-9, 0.3, 1.0, 5.0, 1e9].into_iter();
            let first = f.at(sign);
            let truth = close(first, 0.0) || close(first, 1.0);
            far.all(|x| close(f.at(sign * x), first)) && truth
        };
        let holds = side(-1.0) && side(1.0) && close(f.at(0.0), 1.0);
        assert_eq!(f.compares_with_zero(), holds, "{f:?}");
    }
}

#[test]
fn clamps() {
    for f in functions() {
        let open = (f32::NEG_INFINITY, f32::INFINITY);
        let (lo, hi) = f.clamps().unwrap_or(open);
        let is = |x: f64| close(f.at(x), x.max(lo.into()).min(hi.into()));
        let holds = arguments(f).into_iter().all(is);
        // The identity in other words.
        let modest = matches!(f, Activation::FloorDiv { divisor: 1 });
        assert_eq!(f.clamps().is_some(), holds && !modest, "{f:?}");
    }
}

/// What is quantised already stays as it is.
#[test]
fn quantisers() {
    for f in functions() {
        let Activation::Quantize { scale, lo, hi, .. } = f else {
            assert!(!f.quantises(), "{f:?}");
            continue;
        };
        assert!(f.quantises());
        let mut seen = std::collections::BTreeSet::new();
        let steps = (lo - 2..hi + 3).map(|n| f64::from(scale) * (f64::from(n) + 0.3));
        for y in values(f).into_iter().chain(steps.map(|x| f.at(x))) {
            let integer = y / f64::from(scale);
            assert!(integer.fract() == 0.0, "{f:?}: {y}");
            assert!(close(f.at(y), y), "{f:?}: {y}");
            seen.insert(integer as i32);
        }
        assert!(seen.into_iter().eq(lo..=hi), "{f:?}");
    }
}
