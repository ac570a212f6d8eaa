//! What a table is: columns with names, and how to fill them from a row.

use std::{borrow::Cow, io::Write};

use highwater_wire::report::JobReport;

use super::Done;

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Int(i64),
    Bool(bool),
    Text(Cow<'a, str>),
}

/// What the fields of a column are; each may be null besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Bool,
    Text,
}

/// A column of a table with rows `R`. Its name ends in the unit, where it has one.
pub(super) struct Column<R> {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) of: fn(&R) -> Value<'_>,
}

pub(super) const fn int<R>(name: &'static str, of: fn(&R) -> Value<'_>) -> Column<R> {
    let kind = Kind::Int;
    Column { name, kind, of }
}

pub(super) const fn bool<R>(name: &'static str, of: fn(&R) -> Value<'_>) -> Column<R> {
    let kind = Kind::Bool;
    Column { name, kind, of }
}

pub(super) const fn text<R>(name: &'static str, of: fn(&R) -> Value<'_>) -> Column<R> {
    let kind = Kind::Text;
    Column { name, kind, of }
}

/// A format that holds one table.
pub(super) trait Tabular {
    /// Writes the rows that are handed to it.
    fn write<R: 'static, W: Write + Send>(
        of: &JobReport,
        columns: &'static [Column<R>],
        out: W,
        fill: impl FnOnce(&mut dyn FnMut(&[R]) -> Done) -> Done,
    ) -> Done;
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u64> for Value<'_> {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
