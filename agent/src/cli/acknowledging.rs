//! `highwater acknowledge`: what somebody knows of a figure.

use clap::{ArgGroup, Args};
use highwater_wire::report::{CheckFigure, MOST_DAYS};
use uuid::Uuid;

use super::{
    checking::{CheckForm, JobWord},
    server::ServerParser,
};
use crate::settings::{parse_project, said};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["figure", "list", "withdraw"]))]
pub(super) struct AcknowledgeArgs {
    /// The figure: retained, spike or peak of a file, or peak, headroom or imports of the job.
    #[arg(long, value_name = "FIGURE", requires = "reason", requires = "end")]
    figure: Option<CheckFigure>,
    /// Why nothing is to be done about it now.
    #[arg(long, value_name = "TEXT", requires = "figure")]
    reason: Option<String>,
    /// For how many days.
    #[arg(long, value_name = "N", group = "end", requires = "figure", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_DAYS)))]
    days: Option<u32>,
    /// Through which day, as 2026-12-31.
    #[arg(long, value_name = "DAY", group = "end", requires = "figure")]
    until: Option<String>,
    /// Who says so; what the token is called where it is not given.
    #[arg(long, value_name = "NAME", requires = "figure")]
    by: Option<String>,
    /// It counts for every matrix leg, and not for that of the job alone.
    #[arg(long, requires = "figure")]
    every_variant: bool,
    /// The job that has the figure, by uuid or by the file that `--summary` wrote of it; that of HIGHWATER_JOB where none is named.
    #[arg(long = "in", value_name = "JOB", requires = "figure")]
    job: Option<JobWord>,
    /// Show what is acknowledged in the project.
    #[arg(long)]
    list: bool,
    /// Take an acknowledgement back, by its id.
    #[arg(long, value_name = "ID")]
    withdraw: Option<Uuid>,
    /// Project of what is shown or taken back, as owner/repo; that of this folder where none is named.
    #[arg(long, value_name = "OWNER/REPO", value_parser = parse_project, conflicts_with = "figure")]
    project: Option<String>,
    /// How it is written: in words, or all of it as JSON.
    #[arg(long, value_enum, default_value_t = CheckForm::Text)]
    format: CheckForm,
    /// Address of the server that has the jobs.
    #[arg(long, value_name = "URL", value_parser = ServerParser)]
    server: Option<String>,
    /// The test file; none for a figure of the job.
    #[arg(value_name = "FILE", requires = "figure")]
    file: Option<String>,
}

/// `highwater acknowledge`.
#[derive(Debug)]
pub struct AcknowledgeTask {
    /// What is to be done.
    pub what: Acknowledging,
    /// How it is written.
    pub form: CheckForm,
    /// Address of the server.
    pub server: Option<String>,
}

/// What is to be done about what is known.
#[derive(Debug)]
pub enum Acknowledging {
    /// Acknowledge a figure.
    Figure {
        /// Which.
        figure: CheckFigure,
        /// Of which file.
        file: Option<String>,
        /// Why.
        reason: String,
        /// For how long.
        days: Option<u32>,
        /// Through which day.
        until: Option<String>,
        /// Who says so.
        by: Option<String>,
        /// Whether for every matrix leg.
        every_variant: bool,
        /// The job; that of the environment where none.
        job: Option<JobWord>,
    },
    /// Take one back.
    Withdraw(Uuid, Option<String>),
    /// Show those of a project; that of the folder where none is named.
    List(Option<String>),
}

impl From<AcknowledgeArgs> for AcknowledgeTask {
    fn from(args: AcknowledgeArgs) -> Self {
        let project = args.project.and_then(said);
        let what = match (args.figure, args.withdraw) {
            (Some(figure), _) => Acknowledging::Figure {
                figure,
                file: args.file.and_then(said),
                // clap asks for it.
                reason: args.reason.unwrap_or_default(),
                days: args.days,
                until: args.until,
                by: args.by.and_then(said),
                every_variant: args.every_variant,
                job: args.job,
            },
            (None, Some(id)) => Acknowledging::Withdraw(id, project),
            (None, None) => Acknowledging::List(project),
        };
        Self {
            what,
            form: args.format,
            server: args.server.and_then(said),
        }
    }
}
