//! Evaluates queries on given rows, for a comparison with another engine.
//!
//! `infra/queries/cases.py` runs its case tables on both.

use std::io::{self, BufRead, Write};

use jiff::Timestamp;
use serde::Deserialize;
use thiserror::Error;

use crate::{
    query::{Query, QueryError, Trace},
    timelines,
};

/// One query on one table at one time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvaluationRequest {
    query: String,
    now: Timestamp,
    rows: Vec<(Timestamp, String)>,
}

/// Why a request could not be evaluated.
#[derive(Debug, Error)]
pub enum EvaluateError {
    /// Reading the input or writing the output failed.
    #[error("cannot read requests or write their results")]
    Stream(#[from] io::Error),
    /// A line is not a valid request.
    #[error("request {line} is not an object with `query`, `now` and `rows`")]
    Request {
        /// The number of the line, from 1.
        line: usize,
        /// The parse error.
        source: serde_json::Error,
    },
    /// The query is not one of the alert rules' queries.
    #[error("request {line} cannot be evaluated")]
    Query {
        /// The number of the line, from 1.
        line: usize,
        /// The first difference.
        source: QueryError,
    },
}

/// Evaluates each line of `requests`, JSON with `query` (its text), `now` and `rows` (time and
/// message of each), and writes one line with the rows of the result, in any order.
pub fn evaluate(requests: impl BufRead, mut out: impl Write) -> Result<(), EvaluateError> {
    for (line, text) in (1..).zip(requests.lines()) {
        let EvaluationRequest { query, now, rows } = serde_json::from_str(&text?)
            .map_err(|source| EvaluateError::Request { line, source })?;
        let query = Query::parse(&query).map_err(|source| EvaluateError::Query { line, source })?;
        let trace = |(timestamp, message)| Trace { timestamp, message };
        let rows: Vec<_> = rows.into_iter().map(trace).collect();
        let result = query.evaluate(now, &rows).into_iter();
        let result: Vec<_> = result.map(|row| timelines::columns(&query, row)).collect();
        writeln!(out, "{}", serde_json::to_string(&result).map_err(io::Error::from)?)?;
        out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::query::DeviceSilent;

    fn evaluated(requests: &str) -> Result<String, EvaluateError> {
        let mut out = Vec::new();
        evaluate(requests.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn each_request_gets_the_rows_of_its_query() {
        let query = Query::DeviceSilent(DeviceSilent { devices: vec!["dl-home".to_owned()] });
        let line = r#"{"event":"heartbeat","device":"dl-home"}"#;
        let request =
            |rows| json!({"query": query.text(), "now": "2026-11-28T12:00:00Z", "rows": rows});
        let seen = request(json!([["2026-11-28T11:53:00Z", line]]));
        let never = request(json!([]));
        insta::assert_snapshot!(evaluated(&format!("{seen}\n{never}\n")).expect("results"), @r#"
        [{"Computer":"dl-home","silentMinutes":7.0}]
        [{"Computer":"dl-home","silentMinutes":2880.0}]
        "#);
    }

    #[test]
    fn an_invalid_request_is_reported_with_its_line_number() {
        let error = evaluated("{}").expect_err("no request");
        insta::assert_snapshot!(error, @"request 1 is not an object with `query`, `now` and `rows`");
        let request = json!({"query": "traces", "now": "2026-11-28T12:00:00Z", "rows": []});
        let error = evaluated(&request.to_string()).expect_err("no query of a rule");
        insta::assert_snapshot!(error, @"request 1 cannot be evaluated");
    }
}
