//! Where a mapped ELF file has its `environ`.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
};

use elf::{
    ElfStream,
    abi::{PT_LOAD, STT_OBJECT},
    endian::NativeEndian,
    file::Class,
    parse::ParseError,
    string_table::StringTable,
    symbol::SymbolTable,
};

use super::{maps::Image, memory::Memory};

/// A file longer than this is not read.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// No more than this is read of a file; the symbols of CPython with debugging symbols are some megabytes.
const MAX_READ_BYTES: usize = 16 << 20;

/// So much of the beginning is compared with what is mapped: headers and, behind them, the build id.
const COMPARED_BYTES: usize = 4096;

/// The names of the variable; they are one.
const NAMES: [&[u8]; 3] = [b"environ", b"__environ", b"_environ"];

/// Which of a file's tables of symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// Those for the dynamic linker, which no program can be stripped of.
    Dynamic,
    /// All; the only one of a program that is linked statically.
    Full,
}

/// Why a file says nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    /// What is mapped is not what it holds.
    #[error("is not the file that is mapped")]
    Replaced,
    /// It has no 64-bit ELF form.
    #[error("is no 64-bit program")]
    NotElf64,
    /// It is longer than [`MAX_FILE_BYTES`].
    #[error("is longer than what is read")]
    TooLong,
    /// It could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It was read and not understood.
    #[error("{0}")]
    Malformed(#[from] ParseError),
}

/// Where `environ` of an image lies in the process; `None` where the table does not define it.
///
/// # Errors
/// When the file cannot be used.
pub(super) fn find_environ(
    file: &File,
    image: &Image,
    memory: &Memory,
    table: Table,
) -> Result<Option<u64>, Problem> {
    if file.metadata()?.len() > MAX_FILE_BYTES {
        return Err(Problem::TooLong);
    }
    if !is_mapped(file, image, memory)? {
        return Err(Problem::Replaced);
    }
    let mut elf = ElfStream::<NativeEndian, _>::open_stream(Bounded {
        file,
        left: MAX_READ_BYTES,
    })?;
    if elf.ehdr.class != Class::ELF64 {
        return Err(Problem::NotElf64);
    }
    let Some(first) = elf
        .segments()
        .iter()
        .find(|segment| segment.p_type == PT_LOAD)
    else {
        return Ok(None);
    };
    // Where a byte of the file is in memory, less where it was meant to be. Both begin at a border of pages.
    let bias = image
        .start
        .wrapping_sub(image.offset)
        .wrapping_add(first.p_offset)
        .wrapping_sub(first.p_vaddr);
    let symbols = match table {
        Table::Dynamic => elf.dynamic_symbol_table()?,
        Table::Full => elf.symbol_table()?,
    };
    Ok(symbols
        .and_then(|(symbols, names)| value_of(&symbols, &names))
        .map(|value| value.wrapping_add(bias)))
}

fn value_of(symbols: &SymbolTable<'_, NativeEndian>, names: &StringTable<'_>) -> Option<u64> {
    symbols
        .iter()
        .filter(|symbol| !symbol.is_undefined() && symbol.st_symtype() == STT_OBJECT)
        .find(|symbol| {
            let name = names.get_raw(symbol.st_name as usize);
            name.is_ok_and(|name| NAMES.contains(&name))
        })
        .map(|symbol| symbol.st_value)
}

/// Whether the file begins as what is mapped: its name may have been given to another since.
fn is_mapped(file: &File, image: &Image, memory: &Memory) -> io::Result<bool> {
    let (mut of_file, mut of_memory) = ([0; COMPARED_BYTES], [0; COMPARED_BYTES]);
    let length = file.read_at(&mut of_file, image.offset)?;
    let mapped = memory.read(image.start, &mut of_memory).unwrap_or(0);
    Ok(length > 0 && mapped >= length && of_file[..length] == of_memory[..length])
}

/// A file of which only so much is read, whatever its headers say.
struct Bounded<'a> {
    file: &'a File,
    left: usize,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(self.left);
        if wanted == 0 && !buffer.is_empty() {
            return Err(io::Error::other("has larger tables than what is read"));
        }
        let read = (&mut self.file).read(&mut buffer[..wanted])?;
        self.left -= read;
        Ok(read)
    }
}

impl Seek for Bounded<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        (&mut self.file).seek(to)
    }
}
