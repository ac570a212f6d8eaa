//! What the program does besides serving.

pub mod backup;
mod columns;
pub mod doctor;
pub mod export;
pub mod import;
pub mod job;
pub mod project;
pub mod retention;
pub mod token;
pub mod webhook;

use std::path::PathBuf;

use crate::config::Config;

/// What the command line asks for; commands work on the database of that address.
#[derive(Debug)]
pub enum Order {
    /// Listen and answer.
    Serve(Box<Config>),
    /// Say what stands in the way of serving, and whether a server must answer now.
    Doctor(Box<Config>, bool),
    /// Something about tokens.
    Token(String, token::Order),
    /// Write a job for other programs.
    Export(String, export::Order),
    /// Keep recordings that come as files.
    Import(String, import::Order),
    /// Something about a project.
    Project(String, project::Order),
    /// Something about a job.
    Job(String, job::Order),
    /// Remove what has had its time.
    Retention(String, retention::Order),
    /// Something about webhooks.
    Webhook(String, webhook::Order),
    /// Copy the database into this file.
    Backup(String, PathBuf),
}
