//! What the plugin told, put where it belongs.

use highwater_wire::v1::{Notice, mark::What};
use prost::Message as _;

use super::{BatchSink, Recorder};
use crate::{marks::Told, tree::ProcessKey};

/// How the codes of the plugin's own notices begin.
const OF_THE_PLUGIN: &str = "plugin_";
/// The code of the notice that some of what the plugin wrote could not be read.
const EVENTS_FAILED: &str = "events_failed";

/// Whether a notice is on what the plugin wrote, and holds whoever reads it and whenever.
#[must_use]
pub fn is_on_the_plugin(notice: &Notice) -> bool {
    notice.code.starts_with(OF_THE_PLUGIN) || notice.code == EVENTS_FAILED
}

impl<S: BatchSink> Recorder<S> {
    pub(super) fn hear(&mut self, told: Told) {
        let now_us = self.clock.now_us();
        match told {
            Told::Header(mut header) => {
                self.gathered.heads += 1;
                self.names.learn(&mut header, &self.table);
                let key = ProcessKey {
                    pid: header.pid,
                    start_ticks: header.start_ticks,
                };
                if !self.table.was_born(key) {
                    self.writers.name(key.pid);
                }
                self.table.plugin(&header, now_us);
            }
            Told::Session(key, line) => {
                let key = self.names.outside(key);
                self.table.joined(key, &line, now_us);
                self.sights.has_plugin(key);
                // There may be one for each test, and whoever forked it leads.
                if let Some(roster) = &self.roster
                    && !self.table.is_forked(key)
                {
                    roster.joined(key, &line);
                }
                if let Some(forecaster) = &mut self.forecaster
                    && !self.table.is_forked(key)
                {
                    forecaster.joined(key, &line);
                }
                self.sessions.joined(key, line);
            }
            Told::Notice(key, notice) => {
                let key = self.names.outside(key);
                let message = format!("process {}: {}", key.pid, notice.message);
                let code = match notice.code.strip_prefix(OF_THE_PLUGIN) {
                    Some(_) => notice.code,
                    None => format!("{OF_THE_PLUGIN}{}", notice.code),
                };
                self.notices.report(now_us, &code, message, 1);
            }
            Told::Mark(key, mark) => {
                let key = self.names.outside(key);
                if let Some(roster) = &self.roster {
                    roster.heard(key, &mark);
                }
                if let Some(forecaster) = &mut self.forecaster {
                    forecaster.heard(key, &mark);
                }
                match &mark.what {
                    Some(What::SessionBegin(_)) => self.sessions.began(key, mark.t_us),
                    Some(What::SessionEnd(end)) => {
                        self.sessions.ended(key, mark.t_us, end.exit_status);
                    }
                    _ => {}
                }
                self.gathered.marks_bytes += mark.encoded_len() + 4;
                self.gathered.marks.push((key, mark));
            }
            Told::Malformed { path, line, reason } => {
                let message = format!("{}, line {line}: {reason}", path.display());
                self.notices.report(now_us, "marks_malformed", message, 1);
            }
            Told::Unread { reason } => {
                let message = format!("failed to read the plugin's events: {reason}");
                self.notices.report(now_us, EVENTS_FAILED, message, 1);
            }
            Told::OtherBoot(key) => {
                let message = format!(
                    "process {} has a clock of its own (another boot, a time namespace); its marks are placed by the wall clock",
                    key.pid
                );
                self.notices
                    .report(now_us, "marks_of_other_boot", message, 1);
            }
        }
    }
}
