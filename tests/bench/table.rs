//! What was measured, beside what is aimed at.

use std::fmt;

/// Rows of name, value and the most that is aimed at.
#[derive(Default)]
pub struct Table(Vec<(String, f64, Option<f64>)>);

impl Table {
    /// Adds a row; `None`: no aim, for comparison.
    pub fn row(&mut self, name: &str, value: f64, at_most: Option<f64>) {
        self.0.push((name.to_owned(), value, at_most));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<66} {:>12} {:>12}", "measured", "value", "at most")?;
        for (name, value, aim) in &self.0 {
            let number = |value: f64| {
                if value.abs() >= 1000.0 {
                    format!("{value:.0}")
                } else {
                    format!("{value:.3}")
                }
            };
            let (aim, verdict) = match aim {
                Some(aim) if value <= aim => (number(*aim), "met"),
                Some(aim) => (number(*aim), "MISSED"),
                None => (String::new(), ""),
            };
            writeln!(f, "{name:<66} {:>12} {aim:>12} {verdict}", number(*value))?;
        }
        Ok(())
    }
}

/// The middle of `values`.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
