//! Medians and percentiles.

/// Of sorted values: the one below or at which the fraction `p` of them lies.
pub fn percentile(sorted: &[u64], p: f64) -> u64 {
    if sorted.is_empty() {
        return 0;
    }
    let index = (p * sorted.len() as f64).ceil() as usize;
    sorted[index.saturating_sub(1).min(sorted.len() - 1)]
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Rounds of the same two things, side by side.
#[derive(Default)]
pub struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    pub fn push(&mut self, ours: f64, raw: f64) {
        self.0.push((ours, raw));
    }

    pub fn ours(&self) -> f64 {
        median(&self.0.iter().map(|(ours, _)| *ours).collect::<Vec<_>>())
    }

    pub fn raw(&self) -> f64 {
        median(&self.0.iter().map(|(_, raw)| *raw).collect::<Vec<_>>())
    }

    /// Median of the rounds' ratios, ours to raw.
    pub fn ratio(&self) -> f64 {
        median(&self.0.iter().map(|(ours, raw)| ours / raw).collect::<Vec<_>>())
    }
}

/// A time in ns, for people.
pub fn time(ns: f64) -> String {
    match ns {
        n if n.is_nan() => "–".to_owned(),
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e5 => format!("{:.2} µs", n / 1e3),
        n if n < 1e6 => format!("{:.0} µs", n / 1e3),
        n if n < 1e9 => format!("{:.2} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

/// A rate, for people.
pub fn rate(per_second: f64) -> String {
    let digits = format!("{per_second:.0}");
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    format!("{out}/s")
}
