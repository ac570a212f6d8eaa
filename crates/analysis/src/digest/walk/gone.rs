//! Late imports of modules that did not stay.

use std::collections::{HashMap, HashSet};

use crate::recording::{Mark, Texts, What};

/// Places of the marks around such imports. Without them the intervals are what they would be had nothing been marked: their tests' own, whenever it was
/// told that the module is gone.
pub(super) fn modules(marks: &[Mark], texts: &Texts) -> HashSet<usize> {
    let mut gone = HashSet::new();
    let mut imports: HashMap<&str, Vec<(usize, Option<usize>)>> = HashMap::new();
    let mut open: Option<&str> = None;
    for (at, mark) in marks.iter().enumerate() {
        match mark.what {
            What::ModuleBegin { module } => {
                let module = texts.get(module);
                imports.entry(module).or_default().push((at, None));
                open = Some(module);
            }
            What::ModuleEnd => {
                let newest = open.take().and_then(|module| imports.get_mut(module));
                if let Some((_, end)) = newest.and_then(|all| all.last_mut()) {
                    *end = Some(at);
                }
            }
            What::ModuleGone { module } => {
                let newest = imports.get_mut(texts.get(module)).and_then(Vec::pop);
                if let Some((begin, end)) = newest {
                    gone.insert(begin);
                    gone.extend(end);
                }
            }
            _ => {}
        }
    }
    gone
}
