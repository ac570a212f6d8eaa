//! What is asked to be compared.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::AppError;

/// Test files that are told where nothing is said.
pub(crate) const USUAL_FILES: usize = 1_000;
/// Most test files that are told.
pub(crate) const MOST_FILES: usize = 10_000;

/// Which jobs are compared. What may come several times is read as it stands in the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(try_from = "Vec<(String, String)>")]
pub(crate) struct CompareQuery {
    /// What it was: the uuid of a job, `run:NUMBER` for the jobs of a run (its `run` in the lists), or `branch:NAME` for its newest job that passed.
    /// Several, each with a `before=` of its own, are the shards of one suite.
    pub(crate) before: Vec<String>,
    /// What it is: as `before`.
    pub(crate) after: Vec<String>,
    /// The project of `run:` and `branch:`, written `owner~repo`.
    pub(crate) project: Option<String>,
    /// Of a run or branch only jobs of this name. Where it is left out a branch's job is of the name that the other side's have.
    pub(crate) name: Option<String>,
    /// Most test files.
    pub(crate) limit: Option<usize>,
}

impl TryFrom<Vec<(String, String)>> for CompareQuery {
    type Error = String;

    fn try_from(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut query = Self::default();
        for (key, value) in pairs {
            let once = match key.as_str() {
                // A form sends what nobody filled in.
                "before" | "after" | "project" | "name" if value.is_empty() => continue,
                "before" => {
                    query.before.push(value);
                    continue;
                }
                "after" => {
                    query.after.push(value);
                    continue;
                }
                "limit" => {
                    let limit = value.parse();
                    query.limit =
                        Some(limit.map_err(|_| format!("limit: {value:?} is no number"))?);
                    continue;
                }
                "project" => &mut query.project,
                "name" => &mut query.name,
                _ => continue,
            };
            if once.replace(value).is_some() {
                return Err(format!("{key} is given twice"));
            }
        }
        Ok(query)
    }
}

impl CompareQuery {
    pub(crate) fn limit(&self) -> Result<usize, AppError> {
        match self.limit {
            None => Ok(USUAL_FILES),
            Some(limit) if (1..=MOST_FILES).contains(&limit) => Ok(limit),
            Some(limit) => Err(AppError::bad_request(
                format!("limit {limit} is not between 1 and {MOST_FILES}"),
                "ask for fewer test files: those that changed most come first",
            )),
        }
    }

    /// What comes after the question mark of an address that asks the same.
    pub(crate) fn in_address(&self) -> String {
        let mut pairs = form_urlencoded::Serializer::new(String::new());
        pairs.extend_pairs(self.before.iter().map(|value| ("before", value)));
        pairs.extend_pairs(self.after.iter().map(|value| ("after", value)));
        pairs.extend_pairs(self.project.iter().map(|value| ("project", value)));
        pairs.extend_pairs(self.name.iter().map(|value| ("name", value)));
        pairs.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(address: &str) -> Result<CompareQuery, String> {
        let pairs = form_urlencoded::parse(address.as_bytes()).into_owned();
        pairs.collect::<Vec<_>>().try_into()
    }

    #[test]
    fn what_is_asked_is_read_and_asked_again() {
        let asked = "before=branch%3Afeature%2F%26x&before=run%3A7&after=a&after=b&project=owner%7Erepo&name=unit+tests";
        let read = query(asked).unwrap();
        assert_eq!(read.before, ["branch:feature/&x", "run:7"]);
        assert_eq!(read.after, ["a", "b"]);
        assert_eq!(read.name.as_deref(), Some("unit tests"));
        assert_eq!(query(&read.in_address()).unwrap(), read);
    }

    #[test]
    fn fields_of_a_form_that_were_left_empty_say_nothing_and_others_are_passed_over() {
        let read = query("before=&after=&project=&name=&sort=x&limit=10").unwrap();
        let ten = CompareQuery {
            limit: Some(10),
            ..CompareQuery::default()
        };
        assert_eq!(read, ten);
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (address, told) in [
            ("limit=many", "limit: \"many\" is no number"),
            ("project=a~b&project=a~b", "project is given twice"),
            ("name=a&name=b", "name is given twice"),
        ] {
            assert_eq!(query(address).unwrap_err(), told);
        }
        for (limit, is_right) in [
            (0, false),
            (1, true),
            (MOST_FILES, true),
            (MOST_FILES + 1, false),
        ] {
            let query = query(&format!("limit={limit}")).unwrap();
            assert_eq!(query.limit().is_ok(), is_right, "{limit}");
        }
    }
}
