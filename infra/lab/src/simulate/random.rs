//! Random numbers of the distributions that the world needs.

use std::f64::consts::TAU;

use fastrand::Rng;

use super::time::Millis;

/// Another source, decided by this one: what is drawn from one does not move the other.
pub fn fork(random: &mut Rng) -> Rng {
    Rng::with_seed(random.u64(..))
}

/// The time until something that happens every `mean` on average.
pub fn exponential(random: &mut Rng, mean: f64) -> f64 {
    // `f64` gives 0 but never 1, so the logarithm is finite.
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

/// Any time from `from` to `to`, both included.
pub fn uniform(random: &mut Rng, from: Millis, to: Millis) -> Millis {
    random.i64(from..=to.max(from))
}
