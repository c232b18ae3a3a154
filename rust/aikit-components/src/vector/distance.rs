//! Dot product and squared distance, with the widest instructions this processor has.
//!
//! A wheel is built for the oldest processor of its platform, so the choice is made at run time.

#![expect(
    unsafe_code,
    reason = "vector instructions need it; every block says why it is sound"
)]

use std::sync::OnceLock;

type Kernel = fn(&[f32], &[f32]) -> f32;

/// The functions for one set of instructions. Both slices must have one length; where they do
/// not, the longer one's rest is ignored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernels {
    /// Name of the instructions.
    #[cfg_attr(not(test), expect(dead_code, reason = "shown by `Debug` and by tests"))]
    name: &'static str,
    /// Dot product.
    pub(crate) dot: Kernel,
    /// Squared Euclidean distance.
    pub(crate) squared_distance: Kernel,
}

const SCALAR: Kernels = Kernels {
    name: "scalar",
    dot: |a, b| scalar::sum(a, b, |x, y| x * y),
    squared_distance: |a, b| scalar::sum(a, b, |x, y| (x - y) * (x - y)),
};

/// The fastest functions of this processor.
pub(crate) fn kernels() -> Kernels {
    static BEST: OnceLock<Kernels> = OnceLock::new();
    *BEST.get_or_init(|| available().last().copied().unwrap_or(SCALAR))
}

/// Every set of functions this processor can run, slowest first.
pub(crate) fn available() -> Vec<Kernels> {
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(unused_mut, reason = "only this processor has more than one set")
    )]
    let mut found = vec![SCALAR];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            found.push(Kernels {
                name: "avx2",
                // SAFETY: the two features were detected just above.
                dot: |a, b| unsafe { avx2::dot(a, b) },
                // SAFETY: the two features were detected just above.
                squared_distance: |a, b| unsafe { avx2::squared_distance(a, b) },
            });
        }
        if is_x86_feature_detected!("avx512f") {
            found.push(Kernels {
                name: "avx512",
                // SAFETY: the feature was detected just above.
                dot: |a, b| unsafe { avx512::dot(a, b) },
                // SAFETY: the feature was detected just above.
                squared_distance: |a, b| unsafe { avx512::squared_distance(a, b) },
            });
        }
    }
    found
}

mod scalar {
    /// Sums a term for each pair, in sixteen independent sums that compilers turn into vectors.
    pub(super) fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
        let mut sums = [0_f32; 16];
        for (a, b) in a.iter().zip(b) {
            for ((sum, x), y) in sums.iter_mut().zip(a).zip(b) {
                *sum += term(*x, *y);
            }
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| term(*x, *y)).sum();
        sums.iter().sum::<f32>() + rest
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! kernels {
    ($module:ident, $features:literal, $lanes:literal, $add:ident, $sub:ident, $fmadd:ident,
     $zero:ident, $load:ident, $sum:expr) => {
        mod $module {
            use std::arch::x86_64::*;

            /// Dot product.
            #[target_feature(enable = $features)]
            pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
                let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<$lanes>(), b.as_chunks::<$lanes>());
                // Two sums, because the next addition to one waits for the last to finish.
                let mut sums = [$zero(); 2];
                for (place, (a, b)) in a.iter().zip(b).enumerate() {
                    // SAFETY: each points to as many numbers as are loaded; no alignment needed.
                    let (x, y) = unsafe { ($load(a.as_ptr()), $load(b.as_ptr())) };
                    sums[place % 2] = $fmadd(x, y, sums[place % 2]);
                }
                $sum($add(sums[0], sums[1])) + super::scalar::sum(a_rest, b_rest, |x, y| x * y)
            }

            /// Squared Euclidean distance.
            #[target_feature(enable = $features)]
            pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
                let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<$lanes>(), b.as_chunks::<$lanes>());
                let mut sums = [$zero(); 2];
                for (place, (a, b)) in a.iter().zip(b).enumerate() {
                    // SAFETY: each points to as many numbers as are loaded; no alignment needed.
                    let (x, y) = unsafe { ($load(a.as_ptr()), $load(b.as_ptr())) };
                    let difference = $sub(x, y);
                    sums[place % 2] = $fmadd(difference, difference, sums[place % 2]);
                }
                let rest = super::scalar::sum(a_rest, b_rest, |x, y| (x - y) * (x - y));
                $sum($add(sums[0], sums[1])) + rest
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(
    avx512,
    "avx512f",
    16,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_fmadd_ps,
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    |sum| _mm512_reduce_add_ps(sum)
);

#[cfg(target_arch = "x86_64")]
kernels!(
    avx2,
    "avx2,fma",
    8,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_fmadd_ps,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    |sum| {
        let half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
        let quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
        _mm_cvtss_f32(_mm_add_ss(quarter, _mm_shuffle_ps(quarter, quarter, 1)))
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between -1 and 1 that look random and are the same in every run.
    fn numbers(seed: u32, count: usize) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            #[expect(clippy::cast_precision_loss, reason = "23 bits fit")]
            let number = (state >> 9) as f32;
            number / 4_194_304.0 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn every_kernel_agrees_with_plain_sums_at_every_length() {
        for kernels in available() {
            for length in 0..200 {
                let (a, b) = (numbers(7, length), numbers(11, length));
                let pairs = || {
                    a.iter()
                        .zip(&b)
                        .map(|(x, y)| (f64::from(*x), f64::from(*y)))
                };
                let dot: f64 = pairs().map(|(x, y)| x * y).sum();
                let squared: f64 = pairs().map(|(x, y)| (x - y) * (x - y)).sum();
                // 200 products of at most 1, each rounded to 24 bits.
                let near = |found: f32, exact: f64| (f64::from(found) - exact).abs() < 1e-4;
                let name = kernels.name;
                assert!(near((kernels.dot)(&a, &b), dot), "{name} dot of {length}");
                assert!(
                    near((kernels.squared_distance)(&a, &b), squared),
                    "{name} distance of {length}"
                );
            }
        }
    }
}
