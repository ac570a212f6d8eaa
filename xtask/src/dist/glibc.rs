//! Which glibc a program asks for.

use std::{fs, path::Path};

use elf::{ElfBytes, endian::AnyEndian};

use crate::tools::{Done, io, said};

/// Oldest glibc that a release runs on: that of RHEL 7, Ubuntu 14.04 and Debian 8 and older ones between.
pub(super) const OLDEST: &str = "2.17";

/// Answers the newest version of glibc that a symbol is bound to; an error when that is above [`OLDEST`], with the symbols.
pub(super) fn check(program: &Path) -> Done<String> {
    let bytes = fs::read(program).map_err(io(program))?;
    let bound =
        bindings(&bytes).map_err(|error| said(format!("{}: {error}", program.display())))?;
    let too_new = too_new(&bound);
    if !too_new.is_empty() {
        let (program, list) = (program.display(), too_new.join(", "));
        return Err(said(format!(
            "{program} needs a glibc above {OLDEST}: {list}"
        )));
    }
    bound
        .into_iter()
        .map(|(_, version)| version)
        .max_by_key(|version| parts(version))
        .ok_or_else(|| said(format!("{} is bound to no glibc at all", program.display())))
}

/// The symbols that glibc [`OLDEST`] has not.
fn too_new(bound: &[(String, String)]) -> Vec<String> {
    let allowed = parts(OLDEST);
    bound
        .iter()
        .filter(|(_, version)| parts(version) > allowed)
        .map(|(symbol, version)| format!("{symbol}@GLIBC_{version}"))
        .collect()
}

/// Each symbol that is looked up in glibc, with the version it is bound to, without `GLIBC_`.
fn bindings(bytes: &[u8]) -> Result<Vec<(String, String)>, String> {
    let told = |error: elf::ParseError| error.to_string();
    let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).map_err(told)?;
    let (Some((symbols, names)), Some(versions)) = (
        file.dynamic_symbol_table().map_err(told)?,
        file.symbol_version_table().map_err(told)?,
    ) else {
        return Err("has no versioned symbols".to_owned());
    };
    let mut bound = Vec::new();
    for (at, symbol) in symbols.iter().enumerate() {
        if !symbol.is_undefined() {
            continue;
        }
        let Some(needed) = versions.get_requirement(at).map_err(told)? else {
            continue;
        };
        if let Some(version) = needed.name.strip_prefix("GLIBC_") {
            let name = names.get(symbol.st_name as usize).map_err(told)?;
            bound.push((name.to_owned(), version.to_owned()));
        }
    }
    Ok(bound)
}

/// `2.17` as numbers; what is no number (`PRIVATE`) counts as newer than any.
fn parts(version: &str) -> Vec<u32> {
    version
        .split('.')
        .map(|part| part.parse().unwrap_or(u32::MAX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_no_texts() {
        assert!(parts("2.2.5") < parts("2.17"));
        assert!(parts("2.4") < parts("2.17"));
        assert!(parts("2.18") > parts("2.17"));
        assert!(parts("PRIVATE") > parts("2.17"));
    }

    #[test]
    fn a_symbol_that_came_later_is_found_and_named() {
        let bound = [("memcpy", "2.14"), ("pidfd_open", "2.36"), ("x", "2.17.1")]
            .map(|(name, version)| (name.to_owned(), version.to_owned()));
        assert_eq!(too_new(&bound), ["pidfd_open@GLIBC_2.36", "x@GLIBC_2.17.1"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_symbols_of_a_program_are_found_with_their_versions() {
        // This very test, linked by the system's own linker.
        let own = std::env::current_exe().unwrap();
        let bound = bindings(&fs::read(own).unwrap()).unwrap();
        assert!(bound.iter().any(|(name, _)| name == "malloc"), "{bound:?}");
        assert!(bound.iter().all(|(_, version)| !version.is_empty()));
    }
}
