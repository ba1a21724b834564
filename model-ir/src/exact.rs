//! Powers of two and binary logarithms by the bits of a number: the same on every machine, which
//! the standard library's, made of the C library's, are not.

/// `2^k`, 0 or infinite where it leaves the range of normal numbers.
pub(crate) fn exp2(k: i32) -> f64 {
    match k {
        ..-1022 => 0.0,
        1024.. => f64::INFINITY,
        _ => f64::from_bits(((k + 1023) as u64) << 52),
    }
}

/// The largest integer `k` with `2^k <= x`, for `x > 0`; that of the smallest normal number for
/// what is smaller.
pub(crate) fn log2_floor(x: f64) -> i32 {
    ((x.to_bits() >> 52) & 0x7ff).max(1) as i32 - 1023
}

/// The smallest integer `k` with `x <= 2^k`, for normal `x > 0`.
pub(crate) fn log2_ceil(x: f64) -> i32 {
    let floor = log2_floor(x);
    floor + i32::from(x > exp2(floor))
}

/// The integer `k` nearest to the binary logarithm of `x > 0`.
pub(crate) fn log2_round(x: f64) -> i32 {
    let floor = log2_floor(x);
    let mantissa = x / exp2(floor);
    floor + i32::from(mantissa >= std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_those_of_the_number() {
        for k in [-300, -20, -1, 0, 1, 5, 52, 300] {
            let x = exp2(k);
            assert_eq!((log2_floor(x), log2_ceil(x), log2_round(x)), (k, k, k));
            let above = x * 1.2;
            assert_eq!(
                (log2_floor(above), log2_ceil(above), log2_round(above)),
                (k, k + 1, k)
            );
            let below = x * 0.9;
            assert_eq!(
                (log2_floor(below), log2_ceil(below), log2_round(below)),
                (k - 1, k, k)
            );
        }
        assert_eq!(exp2(3).to_bits(), 8.0_f64.to_bits());
        assert_eq!(exp2(-2000).to_bits(), 0.0_f64.to_bits());
        assert!(exp2(2000).is_infinite());
    }
}
