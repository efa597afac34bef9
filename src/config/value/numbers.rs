//! Whole numbers, and resource limits.

use super::words::{found, mend, wanted};
use super::{Reader, Value};
use crate::config::keys::{Key, Shape, Unit};
use crate::config::plan::UNLIMITED;
use crate::config::report::shown;
use crate::config::text::limit;
use std::ops::{Range, RangeInclusive};
use toml::de::{DeTable, DeValue};

impl Reader<'_> {
    pub(super) fn count(
        &mut self,
        key: &Key,
        number: &str,
        bounds: RangeInclusive<u64>,
        span: &Range<usize>,
    ) -> Option<Value> {
        let count = number.replace('_', "").parse::<u64>().ok();
        let fits = count.filter(|count| bounds.contains(count));
        if fits.is_none() {
            let message = format!("`{}` cannot be {}", key.name, shown(number));
            let help = format!("write a number from {} to {}", bounds.start(), bounds.end());
            self.findings.error(span, message, help);
        }
        fits.map(Value::Number)
    }

    pub(super) fn number(
        &mut self,
        key: &Key,
        number: &str,
        bounds: RangeInclusive<i32>,
        span: &Range<usize>,
    ) -> Option<Value> {
        let fits = number.replace('_', "").parse::<i32>().ok();
        let fits = fits.filter(|number| bounds.contains(number));
        if fits.is_none() {
            let message = format!("`{}` cannot be {}", key.name, shown(number));
            let help = format!("write a number from {} to {}", bounds.start(), bounds.end());
            self.findings.error(span, message, help);
        }
        fits.map(Value::Signed)
    }

    /// One limit.
    pub(super) fn limit(
        &mut self,
        key: &Key,
        unit: Unit,
        value: &DeValue<'_>,
        span: &Range<usize>,
    ) -> Option<u64> {
        let wrong = match value {
            DeValue::Integer(number) => {
                let number = number.as_str();
                match number.replace('_', "").parse::<u64>() {
                    Ok(limit) if limit < UNLIMITED => return Some(limit),
                    _ => {
                        let message = format!("`{}` cannot be {}", key.name, shown(number));
                        (
                            message,
                            "write a number from 0 on, or \"unlimited\"".to_owned(),
                        )
                    }
                }
            }
            DeValue::String(raw) => {
                let text = self.expanded(raw, span, false)?;
                match limit(key, unit, raw, &text) {
                    Ok(limit) => return Some(limit),
                    Err(wrong) => wrong,
                }
            }
            other => {
                let (wanted, found) = (wanted(Shape::Limit(unit)), found(other));
                let message = format!("`{}` must be {wanted}, not {found}", key.name);
                (message, mend(key, other))
            }
        };
        self.findings.error(span, wrong.0, wrong.1);
        None
    }

    pub(super) fn soft_and_hard(
        &mut self,
        key: &Key,
        unit: Unit,
        table: &DeTable<'_>,
    ) -> Option<Value> {
        let (mut soft, mut hard, mut good) = (None, None, true);
        for (name, value) in table {
            let which = match &**name.get_ref() {
                "soft" => &mut soft,
                "hard" => &mut hard,
                other => {
                    let message = format!("unknown key `{}` in `{}`", shown(other), key.name);
                    let help = "a limit has `soft` and `hard`";
                    self.findings.error(&name.span(), message, help);
                    good = false;
                    continue;
                }
            };
            *which = self.limit(key, unit, value.get_ref(), &value.span());
            good &= which.is_some();
            if let (Some(low), Some(high)) = (soft, hard)
                && low > high
            {
                let message = format!("the soft limit of `{}` is above the hard one", key.name);
                let help = "the kernel refuses that: write the larger one as `hard`";
                self.findings.error(&value.span(), message, help);
                good = false;
            }
        }
        good.then_some(Value::Limit(soft, hard))
    }
}
