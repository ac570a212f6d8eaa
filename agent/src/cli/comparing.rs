//! `highwater compare`: jobs before and after.

use clap::{Args, ValueEnum};

use super::server::ServerParser;
use crate::settings::{parse_name, parse_project, said};

const SIDES: &str = "BEFORE and AFTER are each the uuid of a job or the file that --summary wrote of it, several of them with commas between (the shards of one suite), run:NUMBER for the jobs of \
a run (as the address of its page has it), or branch:NAME for its newest job that passed.";

#[derive(Debug, Args)]
#[command(after_help = SIDES)]
pub(super) struct CompareArgs {
    /// What it was.
    #[arg(value_name = "BEFORE")]
    before: String,
    /// What it is.
    #[arg(value_name = "AFTER")]
    after: String,
    /// How the comparison is written: tables, all of it as JSON, or tables in Markdown.
    #[arg(long, value_enum, default_value_t = CompareForm::Text)]
    format: CompareForm,
    /// Project of a run or branch, as owner/repo; that of the working folder where it is not given.
    #[arg(long, value_name = "NAME", value_parser = parse_project)]
    project: Option<String>,
    /// Of a run or branch only jobs of this name.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: Option<String>,
    /// Address of the server that has the recordings.
    #[arg(long, value_name = "URL", value_parser = ServerParser)]
    server: Option<String>,
}

/// How a comparison is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompareForm {
    /// Tables.
    Text,
    /// All of it.
    Json,
    /// Tables in Markdown.
    Markdown,
}

/// `highwater compare`.
#[derive(Debug)]
pub struct CompareTask {
    /// What it was: a job each, or a run or branch.
    pub before: Vec<String>,
    /// What it is.
    pub after: Vec<String>,
    /// How it is written.
    pub form: CompareForm,
    /// `owner/repo` of runs and branches.
    pub project: Option<String>,
    /// Of them only jobs of this name.
    pub name: Option<String>,
    /// Address of the server.
    pub server: Option<String>,
}

impl From<CompareArgs> for CompareTask {
    fn from(args: CompareArgs) -> Self {
        Self {
            before: jobs(&args.before),
            after: jobs(&args.after),
            form: args.format,
            project: args.project.and_then(said),
            name: args.name.and_then(said),
            server: args.server.and_then(said),
        }
    }
}

/// The jobs of a side. A branch may have a comma in its name.
fn jobs(side: &str) -> Vec<String> {
    match side.starts_with("branch:") {
        true => vec![side.to_owned()],
        false => side
            .split(',')
            .map(|job| job.trim().to_owned())
            .filter(|job| !job.is_empty())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::jobs;

    #[test]
    fn jobs_stand_between_commas_and_a_branch_by_itself() {
        assert_eq!(jobs("a, b,,c"), ["a", "b", "c"]);
        assert_eq!(jobs("branch:fix/a,b"), ["branch:fix/a,b"]);
        assert_eq!(jobs(""), Vec::<String>::new());
    }
}
