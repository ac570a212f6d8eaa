//! `highwater report`.

use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser, builder::TypedValueParser};
use highwater_report::Format;

use super::{checking::JobWord, server::ServerParser};
use crate::settings::said;

const WHERE: &str = "JOB is a uuid, or the file that --summary wrote. Where none is named it is the job that HIGHWATER_JOB names, as in the steps after `highwater start`, else the newest that is not sent.";

#[derive(Debug, Args)]
#[command(after_help = WHERE)]
pub(super) struct ReportArgs {
    /// How it is written; a terminal's text where nothing else is asked for.
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
    /// File to write it to, instead of standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Add it to the job summary of GitHub Actions, in `$GITHUB_STEP_SUMMARY`.
    #[arg(long)]
    step_summary: bool,
    /// Comment on the pull request where there is something to say, with GITHUB_TOKEN; the comment that is there is changed.
    #[arg(long)]
    comment: bool,
    /// Address of the server that has the recording.
    #[arg(long, value_name = "URL", value_parser = ServerParser)]
    server: Option<String>,
    /// Folder that holds the recordings that are not sent.
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// The job.
    #[arg(value_name = "JOB")]
    job: Option<JobWord>,
}

fn formats() -> impl TypedValueParser<Value = Format> {
    let words = Format::ALL.map(Format::as_str);
    PossibleValuesParser::new(words).try_map(|word| word.parse::<Format>())
}

/// `highwater report`.
#[derive(Debug)]
pub struct ReportTask {
    /// How it is written; not at all where it goes elsewhere.
    pub format: Option<Format>,
    /// File to write it to.
    pub output: Option<PathBuf>,
    /// Whether it goes into the job summary.
    pub step_summary: bool,
    /// Whether it goes onto the pull request.
    pub comment: bool,
    /// Address of the server.
    pub server: Option<String>,
    /// Root of the spool.
    pub spool: Option<PathBuf>,
    /// The job; the newest where none.
    pub job: Option<JobWord>,
}

impl From<ReportArgs> for ReportTask {
    fn from(args: ReportArgs) -> Self {
        let elsewhere = args.step_summary || args.comment;
        let usual = (!elsewhere || args.output.is_some()).then_some(Format::Terminal);
        Self {
            format: args.format.or(usual),
            output: args.output,
            step_summary: args.step_summary,
            comment: args.comment,
            server: args.server.and_then(said),
            spool: args.spool,
            job: args.job,
        }
    }
}
