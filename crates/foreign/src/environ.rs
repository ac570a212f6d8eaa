//! What is read in the memory of a process, and in the files that it has mapped.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, symlink},
};

use highwater_agent::{
    environ::{Look, Phase, Reader},
    procfs::Procfs,
};

use crate::pieces::{self, in_a_folder, lay};

/// Where the program is mapped, and where its heap is.
pub(crate) const PROGRAM: u64 = 0x1_0000;
/// See [`PROGRAM`].
pub(crate) const HEAP: u64 = 0x8_0000;
/// Longest variable that is read, and what a byte that is no text becomes.
const MOST_NODEID_BYTES: usize = 3 * (16 << 10);

/// `maps`, in which `{root}` stands for a folder, `stat` and `cmdline` of a process, what its heap holds, and the program it runs, `{root}/program`.
pub(crate) fn environ(bytes: &[u8]) {
    let [maps, stat, command, heap, program] = pieces::of(bytes);
    in_a_folder(|folder| {
        let root = folder
            .to_str()
            .expect("a temporary folder has a name in UTF-8");
        let exe = folder.join("program");
        lay(&exe, program);
        lay(
            &folder.join("7/maps"),
            pieces::text(maps).replace("{root}", root).as_bytes(),
        );
        lay(&folder.join("7/stat"), stat);
        lay(&folder.join("7/cmdline"), command);
        let link = folder.join("7/exe");
        if fs::symlink_metadata(&link).is_err() {
            symlink(&exe, &link).expect("a link");
        }
        let memory = File::create(folder.join("7/mem")).expect("a file");
        for (bytes, at) in [(program, PROGRAM), (heap, HEAP)] {
            memory.write_all_at(bytes, at).expect("a file with holes");
        }
        let mut reader = Reader::new(Procfs::new(folder), 7);
        let first = told(&mut reader);
        assert_eq!(
            first,
            told(&mut reader),
            "memory that stands still says the same"
        );
    });
}

/// What a look found: the node id and the word of the phase, or which kind of nothing.
fn told(reader: &mut Reader) -> Option<(String, Option<&'static str>)> {
    let told = match reader.look() {
        Look::Running { nodeid, phase } => {
            assert!(nodeid.len() <= MOST_NODEID_BYTES);
            Some((nodeid.to_owned(), phase.map(Phase::word)))
        }
        Look::Idle => None,
        Look::Unknown(reason) => {
            let _ = reason.to_string();
            None
        }
    };
    assert!(reader.worker().is_none_or(|name| name.len() <= 3 * 256));
    told
}
