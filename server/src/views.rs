//! From answers to what a page shows: words, links and rounded figures.

pub(crate) mod changes;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod curves;
mod diagnosis;
pub(crate) mod file;
pub(crate) mod format;
pub(crate) mod job;
pub(crate) mod jobs;
pub(crate) mod peaks;
pub(crate) mod plan;
pub(crate) mod reference;

/// Filters of the templates.
#[expect(unreachable_pub, reason = "the macro makes public structs")]
pub(crate) mod filters {
    use super::format;

    /// Bytes in MiB.
    #[askama::filter_fn]
    pub(crate) fn mebibytes(bytes: &i64, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(format::mebibytes(*bytes))
    }

    /// A duration in the unit that fits.
    #[askama::filter_fn]
    pub(crate) fn duration(us: &i64, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(format::duration(*us))
    }

    /// A name as markup that breaks where its parts join.
    #[askama::filter_fn]
    pub(crate) fn breaking(name: &str, _: &dyn askama::Values) -> askama::Result<String> {
        Ok(format::breaking(name))
    }
}
