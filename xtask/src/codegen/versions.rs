//! Ranges of versions as the schemas write them: `3`, `1-4`, `2+`, `none`.

use anyhow::{Context, Result};

/// A range of versions, both ends included; empty where `min` is above `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) min: i16,
    pub(super) max: i16,
}

impl Versions {
    pub(super) const NONE: Self = Self { min: 0, max: -1 };

    pub(super) fn parse(text: &str) -> Result<Self> {
        let number = |digits: &str| -> Result<i16> {
            digits.trim().parse().with_context(|| format!("`{text}` is no range of versions"))
        };
        Ok(if text == "none" {
            Self::NONE
        } else if let Some(min) = text.strip_suffix('+') {
            Self { min: number(min)?, max: i16::MAX }
        } else if let Some((min, max)) = text.split_once('-') {
            Self { min: number(min)?, max: number(max)? }
        } else {
            Self { min: number(text)?, max: number(text)? }
        })
    }

    pub(super) const fn is_empty(self) -> bool {
        self.min > self.max
    }

    pub(super) fn intersect(self, other: Self) -> Self {
        let both = Self { min: self.min.max(other.min), max: self.max.min(other.max) };
        if both.is_empty() { Self::NONE } else { both }
    }

    pub(super) fn covers(self, other: Self) -> bool {
        other.is_empty() || (self.min <= other.min && self.max >= other.max)
    }

    /// The versions before `later`, which ends this range or is empty.
    pub(super) fn before(self, later: Self) -> Self {
        if later.is_empty() {
            return self;
        }
        let rest = Self { min: self.min, max: later.min - 1 };
        if rest.is_empty() { Self::NONE } else { rest }
    }

    /// The Rust condition that `version`, known to lie in `scope`, lies in this range; `None` where
    /// it always does.
    pub(super) fn condition(self, scope: Self) -> Option<String> {
        let inside = self.intersect(scope);
        if inside.is_empty() {
            return Some("false".to_owned());
        }
        match (inside.min > scope.min, inside.max < scope.max) {
            (false, false) => None,
            (true, false) => Some(format!("version >= {}", inside.min)),
            (false, true) => Some(format!("version <= {}", inside.max)),
            (true, true) if inside.min == inside.max => Some(format!("version == {}", inside.min)),
            (true, true) => Some(format!("({}..={}).contains(&version)", inside.min, inside.max)),
        }
    }

    /// The Rust condition that `version`, known to lie in `scope`, lies outside of this range;
    /// `None` where it never does.
    pub(super) fn outside(self, scope: Self) -> Option<String> {
        let inside = self.intersect(scope);
        if inside.is_empty() {
            return Some("true".to_owned());
        }
        match (inside.min > scope.min, inside.max < scope.max) {
            (false, false) => None,
            (true, false) => Some(format!("version < {}", inside.min)),
            (false, true) => Some(format!("version > {}", inside.max)),
            (true, true) if inside.min == inside.max => Some(format!("version != {}", inside.min)),
            (true, true) => Some(format!("!({}..={}).contains(&version)", inside.min, inside.max)),
        }
    }
}

impl std::fmt::Display for Versions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{}-{}", self.min, self.max)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Versions {
        Versions::parse(text).unwrap()
    }

    #[test]
    fn ranges_are_read_as_the_schemas_write_them() {
        assert_eq!(range("3"), Versions { min: 3, max: 3 });
        assert_eq!(range("1-4"), Versions { min: 1, max: 4 });
        assert_eq!(range("2+"), Versions { min: 2, max: i16::MAX });
        assert!(range("none").is_empty());
        assert!(Versions::parse("two").is_err());
    }

    #[test]
    fn conditions_say_no_more_than_the_scope_leaves_open() {
        let scope = range("1-9");
        let told = |text: &str| (range(text).condition(scope), range(text).outside(scope));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(told("0+"), (None, None));
        assert_eq!(told("4+"), (some("version >= 4"), some("version < 4")));
        assert_eq!(told("0-4"), (some("version <= 4"), some("version > 4")));
        assert_eq!(told("4"), (some("version == 4"), some("version != 4")));
        assert_eq!(told("3-5").0, some("(3..=5).contains(&version)"));
        assert_eq!(told("0"), (some("false"), some("true")));
    }

    #[test]
    fn what_comes_before_a_later_range() {
        assert_eq!(range("1-9").before(range("4-9")), range("1-3"));
        assert!(range("4-9").before(range("4-9")).is_empty());
        assert_eq!(range("1-9").before(Versions::NONE), range("1-9"));
    }
}
