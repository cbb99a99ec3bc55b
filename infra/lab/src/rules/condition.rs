//! The condition of a rule: aggregates the rows of its query to one value per combination of
//! dimension values, and compares it with the threshold.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::failing::FailingPeriods;
use crate::query::Row;

/// Names and values that identify an alert of a rule, in the rule's order.
pub type Dimensions = Vec<(String, String)>;

/// `criteria.allOf[0]` without its query.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertCondition {
    /// How the rows of one combination are aggregated.
    pub aggregation: Aggregation,
    /// The name of the column that is aggregated; `None` for [`Aggregation::Count`].
    pub measure: Option<String>,
    /// How the value is compared with the threshold.
    pub operator: Operator,
    /// The threshold.
    pub threshold: f64,
    /// The dimensions by which the rows are split.
    pub dimensions: Vec<Dimension>,
    /// How many of the last evaluations must meet the condition.
    pub failing: FailingPeriods,
}

/// `timeAggregation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Aggregation {
    /// The number of rows.
    Count,
    /// The mean of the measure.
    Average,
    /// The minimum of the measure.
    Minimum,
    /// The maximum of the measure.
    Maximum,
    /// The sum of the measure.
    Total,
}

/// `operator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Operator {
    /// Value = threshold.
    Equals,
    /// Value > threshold.
    GreaterThan,
    /// Value ≥ threshold.
    GreaterThanOrEqual,
    /// Value < threshold.
    LessThan,
    /// Value ≤ threshold.
    LessThanOrEqual,
}

/// One entry of `dimensions`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Dimension {
    /// The column.
    pub name: String,
    /// Whether the values are included or excluded.
    pub operator: Choice,
    /// The values; `*` stands for all.
    pub values: Vec<String>,
}

/// `dimensions[].operator`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Choice {
    /// Only rows with one of the values.
    Include,
    /// Only rows with none of the values.
    Exclude,
}

/// The measurement of one combination.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// The aggregated value.
    pub value: f64,
    /// Whether it meets the condition.
    pub met: bool,
}

impl AlertCondition {
    /// Splits rows by the rule's dimensions, aggregates each group and compares it with the
    /// threshold.
    ///
    /// Azure groups the result by the dimension values and evaluates each group (Microsoft Learn,
    /// "Create a log search alert rule"), so a combination without a row has no group and is not
    /// measured: absence must be a row of its own. Only a rule that counts all rows together
    /// measures zero when there are none. A row without a dimension's column has the empty value.
    pub fn measure(&self, rows: &[Row]) -> BTreeMap<Dimensions, Measurement> {
        let mut groups: BTreeMap<Dimensions, Vec<f64>> = BTreeMap::new();
        if self.aggregation == Aggregation::Count && self.dimensions.is_empty() {
            groups.insert(Dimensions::new(), Vec::new());
        }
        for row in rows {
            if let Some(dimensions) = self.combination(row) {
                groups.entry(dimensions).or_default().push(row.value);
            }
        }
        groups
            .into_iter()
            .map(|(dimensions, values)| {
                let value = self.aggregation.apply(&values);
                (dimensions, Measurement { value, met: self.operator.holds(value, self.threshold) })
            })
            .collect()
    }

    /// The row's combination, or `None` when a dimension excludes the row.
    fn combination(&self, row: &Row) -> Option<Dimensions> {
        self.dimensions
            .iter()
            .map(|dimension| {
                let value = row
                    .dimensions
                    .iter()
                    .find(|(name, _)| *name == dimension.name)
                    .map_or("", |(_, value)| value);
                dimension.admits(value).then(|| (dimension.name.clone(), value.to_owned()))
            })
            .collect()
    }
}

impl Dimension {
    fn admits(&self, value: &str) -> bool {
        let listed = self.values.iter().any(|each| each == "*" || each == value);
        match self.operator {
            Choice::Include => listed,
            Choice::Exclude => !listed,
        }
    }
}

impl Aggregation {
    /// The name in the API and in mails.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Average => "Average",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::Total => "Total",
        }
    }

    /// Aggregates the values of one group; only [`Self::Count`] is called for an empty one.
    fn apply(self, values: &[f64]) -> f64 {
        match self {
            Self::Count => values.len() as f64,
            Self::Total => values.iter().sum(),
            Self::Average => values.iter().sum::<f64>() / values.len() as f64,
            Self::Minimum => values.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Maximum => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

impl Operator {
    /// The name in the API and in mails.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equals => "Equals",
            Self::GreaterThan => "GreaterThan",
            Self::GreaterThanOrEqual => "GreaterThanOrEqual",
            Self::LessThan => "LessThan",
            Self::LessThanOrEqual => "LessThanOrEqual",
        }
    }

    /// Whether the comparison of `value` with `threshold` holds.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Equals => (value - threshold).abs() < f64::EPSILON,
            Self::GreaterThan => value > threshold,
            Self::GreaterThanOrEqual => value >= threshold,
            Self::LessThan => value < threshold,
            Self::LessThanOrEqual => value <= threshold,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(device: &str, value: f64) -> Row {
        Row { dimensions: vec![("device".to_owned(), device.to_owned())], value }
    }

    fn split_by_device(operator: Choice, values: &[&str]) -> AlertCondition {
        AlertCondition {
            aggregation: Aggregation::Maximum,
            measure: Some("minutes".to_owned()),
            operator: Operator::GreaterThanOrEqual,
            threshold: 5.0,
            dimensions: vec![Dimension {
                name: "device".to_owned(),
                operator,
                values: values.iter().map(|&value| value.to_owned()).collect(),
            }],
            failing: FailingPeriods::SINGLE,
        }
    }

    fn devices_met(condition: &AlertCondition, rows: &[Row]) -> Vec<(String, bool)> {
        let measured = condition.measure(rows);
        measured.into_iter().map(|(mut key, each)| (key.remove(0).1, each.met)).collect()
    }

    #[test]
    fn each_device_is_measured_separately() {
        let condition = split_by_device(Choice::Include, &["*"]);
        let rows = [row("attic", 7.5), row("cellar", 0.2), row("cellar", 4.9)];
        assert_eq!(
            devices_met(&condition, &rows),
            [("attic".to_owned(), true), ("cellar".to_owned(), false)]
        );
    }

    #[test]
    fn dimensions_filter_rows() {
        let rows = [row("attic", 9.0), row("cellar", 9.0)];
        let include = split_by_device(Choice::Include, &["cellar"]);
        assert_eq!(devices_met(&include, &rows), [("cellar".to_owned(), true)]);
        let exclude = split_by_device(Choice::Exclude, &["cellar"]);
        assert_eq!(devices_met(&exclude, &rows), [("attic".to_owned(), true)]);
        let nothing = split_by_device(Choice::Exclude, &["*"]);
        assert_eq!(devices_met(&nothing, &rows), []);
    }

    #[test]
    fn without_dimensions_there_is_one_group_and_without_rows_none() {
        let mut condition = split_by_device(Choice::Include, &["*"]);
        condition.dimensions.clear();
        let measured = condition.measure(&[row("attic", 3.0), row("cellar", 8.0)]);
        assert_eq!(
            measured.into_iter().collect::<Vec<_>>(),
            [(vec![], Measurement { value: 8.0, met: true })]
        );
        assert!(condition.measure(&[]).is_empty());
    }

    #[test]
    fn a_count_of_all_rows_measures_zero_but_a_count_by_device_does_not() {
        let mut condition = split_by_device(Choice::Include, &["*"]);
        condition.aggregation = Aggregation::Count;
        condition.measure = None;
        condition.operator = Operator::LessThan;
        condition.threshold = 1.0;
        assert!(condition.measure(&[]).is_empty());
        condition.dimensions.clear();
        let measured = condition.measure(&[]);
        assert_eq!(measured.get(&vec![]), Some(&Measurement { value: 0.0, met: true }));
    }

    #[test]
    fn aggregations() {
        let values = [4.0, 1.0, 7.0];
        for (aggregation, expected) in [
            (Aggregation::Count, 3.0),
            (Aggregation::Total, 12.0),
            (Aggregation::Average, 4.0),
            (Aggregation::Minimum, 1.0),
            (Aggregation::Maximum, 7.0),
        ] {
            assert!((aggregation.apply(&values) - expected).abs() < 1e-9, "{aggregation:?}");
        }
    }

    #[test]
    fn operators_at_and_around_the_threshold() {
        for (operator, below, at, above) in [
            (Operator::Equals, false, true, false),
            (Operator::GreaterThan, false, false, true),
            (Operator::GreaterThanOrEqual, false, true, true),
            (Operator::LessThan, true, false, false),
            (Operator::LessThanOrEqual, true, true, false),
        ] {
            let holds = [4.99, 5.0, 5.01].map(|value| operator.holds(value, 5.0));
            assert_eq!(holds, [below, at, above], "{operator:?}");
        }
    }
}
