//! Random numbers of the distributions that the world needs.

use std::f64::consts::TAU;

use fastrand::Rng;

use super::time::Millis;

/// Creates another source, seeded from this one: draws from one do not affect the other.
pub fn fork(random: &mut Rng) -> Rng {
    Rng::with_seed(random.u64(..))
}

/// The time until the next event, exponentially distributed with mean `mean`.
pub fn exponential(random: &mut Rng, mean: f64) -> f64 {
    // `f64` returns 0 but never 1, so the logarithm is finite.
    mean * -(1.0 - random.f64()).ln()
}

/// A positive number whose logarithm is normally distributed.
pub fn log_normal(random: &mut Rng, median: f64, spread: f64) -> f64 {
    median * (spread * normal(random)).exp()
}

/// A standard normal number (Box and Muller, 1958).
pub fn normal(random: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (TAU * random.f64()).cos()
}

/// A uniformly distributed time from `from` to `to`, both included.
pub fn uniform(random: &mut Rng, from: Millis, to: Millis) -> Millis {
    random.i64(from..=to.max(from))
}
