//! Lists the files of the pytest plugin, so that the agent carries them.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fmt::Write,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let plugin = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?)
        .join("../pytest-plugin")
        .canonicalize()?;
    let metadata = fs::read_to_string(plugin.join("dist-info/METADATA"))?;
    let version = metadata
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))
        .ok_or("pytest-plugin/dist-info/METADATA has no line `Version: `")?;
    let mut files = BTreeMap::new();
    collect(
        &plugin.join("highwater_pytest"),
        "highwater_pytest",
        &mut files,
    )?;
    collect(
        &plugin.join("dist-info"),
        &format!("highwater_pytest-{version}.dist-info"),
        &mut files,
    )?;

    let mut hash = DefaultHasher::new();
    let mut list = String::new();
    for (name, path) in &files {
        (name, fs::read(path)?).hash(&mut hash);
        writeln!(list, "    ({name:?}, include_bytes!({path:?})),")?;
    }
    let name = format!("plugin-{version}-{:016x}", hash.finish());
    let code = format!(
        "/// Name of the folder, with a hash of its content.\n\
         pub(super) const NAME: &str = {name:?};\n\
         /// Each file with its path in the folder.\n\
         pub(super) const FILES: &[(&str, &[u8])] = &[\n{list}];\n"
    );
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("plugin_files.rs"),
        code,
    )?;
    Ok(())
}

/// Adds the files of a folder, caches aside; a folder is named to cargo too, so that a new file is seen.
fn collect(
    folder: &Path,
    name: &str,
    files: &mut BTreeMap<String, PathBuf>,
) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = entry
            .file_name()
            .into_string()
            .map_err(|name| format!("{name:?} is no Unicode"))?;
        let inner = format!("{name}/{file}");
        if entry.file_type()?.is_dir() {
            if file != "__pycache__" {
                collect(&entry.path(), &inner, files)?;
            }
        } else if !file.starts_with('.') && !file.ends_with(".pyc") {
            files.insert(inner, entry.path());
        }
    }
    Ok(())
}
