/// Width where nobody says another.
const DEFAULT_COLUMNS: usize = 80;
/// Room for the longest node id there can be.
const UNCUT_COLUMNS: usize = 8_000;

/// How text is laid out for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal.
    pub columns: usize,
    /// Columns that lines with names may take: in a file or a CI's log nothing has to be cut.
    pub name_columns: usize,
    /// Whether escape sequences for bold and dim text are understood.
    pub colour: bool,
    /// Whether block characters can be shown.
    pub unicode: bool,
}

impl Default for Look {
    /// What every file can hold.
    fn default() -> Self {
        Self {
            columns: DEFAULT_COLUMNS,
            name_columns: UNCUT_COLUMNS,
            colour: false,
            unicode: true,
        }
    }
}

impl Look {
    /// Text that stands out, where that can be shown.
    #[must_use]
    pub fn bold(&self, text: &str) -> String {
        if self.colour {
            format!("\x1b[1m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
