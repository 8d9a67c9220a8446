//! Figures for Prometheus (text format 0.0.4): a small registry of our own.
//!
//! # Invariants
//! Labels come from fixed sets (routes, methods, statuses), so nobody outside can make the table grow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper ends of the buckets of a request's time, in seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// What a request was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label {
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Default)]
struct Times {
    count: u64,
    sum: f64,
    buckets: [u64; BUCKETS.len()],
}

/// The figures of one server.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By route.
    requests: Mutex<BTreeMap<String, BTreeMap<Label, Times>>>,
    pub(crate) connections: Gauge,
    pub(crate) sockets: Gauge,
    pub(crate) refused: AtomicU64,
}

/// A number of things that are there now.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// One of them; it is not there any more when this is dropped.
#[derive(Debug)]
#[must_use = "it is counted while this is there"]
pub struct Counted<'a>(&'a Gauge);

impl Gauge {
    /// One more.
    pub fn one(&self) -> Counted<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(self)
    }

    /// How many.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Something that is measured elsewhere.
pub(crate) struct Reading {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) value: f64,
}

impl Metrics {
    /// A request was answered.
    pub(crate) fn answered(&self, route: &str, method: &axum::http::Method, status: u16, time: Duration) {
        let method = match method.as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "PUT" => "PUT",
            "POST" => "POST",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            "OPTIONS" => "OPTIONS",
            _ => "other",
        };
        let seconds = time.as_secs_f64();
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let label = Label { method, status };
        let times = match requests.get_mut(route) {
            Some(times) => times.entry(label).or_default(),
            None => requests.entry(route.to_owned()).or_default().entry(label).or_default(),
        };
        times.count += 1;
        times.sum += seconds;
        for (bucket, end) in times.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= end);
        }
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self, readings: &[Reading]) -> String {
        let mut out = String::new();
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let name = "filelatch_http_request_duration_seconds";
        writeln!(
            out,
            "# HELP {name} Time of requests, from their head to the head of their answer.\n# TYPE {name} histogram"
        )
        .ok();
        let all =
            requests.iter().flat_map(|(route, times)| times.iter().map(move |(label, times)| (route, label, times)));
        for (route, Label { method, status }, times) in all {
            let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
            for (count, end) in times.buckets.iter().zip(BUCKETS) {
                writeln!(out, "{name}_bucket{{{labels},le=\"{end}\"}} {count}").ok();
            }
            writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", times.count).ok();
            writeln!(out, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {}", times.sum, times.count).ok();
        }
        let own = [
            ("filelatch_connections", "Open connections.", self.connections.get()),
            ("filelatch_sockets", "Open web sockets.", self.sockets.get()),
        ];
        #[expect(clippy::cast_precision_loss, reason = "a number of connections")]
        let own = own.map(|(name, help, value)| Reading { name, help, value: value as f64 });
        for Reading { name, help, value } in own.iter().chain(readings) {
            writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}").ok();
        }
        let name = "filelatch_requests_refused_total";
        let refused = self.refused.load(Ordering::Relaxed);
        writeln!(out, "# HELP {name} Requests that were refused because there were too many.\n# TYPE {name} counter\n{name} {refused}").ok();
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Method;

    /// SERVE-7: the figures add up, and methods that somebody makes up do not make the table grow.
    #[test]
    fn figures() {
        let metrics = Metrics::default();
        metrics.answered("/files/{*path}", &Method::GET, 200, Duration::from_millis(2));
        metrics.answered("/files/{*path}", &Method::GET, 200, Duration::from_secs(60));
        for n in 0..10 {
            metrics.answered("none", &Method::from_bytes(format!("X{n}").as_bytes()).unwrap(), 405, Duration::ZERO);
        }
        let counted = metrics.sockets.one();
        let text = metrics.text(&[Reading { name: "up", help: "Up.", value: 1.0 }]);
        let labels = "route=\"/files/{*path}\",method=\"GET\",status=\"200\"";
        for line in [
            format!("filelatch_http_request_duration_seconds_bucket{{{labels},le=\"0.001\"}} 0"),
            format!("filelatch_http_request_duration_seconds_bucket{{{labels},le=\"0.0025\"}} 1"),
            format!("filelatch_http_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 2"),
            "filelatch_http_request_duration_seconds_count{route=\"none\",method=\"other\",status=\"405\"} 10"
                .to_owned(),
            "filelatch_sockets 1".to_owned(),
            "up 1".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        drop(counted);
        assert_eq!(metrics.sockets.get(), 0);
    }
}
