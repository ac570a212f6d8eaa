//! The JSON API under `/api/v1`.

mod access;
mod acknowledgements;
mod changes;
mod check;
mod compare;
mod export;
mod jobs;
mod live;
mod openapi;
mod page;
mod pins;
mod plan;
mod projects;
mod report;
mod series;

pub use openapi::openapi;

pub(crate) use access::access;
pub(crate) use acknowledgements::{acknowledge, acknowledgements, withdraw};
pub(crate) use changes::{changes, changes_of_file};
pub(crate) use check::check;
pub(crate) use compare::{compare, compared};
pub(crate) use export::export;
pub(crate) use jobs::{files, fixtures, job, processes, tests};
pub(crate) use live::live;
pub(crate) use openapi::document;
pub(crate) use page::{MOST_ROWS, PageQuery, USUAL_ROWS, next_after};
pub(crate) use pins::{pin, unpin};
pub(crate) use plan::{keep_plan, kept_plan, plan};
pub(crate) use projects::{
    file_history, find as find_project, jobs as project_jobs, projects, runs,
};
pub(crate) use report::report;
pub(crate) use series::{MOST_POINTS, series};
